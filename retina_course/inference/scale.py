"""The scale at which a network sees a photograph: pixels per degree of the field of view.

A vessel's width on the retina says how many pixels it has only together with the camera's field
angle. Two fields of view of 640 pixels show equal vessels at unequal widths if one is 30 degrees
wide and the other 60. Networks know the widths that they were trained on, so a photograph is
resampled to the pixels per degree of the training.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from retina_course.data.field_angles import check_field_angle
from retina_course.data.idrid import BoxedPhotograph
from retina_course.data.photographs import Photograph
from retina_course.inference.field_of_view import trained_diameter

DEFAULT_FIELD_ANGLE = 45.0  # degrees, where none is given: see benchmarks/analysis/default_angle.py
# The keys of a card; the last two may be absent.
SCALE_KEYS = ("pixels_per_degree", "pixels_per_degree_range", "largest_enlargement")


class WorkingScale(NamedTuple):
    """What `working_diameter` returns.

    Parameters
    ----------
    diameter : float
        Pixels that the field of view has for the network.
    pixels_per_degree : float or None
        The scale; None where the card gives no scale in degrees.
    warning : str or None
        A sentence, where the photograph is coarser than all that the network was trained on.
    """

    diameter: float
    pixels_per_degree: float | None
    warning: str | None


def working_diameter(
    fov_pixels: float, field_angle: float | None, card: Mapping[str, Any]
) -> WorkingScale:
    """The size in which a network sees a photograph.

    A field of view of A degrees gets `round(P * A)` pixels, with P the card's `pixels_per_degree`.
    A card may limit how much a photograph is enlarged (`largest_enlargement`): then a coarse
    photograph is seen at a lower scale, but not below the card's `pixels_per_degree_range`.
    A card without `pixels_per_degree` gives `fov_diameter`, whatever the angle.

    Parameters
    ----------
    fov_pixels : float
        Pixels that the diameter of the whole field of view has in the photograph.
    field_angle : float or None
        Its width in degrees. None: `DEFAULT_FIELD_ANGLE`.
    card : mapping
        The network's card, as `weights.load` returns it.

    Returns
    -------
    WorkingScale
        Diameter, pixels per degree, and a warning or None.

    Raises
    ------
    ValueError
        The angle is none (`check_field_angle`), or the card gives no scale, or a wrong one.

    Examples
    --------
    >>> card = {"pixels_per_degree": 20, "pixels_per_degree_range": [17, 24]}
    >>> working_diameter(3261, 60, card)
    WorkingScale(diameter=1200, pixels_per_degree=20.0, warning=None)
    >>> working_diameter(540, 45, card).warning  # doctest: +ELLIPSIS
    'The photograph has 12.0 pixels per degree, the network was trained at 17.0 to 24.0: ...'
    >>> working_diameter(540, 45, card | {"largest_enlargement": 1.5})[:2]
    (810, 18.0)
    """
    angle = used_field_angle(field_angle, card)
    if angle is None:
        return WorkingScale(trained_diameter(card), None, None)
    scale = _positive(card, "pixels_per_degree")
    low, high = _range(card, scale)
    own = fov_pixels / angle
    if card.get("largest_enlargement") is not None:
        scale = min(scale, max(low, own * _positive(card, "largest_enlargement")))
    warning = None
    if own < low:
        warning = (
            f"The photograph has {own:.1f} pixels per degree, the network was trained at {low:.1f} "
            f"to {high:.1f}: enlarged {scale / own:.1f} times, fine structures stay invisible."
        )
    return WorkingScale(max(1, round(scale * angle)), scale, warning)


def used_field_angle(field_angle: float | None, card: Mapping[str, Any]) -> float | None:
    """The field angle that a network works with.

    Parameters
    ----------
    field_angle : float or None
        Degrees, where they are known.
    card : mapping
        The network's card.

    Returns
    -------
    float or None
        The angle, `DEFAULT_FIELD_ANGLE` where it is not known; None where the card has no
        `pixels_per_degree` and the angle changes nothing.

    Raises
    ------
    ValueError
        The angle is none, see `check_field_angle`.

    Examples
    --------
    >>> used_field_angle(None, {"pixels_per_degree": 20}), used_field_angle(30, {})
    (45.0, None)
    """
    angle = DEFAULT_FIELD_ANGLE if field_angle is None else check_field_angle(field_angle)
    return None if card.get("pixels_per_degree") is None else angle


def describe_scale(
    fov_pixels: float,
    field_angle: float | None,
    card: Mapping[str, Any],
    *,
    estimated: bool = False,
) -> str:
    """The angle and the scale that a network works with, for a line of output.

    Parameters
    ----------
    fov_pixels : float
        See `working_diameter`.
    field_angle : float or None
        See `working_diameter`.
    card : mapping
        See `working_diameter`.
    estimated : bool, default False
        The angle was estimated from the optic disc.

    Returns
    -------
    str
        It says so where the angle was assumed or estimated.

    Raises
    ------
    ValueError
        See `working_diameter`.

    Examples
    --------
    >>> describe_scale(640, None, {"pixels_per_degree": 20})
    'field angle 45 degrees (assumed), seen at 20.0 pixels per degree'
    >>> describe_scale(640, 30, {"fov_diameter": 640})
    'seen with a field of view of 640 pixels, whatever its angle'
    """
    working, angle = (
        working_diameter(fov_pixels, field_angle, card),
        used_field_angle(field_angle, card),
    )
    if angle is None:
        return f"seen with a field of view of {working.diameter:g} pixels, whatever its angle"
    source = " (estimated from the optic disc)" if estimated else ""
    source = " (assumed)" if field_angle is None else source
    return (
        f"field angle {angle:g} degrees{source}, "
        f"seen at {working.pixels_per_degree:.1f} pixels per degree"
    )


def trained_scale(
    diameter: float, field_angle: float, scale: tuple[float, float]
) -> dict[str, Any]:
    """What the card of a network says about the scale that it was trained at.

    Parameters
    ----------
    diameter : float
        Pixels that the field of view had in training.
    field_angle : float
        Its width in degrees.
    scale : tuple of float
        Smallest and largest random scale factor in training.

    Returns
    -------
    dict
        `pixels_per_degree` and `pixels_per_degree_range`, four decimals.

    Examples
    --------
    >>> trained_scale(600, 30, (0.8, 1.25))
    {'pixels_per_degree': 20.0, 'pixels_per_degree_range': [16.0, 25.0]}
    """
    centre = diameter / field_angle
    return {
        "pixels_per_degree": round(centre, 4),
        "pixels_per_degree_range": [round(centre * magnification, 4) for magnification in scale],
    }


def training_diameter(
    photo: Photograph | BoxedPhotograph, fov_diameter: float, pixels_per_degree: float | None
) -> float:
    """The pixels that the field of view of a photograph is to have in training.

    Parameters
    ----------
    photo : Photograph or BoxedPhotograph
        The photograph.
    fov_diameter : float
        Pixels, the same for all photographs.
    pixels_per_degree : float or None
        Where it is given, each degree of the photograph's field angle gets as many instead.

    Returns
    -------
    float
        The diameter.

    Raises
    ------
    ValueError
        The field angle is needed, and the photograph does not carry it.
    """
    if pixels_per_degree is None:
        return fov_diameter
    if photo.field_angle is None:
        raise ValueError(f"The field angle of {photo.name} is not known; give it in degrees.")
    return round(pixels_per_degree * photo.field_angle)


def _positive(card: Mapping[str, Any], key: str) -> float:
    """A number of the card."""
    value = card[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"The card says {key} {value!r}; expected a positive number.")
    return float(value)


def _range(card: Mapping[str, Any], centre: float) -> tuple[float, float]:
    """The lowest and the highest scale of the training; from 0 where the card does not say it."""
    given = card.get("pixels_per_degree_range")
    if given is None:
        return 0.0, math.inf
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not 0 < low <= centre <= high < math.inf:
        raise ValueError(
            f"The card says pixels_per_degree_range {given!r}; expected the lowest and the highest "
            f"number, with pixels_per_degree ({centre:g}) between them."
        )
    return low, high
