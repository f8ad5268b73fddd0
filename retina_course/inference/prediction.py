"""From an image of any size to probabilities: padding, tiles, test-time augmentation."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from retina_course.data.images import ImageSource, read_image
from retina_course.inference.tiles import in_tiles, tiling

# The axes to flip for the image itself and for its three flips.
FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


def predict(
    model: nn.Module,
    image: ImageSource,
    *,
    tile: int | None = None,
    overlap: int | None = None,
    flips: bool = False,
    device: str | torch.device | None = None,
) -> Tensor:
    """Probabilities of every class, at the image's own size.

    Probabilities are a sigmoid of one output, or a softmax over several. The image is padded (edge
    pixels repeated) to the model's `size_multiple`, and the padding is cut off again. The model
    works in eval mode and then has the mode it had before. It may be wrapped: in `DataParallel`,
    `DistributedDataParallel`, `torch.compile` or a module of your own.

    Images of more than 2**21 pixels are computed in tiles, of which only the centre is kept.
    Tiles begin at multiples of `size_multiple`, so a convolutional network whose receptive field
    reaches no further than `overlap` gives the same result as on the whole image, without seams.

    Parameters
    ----------
    model : nn.Module
        A network that returns logits `(N, num_classes, H, W)`.
    image : str, PathLike, PIL image, ndarray or Tensor
        Any size; see `read_image`.
    tile : int, optional
        Side of the tiles in pixels, a multiple of `size_multiple`. If given, images of any size
        are computed in tiles.
    overlap : int, optional
        Pixels around a tile's centre that are computed and not kept, a multiple of
        `size_multiple`. Default: the larger of 128 and 8 x `size_multiple`, at most `tile` / 4.
    flips : bool, default False
        Test-time augmentation: average the probabilities over the image and its three flips.
    device : str or torch.device, optional
        The model is moved there first. By default it stays where it is.

    Returns
    -------
    Tensor
        Probabilities, float32 `(num_classes, H, W)` on the CPU.

    Raises
    ------
    ValueError
        The image cannot be used (see `read_image`), the tiles do not fit, or the model does not
        return logits `(N, C, H, W)`.
    TypeError
        `image` is not an image.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> from retina_course import create_model, make_fundus
    >>> model = create_model("unet_small", num_classes=2)
    >>> probabilities = predict(model, make_fundus((50, 70)).image)
    >>> probabilities.shape
    torch.Size([2, 50, 70])
    >>> torch.allclose(probabilities.sum(dim=0), torch.ones(50, 70))
    True
    """
    rgb = read_image(image)
    height, width = rgb.shape[1:]
    model = without_parallel(model)
    # SegNet takes any size, but tiles must begin where its pooling windows do.
    multiple = attribute(model, "total_stride") or attribute(model, "size_multiple") or 1
    tile, overlap = tiling((height, width), multiple, tile, overlap)
    if device is not None:
        model.to(device)
    total = torch.zeros(())
    with evaluating(model), torch.inference_mode():
        for axes in FLIPS if flips else FLIPS[:1]:
            padded = pad(rgb.flip(axes), multiple)
            probabilities = in_tiles(partial(_probabilities, model), padded, tile, overlap)
            total = total + probabilities[:, :height, :width].flip(axes)
        total = total / len(FLIPS) if flips else total
    return total.clone()  # an ordinary tensor: inference tensors cannot be used in autograd


def without_parallel(model: nn.Module) -> nn.Module:
    """The network inside `DataParallel` or `DistributedDataParallel`, which one image needs not.

    Distributed wrappers would wait in `forward` for processes that may compute something else.

    Parameters
    ----------
    model : nn.Module
        Any network; what `torch.compile` returns stays compiled, if the wrapper is around it.

    Returns
    -------
    nn.Module
        The network that computes the same.

    Examples
    --------
    >>> type(without_parallel(nn.DataParallel(nn.Identity()))).__name__
    'Identity'
    """
    compiled = getattr(model, "_orig_mod", model)  # what `torch.compile` was given
    if isinstance(compiled, nn.DataParallel | DistributedDataParallel):
        return without_parallel(compiled.module)
    return model


def attribute(model: nn.Module, name: str) -> Any:
    """An attribute of a network, also where the network is inside other modules.

    Parameters
    ----------
    model : nn.Module
        Any network.
    name : str
        Such as "size_multiple".

    Returns
    -------
    object
        That of the outermost module that has it; None where none has.

    Examples
    --------
    >>> from retina_course import create_model
    >>> attribute(nn.Sequential(nn.Identity(), create_model("unet_small")), "size_multiple")
    8
    """
    return next((getattr(m, name) for m in model.modules() if hasattr(m, name)), None)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the `with` block; afterwards each module has the mode it had before.

    Parameters
    ----------
    model : nn.Module
        Any network; its modules may be in different modes.

    Yields
    ------
    None
        Nothing; the block runs with the model in eval mode.

    Examples
    --------
    >>> model = nn.Dropout()
    >>> with evaluating(model):
    ...     model.training
    False
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _probabilities(model: nn.Module, x: Tensor) -> Tensor:
    """The model's probabilities `(K, h, w)`, float32, for one tile `(1, C, h, w)`."""
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
    """Repeat the last row and column of an image until height and width are multiples of a number.

    Parameters
    ----------
    image : Tensor
        `(C, H, W)`.
    multiple : int
        What height and width are to be multiples of, in pixels.

    Returns
    -------
    Tensor
        `(C, H', W')`, the smallest such size; the image lies at its top left.

    Examples
    --------
    >>> pad(torch.tensor([[[1.0, 2.0, 3.0]]]), 2)
    tensor([[[1., 2., 3., 3.],
             [1., 2., 3., 3.]]])
    """
    bottom, right = (-side % multiple for side in image.shape[1:])
    return F.pad(image, (0, right, 0, bottom), mode="replicate")
