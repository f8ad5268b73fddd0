"""The part of a photograph that a network sees, and the scale that it sees it at."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from retina_course.data.reading import field_of_view

SAME_SCALE = 0.05  # a field of view this near to the training size is not resampled


def fov_window(fov: Tensor, diameter: int) -> tuple[slice, slice, list[int]]:
    """The part of a photograph that a network looks at, and the size that it looks at it in.

    Parameters
    ----------
    fov : bool `(H, W)`, not empty.
    diameter : pixels that the longer side of the field's box is to have.

    Returns
    -------
    rows, columns : the field's box with a margin of 1/20 of its longer side.
    size : height and width to resample that part to; its own where they differ by at most 5 %.
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


def resize(x: Tensor, size: list[int] | tuple[int, int]) -> Tensor:
    """Resample `(C, H, W)` to `size`, bilinearly and, where it shrinks, antialiased."""
    if tuple(x.shape[1:]) == tuple(size):
        return x
    return F.interpolate(x[None], size=tuple(size), mode="bilinear", antialias=True)[0]


def find_fov(rgb: Tensor) -> Tensor:
    """The field of view of an image `(3, H, W)`, or all of it where that is below a tenth."""
    found = field_of_view((rgb.permute(1, 2, 0) * 255).round().byte().numpy())
    found = torch.from_numpy(np.asarray(found, dtype=bool))
    return found if found.float().mean() >= 0.1 else torch.ones_like(found)


def crop_to_fov(rgb: Tensor, fov_diameter: int) -> tuple[Tensor, tuple[int, int], Tensor]:
    """What a detector looks at: the field of view of a photograph `(3, H, W)`, at its scale.

    Returns
    -------
    crop `(3, h, w)`; the top and left of its part of the photograph; and crop pixels a photograph
    pixel, float32 `(4,)` for x, y, x, y.
    """
    rows, columns, size = fov_window(find_fov(rgb), fov_diameter)
    part = rgb[:, rows, columns]
    crop = resize(part, size).clamp(0, 1)
    x, y = size[1] / part.shape[2], size[0] / part.shape[1]
    return crop, (rows.start, columns.start), torch.tensor([x, y, x, y])


def trained_diameter(card: dict) -> float:
    """The diameter of the field of view, in pixels, that the network of this card was trained on.

    Raises
    ------
    ValueError : the card does not give it.
    """
    diameter = card.get("fov_diameter")
    if not diameter or diameter <= 0:
        raise ValueError(f"The card must give fov_diameter, in pixels; it says {diameter!r}.")
    return diameter
