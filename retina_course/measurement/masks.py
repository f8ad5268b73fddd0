"""Vessel maps as images: is an image a map, and where are its vessels, arteries and veins?"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PURE = 0.97  # share of the pixels of a map whose channels are all near 0 or near 1
NEAR = 0.2


class Layers(NamedTuple):
    """What `read_layers` finds.

    Parameters
    ----------
    vessels : ndarray of bool
        `(H, W)`.
    arteries, veins : ndarray of bool or None
        `(H, W)` each; None for a map without colours.
    """

    vessels: NDArray[np.bool_]
    arteries: NDArray[np.bool_] | None
    veins: NDArray[np.bool_] | None


def is_map(rgb: NDArray[Any]) -> bool:
    """Whether an image is a vessel map, not a photograph.

    A map has two or a few pure colours: nearly all of its pixels have channels near 0 or near 1,
    and some have one near 1.

    Parameters
    ----------
    rgb : ndarray
        `(3, H, W)` in [0, 1].

    Returns
    -------
    bool
        For an image that is black all over: False.

    Examples
    --------
    >>> white_on_black = np.zeros((3, 8, 8))
    >>> white_on_black[:, 4] = 1
    >>> is_map(white_on_black), is_map(0.5 * white_on_black)
    (True, False)
    """
    rgb = np.asarray(rgb)
    bright = rgb > 1 - NEAR
    pure = (bright | (rgb < NEAR)).all(axis=0).mean()
    return bool(pure >= PURE and bright.any(axis=0).mean() > 0.001)


def read_layers(rgb: NDArray[Any]) -> Layers:
    """The vessels of a map, and its arteries and veins where it has colours.

    White on black, or in the colours of the published sets of arteries and veins: red arteries,
    blue veins, green crossings of both, white vessels of an unknown kind.

    Parameters
    ----------
    rgb : ndarray
        `(3, H, W)` in [0, 1].

    Returns
    -------
    Layers
        The vessels, and the two kinds.

    Raises
    ------
    ValueError
        If more than half of the image is vessel: the map is black on white.

    Examples
    --------
    >>> rgb = np.zeros((3, 2, 4))
    >>> rgb[0, 0, 0] = rgb[2, 0, 1] = rgb[1, 0, 2] = 1  # red, blue, green
    >>> layers = read_layers(rgb)
    >>> layers.arteries[0].astype(int), layers.veins[0].astype(int)
    (array([1, 0, 1, 0]), array([0, 1, 1, 0]))
    """
    red, green, blue = np.asarray(rgb) > 0.5
    vessels = red | green | blue
    if vessels.mean() > 0.5:
        raise ValueError(
            f"The map shows vessels in {vessels.mean():.0%} of its pixels. Expected white vessels "
            "on black; invert it."
        )
    crossing = green & ~red & ~blue
    arteries, veins = (red & ~blue) | crossing, (blue & ~red) | crossing
    if not (red ^ blue).any():
        return Layers(vessels, None, None)
    return Layers(vessels, arteries, veins)
