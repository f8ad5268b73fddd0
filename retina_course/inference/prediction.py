"""From an image of any size to probabilities: padding, tiles, mirror images."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course.data.images import ImageSource, read_image
from retina_course.inference.tiles import in_tiles, tiling

FLIPS = ((), (-1,), (-2,), (-2, -1))


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
    tile, overlap = tiling(rgb.shape[-2:], multiple, tile, overlap)
    if device is not None:
        model.to(device)
    total = 0
    with evaluating(model), torch.inference_mode():
        for axes in FLIPS if flips else FLIPS[:1]:
            padded = pad(rgb.flip(axes), multiple)
            probabilities = in_tiles(partial(_probabilities, model), padded, tile, overlap)
            total = total + probabilities[:, : rgb.shape[1], : rgb.shape[2]].flip(axes)
        total = total / len(FLIPS) if flips else total
    return total.clone()  # an ordinary tensor: inference tensors cannot be used in autograd


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


def pad(image: Tensor, multiple: int) -> Tensor:
    """The image `(C, H, W)` with its last row and column repeated up to the next multiples."""
    bottom, right = (-side % multiple for side in image.shape[1:])
    return F.pad(image, (0, right, 0, bottom), mode="replicate")
