"""The part of a photograph that a network sees, and the scale that it sees it at."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from retina_course.data.reading import field_of_view
from retina_course.inference.colours import darken_surround

SAME_SCALE = 0.05  # a field of view this near to the training size is not resampled


def bounding_box(fov: Tensor) -> tuple[slice, slice]:
    """The rows and columns that a field of view spans.

    Parameters
    ----------
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.

    Returns
    -------
    rows : slice
        From the first row with a pixel of the field to the last.
    columns : slice
        Likewise.

    Examples
    --------
    >>> bounding_box(torch.tensor([[False, False, False], [False, True, True]]))
    (slice(1, 2, None), slice(1, 3, None))
    """
    spans = [fov.any(dim=axis).nonzero().flatten() for axis in (1, 0)]
    rows, columns = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return rows, columns


def measured_diameter(fov: Tensor) -> int:
    """The diameter of a field of view: the longer side of its bounding box.

    That is right also where the image cuts the disc off on two sides.

    Parameters
    ----------
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.

    Returns
    -------
    int
        Pixels.

    Examples
    --------
    >>> measured_diameter(torch.ones(3, 7, dtype=torch.bool))
    7
    """
    return max(side.stop - side.start for side in bounding_box(fov))


def fov_window(
    fov: Tensor, diameter: float, own_diameter: float | None = None
) -> tuple[slice, slice, list[int]]:
    """The part of a photograph that a network looks at, and the size that it looks at it in.

    Parameters
    ----------
    fov : Tensor of bool
        The field of view, `(H, W)`, not empty.
    diameter : float
        Pixels that the diameter of the field is to have.
    own_diameter : float, optional
        Pixels that it has, for a photograph that shows a part of the field. Default: the longer
        side of the field's bounding box.

    Returns
    -------
    rows : slice
        Rows of the field's bounding box with a margin of 1/20 of its longer side.
    columns : slice
        Columns of the same box.
    size : list of int
        Height and width to resample that part to. Where they differ by at most 5 %, they are
        the part's own.

    Raises
    ------
    ValueError
        `own_diameter` is smaller than what was found, infinite or NaN: a part is not larger than
        the whole.

    Examples
    --------
    >>> fov = torch.zeros(100, 200, dtype=torch.bool)
    >>> fov[10:90, 60:140] = True
    >>> fov_window(fov, diameter=40)
    (slice(6, 94, None), slice(56, 144, None), [44, 44])
    """
    found = measured_diameter(fov)
    if own_diameter is not None and not found <= own_diameter * (1 + SAME_SCALE) < math.inf:
        raise ValueError(
            f"The diameter of the field of view is given as {own_diameter:g} pixels, but {found} "
            "pixels of it are in the picture. Give the diameter of the whole field."
        )
    rows, columns = (
        slice(max(0, span.start - found // 20), min(side, span.stop + found // 20))
        for span, side in zip(bounding_box(fov), fov.shape, strict=True)
    )
    scale = diameter / (own_diameter or found)
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


def as_fov(fov: np.ndarray | Tensor | None, rgb: Tensor) -> Tensor:
    """The field of view that a user gives, checked, or that of the image.

    Parameters
    ----------
    fov : ndarray of bool, Tensor of bool or None
        `(H, W)`. None: see `find_fov`.
    rgb : Tensor
        The photograph, `(3, H, W)` in [0, 1].

    Returns
    -------
    Tensor of bool
        `(H, W)`, not empty.

    Raises
    ------
    ValueError
        The mask is empty or has another size than the image, or the image is black.
    """
    if fov is None:
        return find_fov(rgb)
    fov = torch.as_tensor(fov).bool()
    if fov.shape != rgb.shape[1:] or not fov.any():
        raise ValueError(
            f"Expected a field of view of the image's size {tuple(rgb.shape[1:])} that is not "
            f"empty, got shape {tuple(fov.shape)} with {int(fov.sum())} pixels inside."
        )
    return fov


def crop_to_fov(
    rgb: Tensor,
    fov_diameter: float,
    fov: Tensor | None = None,
    own_diameter: float | None = None,
) -> tuple[Tensor, tuple[int, int], Tensor]:
    """What a detector looks at: the field of view of a photograph, at the detector's scale.

    Parameters
    ----------
    rgb : Tensor
        A photograph, `(3, H, W)` in [0, 1].
    fov_diameter : float
        Pixels that the diameter of the field of view is to have.
    fov : Tensor of bool, optional
        The field of view, `(H, W)`. Default: see `find_fov`.
    own_diameter : float, optional
        Pixels that the diameter has, see `fov_window`.

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
    fov = find_fov(rgb) if fov is None else fov
    rows, columns, size = fov_window(fov, fov_diameter, own_diameter)
    part = darken_surround(rgb, fov)[:, rows, columns]
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
        raise ValueError(
            "The card must give pixels_per_degree, or fov_diameter in pixels; its fov_diameter is "
            f"{diameter!r}."
        )
    return diameter
