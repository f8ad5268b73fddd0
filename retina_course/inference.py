"""From a photograph to probabilities: padding, tiles, flips, and the scale of other cameras."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course.data.datasets import Photograph, field_of_view
from retina_course.images import ImageSource, read_image

WHOLE_PIXELS = 2**21  # larger images go through the network in tiles
TILE = 1536
FLIPS = ((), (-1,), (-2,), (-2, -1))
BORDER = 32  # where the frame cuts the field of view, edge pixels go on: else networks see an edge
SAME_SCALE = 0.05  # a field of view this near to the training size is not resampled


class Segmentation(NamedTuple):
    """Vessel probability, float32 `(H, W)`, 0 outside the field of view; and that field, bool."""

    probability: Tensor
    fov: Tensor


def predict(
    model: nn.Module,
    image: ImageSource,
    *,
    tile: int | None = None,
    overlap: int | None = None,
    flips: bool = False,
    device: str | torch.device | None = None,
) -> Tensor:
    """Probabilities, float32 `(num_classes, H, W)` on the CPU, at the image's own size.

    A sigmoid of one output, a softmax over several. The image is padded (edge pixels repeated) to
    the model's `size_multiple`, and the padding cut off again. The model is put in eval mode and
    back.

    Images of more than 2**21 pixels are computed in tiles, of which only the centre is kept.
    Tiles begin at multiples of `size_multiple`, so a convolutional network whose receptive field
    reaches no further than `overlap` gives the same result as on the whole image, without seams.

    Parameters
    ----------
    image : see `read_image`; any size.
    tile : side of the tiles in pixels, a multiple of `size_multiple`; for images of any size.
    overlap : pixels around a tile's centre that are computed and not kept, a multiple of
        `size_multiple`. Default: the larger of 128 and 8 x `size_multiple`, at most `tile` / 4.
    flips : average the probabilities over the image and its three mirror images.
    device : the model is moved there first; by default it stays where it is.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError : see `read_image`; tiles that do not fit; a model
        that does not give logits `(N, C, H, W)`.
    """
    rgb = read_image(image)
    # SegNet takes any size, but tiles must begin where its pooling windows do.
    multiple = getattr(model, "total_stride", getattr(model, "size_multiple", 1))
    tile, overlap = _tiling(rgb.shape[-2:], multiple, tile, overlap)
    if device is not None:
        model.to(device)
    total = 0
    with evaluating(model), torch.inference_mode():
        for axes in FLIPS if flips else FLIPS[:1]:
            padded = pad(rgb.flip(axes), multiple)
            probabilities = _in_tiles(model, padded, tile, overlap)
            total = total + probabilities[:, : rgb.shape[1], : rgb.shape[2]].flip(axes)
        total = total / len(FLIPS) if flips else total
    return total.clone()  # an ordinary tensor: inference tensors cannot be used in autograd


def segment(
    model: nn.Module,
    image: ImageSource,
    card: dict,
    *,
    flips: bool = True,
    fov: np.ndarray | Tensor | None = None,
) -> Segmentation:
    """Vessel probabilities of a photograph from any camera.

    Vessels must be about as wide, in pixels, as those that the model has seen. The photograph is
    therefore resampled until the diameter of its field of view (the longer side of the field's
    bounding box, which is right also where the disc is cut off on two sides) is
    `card["fov_diameter"]` pixels; the probabilities are resampled back. Within 5 % of that
    diameter nothing is resampled.

    Parameters
    ----------
    model, card : as `weights.load` returns them. Of several outputs, class 1 is the vessels.
    image : see `read_image`.
    flips : see `predict`.
    fov : bool `(H, W)`, where a set has official masks. Default: `datasets.field_of_view`, or the
        whole frame where that finds less than a tenth of it.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError : see `read_image`; a black image; a mask of
        another size; a card without `fov_diameter`.
    """
    wanted = card.get("fov_diameter")
    if not wanted or wanted <= 0:
        raise ValueError(f"The card must give fov_diameter, in pixels; it says {wanted!r}.")
    rgb = read_image(image)
    fov = find_fov(rgb) if fov is None else torch.as_tensor(fov).bool()
    if fov.shape != rgb.shape[1:] or not fov.any():
        raise ValueError(
            f"Expected a field of view of the image's size {tuple(rgb.shape[1:])} that is not "
            f"empty, got shape {tuple(fov.shape)} with {int(fov.sum())} pixels inside."
        )
    rows, columns, size = working_view(fov, wanted)
    crop = rgb[:, rows, columns]
    view = F.pad(resize(crop, size).clamp(0, 1), (BORDER,) * 4, mode="replicate")
    outputs = predict(model, view, flips=flips)[:, BORDER:-BORDER, BORDER:-BORDER]
    vessels = outputs[:1] if len(outputs) == 1 else outputs[1:2]
    probability = torch.zeros(fov.shape)
    probability[rows, columns] = resize(vessels, crop.shape[1:])[0].clamp(0, 1)
    return Segmentation(probability * fov, fov)


def segment_all(
    model: nn.Module, photographs: Iterable[Photograph], card: dict, *, flips: bool = True
) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
    """Vessel probabilities, targets and fields of view of a data set, as `metrics` takes them."""
    photographs = list(photographs)
    probabilities = [
        segment(model, photo.image, card, flips=flips, fov=photo.fov).probability.numpy()
        for photo in photographs
    ]
    return probabilities, [p.vessels for p in photographs], [p.fov for p in photographs]


def working_view(fov: Tensor, diameter: int) -> tuple[slice, slice, list[int]]:
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


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the `with` block; afterwards each module has the mode it had before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _tiling(
    size: tuple[int, int], multiple: int, tile: int | None, overlap: int | None
) -> tuple[int, int]:
    if tile is None and overlap is None and size[0] * size[1] <= WHOLE_PIXELS:
        whole = _round_up(max(size), multiple)
        return whole, 0
    reach = _round_up(max(128, 8 * multiple), multiple)
    if tile is None:
        tile = _round_up(max(TILE, 4 * (reach if overlap is None else overlap)), multiple)
    if overlap is None:
        overlap = min(reach, tile // 4 // multiple * multiple)
    if tile % multiple or overlap % multiple or overlap < 0 or tile <= 2 * overlap:
        raise ValueError(
            f"tile and overlap must be multiples of {multiple} with tile > 2 x overlap >= 0, "
            f"got tile={tile}, overlap={overlap}."
        )
    return tile, overlap


def _in_tiles(model: nn.Module, image: Tensor, tile: int, overlap: int) -> Tensor:
    """Probabilities of a padded image; only the centres of the tiles are kept."""
    height, width = image.shape[1:]
    result = None
    for top, bottom, y in _spans(height, tile, overlap):
        for left, right, x in _spans(width, tile, overlap):
            part = _probabilities(model, image[None, :, top:bottom, left:right])
            if result is None:
                result = torch.empty(part.shape[0], height, width)
            keep_y = slice(y.start - top, y.stop - top)
            keep_x = slice(x.start - left, x.stop - left)
            result[:, y, x] = part[:, keep_y, keep_x].cpu()
    return result


def _spans(length: int, tile: int, overlap: int) -> Iterator[tuple[int, int, slice]]:
    """Along one side: where each tile begins and ends, and the part of it that is kept."""
    if length <= tile:
        yield 0, length, slice(0, length)
        return
    core = tile - 2 * overlap
    for start in range(0, length, core):
        stop = min(start + core, length)
        yield max(0, start - overlap), min(length, stop + overlap), slice(start, stop)


def _probabilities(model: nn.Module, x: Tensor) -> Tensor:
    parameter = next(model.parameters(), x)
    logits = model(x.to(parameter.device, parameter.dtype))
    if not isinstance(logits, Tensor) or logits.dim() != 4 or logits.shape[2:] != x.shape[2:]:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"predict needs a model that returns logits (N, C, {x.shape[2]}, {x.shape[3]}); "
            f"{type(model).__name__} returned {got}."
        )
    logits = logits[0].float()
    return logits.sigmoid() if len(logits) == 1 else logits.softmax(dim=0)


def find_fov(rgb: Tensor) -> Tensor:
    """The field of view of an image `(3, H, W)`, or all of it where that is below a tenth."""
    found = field_of_view((rgb.permute(1, 2, 0) * 255).round().byte().numpy())
    found = torch.from_numpy(np.asarray(found, dtype=bool))
    return found if found.float().mean() >= 0.1 else torch.ones_like(found)


def pad(image: Tensor, multiple: int) -> Tensor:
    """The image `(C, H, W)` with its last row and column repeated up to the next multiples."""
    bottom, right = (-side % multiple for side in image.shape[1:])
    return F.pad(image, (0, right, 0, bottom), mode="replicate")


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
