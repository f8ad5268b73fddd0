"""The part of a photograph that a network sees, and the scale that it sees it at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from retina_course.data.reading import field_of_view

SAME_SCALE = 0.05  # a field of view this near to the training size is not resampled


def fov_window(fov: Tensor, diameter: float) -> tuple[slice, slice, list[int]]:
    """The part of a photograph that a network looks at, and the size that it looks at it in.

    Parameters
    ----------
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.
    diameter : float
        Pixels that the longer side of the field's bounding box is to have.

    Returns
    -------
    rows : slice
        Rows of the field's bounding box with a margin of 1/20 of its longer side.
    columns : slice
        Columns of the same box.
    size : list of int
        Height and width to resample that part to. Where they differ by at most 5 %, they are
        the part's own.

    Examples
    --------
    >>> fov = torch.zeros(100, 200, dtype=torch.bool)
    >>> fov[10:90, 60:140] = True
    >>> fov_window(fov, diameter=40)
    (slice(6, 94, None), slice(56, 144, None), [44, 44])
    """
    spans = [fov.any(dim=axis).nonzero().flatten() for axis in (1, 0)]
    found = max(int(span[-1] - span[0]) + 1 for span in spans)
    rows, columns = (
        slice(max(0, int(span[0]) - found // 20), min(side, int(span[-1]) + 1 + found // 20))
        for span, side in zip(spans, fov.shape, strict=True)
    )
    scale = diameter / found
    if abs(scale - 1) <= SAME_SCALE:
        scale = 1
    size = [max(1, round((part.stop - part.start) * scale)) for part in (rows, columns)]
    return rows, columns, size


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resample to another size, bilinearly and, where it shrinks, antialiased.

    Parameters
    ----------
    x : Tensor
        `(C, H, W)`, floating point.
    size : sequence of int
        New height and width.

    Returns
    -------
    Tensor
        `(C, *size)`; `x` itself where it has this size.

    Examples
    --------
    >>> resize(torch.tensor([[[0.0, 1.0]]]), (1, 4))
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    if tuple(x.shape[1:]) == tuple(size):
        return x
    return F.interpolate(x[None], size=tuple(size), mode="bilinear", antialias=True)[0]


def find_fov(rgb: Tensor) -> Tensor:
    """The field of view of an image, or the whole image where that is below a tenth of it.

    Parameters
    ----------
    rgb : Tensor
        `(3, H, W)` in [0, 1].

    Returns
    -------
    Tensor of bool
        `(H, W)`, True inside the field of view.

    Raises
    ------
    ValueError
        The image is black, see `data.reading.field_of_view`.
    """
    mask = field_of_view((rgb.permute(1, 2, 0) * 255).round().byte().numpy())
    fov = torch.from_numpy(np.asarray(mask, dtype=bool))
    return fov if fov.float().mean() >= 0.1 else torch.ones_like(fov)


def crop_to_fov(rgb: Tensor, fov_diameter: float) -> tuple[Tensor, tuple[int, int], Tensor]:
    """What a detector looks at: the field of view of a photograph, at the detector's scale.

    Parameters
    ----------
    rgb : Tensor
        A photograph, `(3, H, W)` in [0, 1].
    fov_diameter : float
        Pixels that the diameter of the field of view is to have.

    Returns
    -------
    crop : Tensor
        The resampled part, `(3, h, w)`.
    corner : tuple of int
        Top and left of that part in the photograph, in pixels.
    scale : Tensor
        Crop pixels per photograph pixel, float32 `(4,)` for x, y, x, y.

    Raises
    ------
    ValueError
        The photograph is black.

    Examples
    --------
    >>> crop, corner, scale = crop_to_fov(torch.full((3, 40, 80), 0.5), fov_diameter=20)
    >>> crop.shape, corner, scale
    (torch.Size([3, 10, 20]), (0, 0), tensor([0.2500, 0.2500, 0.2500, 0.2500]))
    """
    rows, columns, size = fov_window(find_fov(rgb), fov_diameter)
    part = rgb[:, rows, columns]
    crop = resize(part, size).clamp(0, 1)
    x, y = size[1] / part.shape[2], size[0] / part.shape[1]
    return crop, (rows.start, columns.start), torch.tensor([x, y, x, y])


def trained_diameter(card: Mapping[str, Any]) -> float:
    """The diameter of the field of view, in pixels, that the network of a card was trained on.

    Parameters
    ----------
    card : mapping
        A card as `weights.load` returns it.

    Returns
    -------
    float
        The card's `fov_diameter`.

    Raises
    ------
    ValueError
        The card does not give it, or gives no positive number.
    """
    diameter = card.get("fov_diameter")
    if not diameter or diameter <= 0:
        raise ValueError(f"The card must give fov_diameter, in pixels; it says {diameter!r}.")
    return diameter
