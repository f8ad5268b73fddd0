"""Colours as a network saw them in training: black around the field of view, grey tinted."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retina_course.data.images import ImageSource, read_image

DARK = 20 / 255  # around the field of view no channel of the median pixel is brighter
BLANK = 4 / 255  # standard deviation of the most varied channel in the field of view
GREY = 0.05  # colour of a pixel: largest less smallest channel, as a share of the largest


def saturation(rgb: Tensor, fov: Tensor) -> float:
    """How colourful a photograph is: 0 for grey, 1 where one channel of each pixel is 0.

    Parameters
    ----------
    rgb : Tensor
        `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.

    Returns
    -------
    float
        Mean of max(R, G, B) - min(R, G, B) in the field of view, divided by the mean of
        max(R, G, B). 313 colour photographs of CHASE_DB1, HRF and IDRiD have 0.53 to 1.00.

    Examples
    --------
    >>> rgb = torch.tensor([0.8, 0.4, 0.2]).view(3, 1, 1)
    >>> saturation(rgb, torch.ones(1, 1, dtype=torch.bool))
    0.75
    """
    brightest, darkest = rgb.amax(dim=0)[fov].mean(), rgb.amin(dim=0)[fov].mean()
    return round(float((brightest - darkest) / brightest.clamp_min(1e-6)), 4)


def surround(rgb: Tensor, fov: Tensor) -> float:
    """How bright it is around the field of view.

    Parameters
    ----------
    rgb : Tensor
        `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`.

    Returns
    -------
    float
        Median of max(R, G, B) outside the field of view; 0 where that fills the image.

    Examples
    --------
    >>> fov = torch.tensor([[True, False]])
    >>> surround(torch.tensor([[[0.5, 1.0]]]).expand(3, 1, 2), fov)
    1.0
    """
    outside = rgb.amax(dim=0)[~fov]
    return float(outside.median()) if len(outside) else 0.0


def darken_surround(rgb: Tensor, fov: Tensor) -> Tensor:
    """Make black what lies around the field of view, where it is not dark anyway.

    Parameters
    ----------
    rgb : Tensor
        `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`.

    Returns
    -------
    Tensor
        `(3, H, W)`; `rgb` itself where its surround is dark.

    Examples
    --------
    >>> fov = torch.tensor([[True, False]])
    >>> darken_surround(torch.tensor([[[0.5, 1.0]]]).expand(3, 1, 2), fov)[0]
    tensor([[0.5000, 0.0000]])
    """
    return rgb * fov if surround(rgb, fov) > DARK else rgb


def measure_colours(
    photographs: Iterable[tuple[ImageSource, np.ndarray | Tensor]],
) -> dict[str, list[float]]:
    """The colours of photographs inside their fields of view, for the card of a network.

    Parameters
    ----------
    photographs : iterable of tuple
        Photographs (see `read_image`) and their fields of view, bool `(H, W)`.

    Returns
    -------
    dict of str to list of float
        `mean` and `spread` (standard deviation) of R, G and B in [0, 1], each measured in every
        photograph and averaged over them; four decimals.

    Examples
    --------
    >>> green = np.zeros((2, 2, 3), np.uint8)
    >>> green[:, 0, 1] = 255
    >>> measure_colours([(green, np.array([[True, True], [True, True]]))])
    {'mean': [0.0, 0.5, 0.0], 'spread': [0.0, 0.5, 0.0]}
    """
    inside = (read_image(rgb)[:, torch.as_tensor(fov).bool()] for rgb, fov in photographs)
    measured = [torch.stack([part.mean(1), part.std(1, correction=0)]) for part in inside]
    mean, spread = torch.stack(measured).mean(dim=0).tolist()
    return {"mean": [round(x, 4) for x in mean], "spread": [round(x, 4) for x in spread]}


def trained_colours(card: Mapping[str, Any]) -> Tensor | None:
    """The colours of the photographs that the network of a card was trained on.

    Parameters
    ----------
    card : mapping
        A card as `weights.load` returns it.

    Returns
    -------
    Tensor or None
        `mean` and `spread` of `card["colours"]`, see `measure_colours`, float32 `(2, 3)`. None
        where the card does not give them, or gives None: the network learned from grey ones.

    Raises
    ------
    ValueError
        The card gives something else.

    Examples
    --------
    >>> trained_colours({"colours": {"mean": [0.61, 0.22, 0.04], "spread": [0.2, 0.1, 0.0]}})
    tensor([[0.6100, 0.2200, 0.0400],
            [0.2000, 0.1000, 0.0000]])
    """
    given = card.get("colours")
    if given is None:
        return None
    try:
        colours = torch.tensor([given["mean"], given["spread"]], dtype=torch.float32)
    except (KeyError, TypeError, ValueError):
        colours = torch.empty(0)
    if colours.shape != (2, 3) or not ((colours >= 0) & (colours <= 1)).all():
        raise ValueError(
            f"The card says colours {given!r}; expected mean and spread of R, G and B, 0 to 1."
        )
    return colours


def tint_grey(rgb: Tensor, fov: Tensor, card: Mapping[str, Any]) -> Tensor:
    """Give a grey photograph the colours of the photographs that a network was trained on.

    Each channel becomes the grey, shifted and stretched so that its mean and spread in the field
    of view are those of `card["colours"]`; around the field it is black. Networks trained on
    colours alone find next to nothing in grey.

    Parameters
    ----------
    rgb : Tensor
        `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.
    card : mapping
        The network's card. Without `colours` nothing is changed.

    Returns
    -------
    Tensor
        `(3, H, W)` in [0, 1]; `rgb` itself where it has colours (see `saturation`), or is blank.

    Raises
    ------
    ValueError
        See `trained_colours`.

    Examples
    --------
    >>> fov = torch.tensor([[True, True, False]])
    >>> grey = torch.tensor([[[0.2, 0.6, 0.0]]]).expand(3, 1, 3)
    >>> card = {"colours": {"mean": [0.6, 0.2, 0.04], "spread": [0.3, 0.1, 0.02]}}
    >>> tint_grey(grey, fov, card)[:, 0]
    tensor([[0.3000, 0.9000, 0.0000],
            [0.1000, 0.3000, 0.0000],
            [0.0200, 0.0600, 0.0000]])
    """
    colours = trained_colours(card)
    if colours is None or saturation(rgb, fov) >= GREY:
        return rgb
    grey = rgb.mean(dim=0, keepdim=True)
    own = grey[0][fov].std(correction=0)
    if own < BLANK:
        return rgb
    mean, spread = colours.view(2, 3, 1, 1)
    return (mean + (grey - grey[0][fov].mean()) * (spread / own)).clamp(0, 1) * fov
