"""Folding: blocks of pixels become channels of a smaller feature map, and back.

Also called space-to-depth and depth-to-space, pixel-unshuffle and pixel-shuffle
(arXiv 1609.05158; its Eq. 4 numbers the channels in another order). A small device can then read
the whole image in its first layer.
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.models.blocks import check_input


def fold(x: Tensor, a: int) -> Tensor:
    """Turn each a x a block of pixels into a^2 channels of one pixel.

    Channel `c a^2 + i a + j` of the result holds row i, column j of every block of channel c: the
    order of `torch.nn.functional.pixel_unshuffle`.

    Parameters
    ----------
    x : Tensor
        Images `(..., C, a H, a W)`.
    a : int
        Side of the blocks, in pixels.

    Returns
    -------
    Tensor
        Folded images `(..., C a^2, H, W)`.

    Raises
    ------
    ValueError
        If `a` is not a positive integer, or does not divide height and width.

    Examples
    --------
    >>> import torch
    >>> from retina_course.models import fold
    >>> x = torch.arange(8).view(1, 1, 2, 4)
    >>> x[0, 0].tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    >>> fold(x, 2).shape
    torch.Size([1, 4, 1, 2])
    >>> fold(x, 2)[0, :, 0].tolist()
    [[0, 2], [1, 3], [4, 6], [5, 7]]
    """
    check_fold(a)
    height, width = x.shape[-2:]
    if height % a or width % a:
        raise ValueError(f"fold={a} must divide height and width, got {height}x{width}.")
    return F.pixel_unshuffle(x, a)


def unfold(x: Tensor, a: int) -> Tensor:
    """Turn a^2 channels of each pixel back into an a x a block: the inverse of `fold`.

    Parameters
    ----------
    x : Tensor
        Folded images `(..., C a^2, H, W)`.
    a : int
        Side of the blocks, in pixels.

    Returns
    -------
    Tensor
        Images `(..., C, a H, a W)`.

    Raises
    ------
    ValueError
        If `a` is not a positive integer, or a^2 does not divide the number of channels.

    Examples
    --------
    >>> import torch
    >>> from retina_course.models import fold, unfold
    >>> x = torch.arange(96.0).view(2, 3, 4, 4)
    >>> torch.equal(unfold(fold(x, 2), 2), x)
    True
    """
    check_fold(a)
    if x.shape[-3] % a**2:
        raise ValueError(f"fold={a} needs a multiple of {a**2} channels, got {x.shape[-3]}.")
    return F.pixel_shuffle(x, a)


class Folded(nn.Module):
    """A network between `fold` and `unfold`: it sees a small image with many channels.

    `(N, C_in, H, W) -> (N, C_out, H, W)` logits, where the network inside maps
    `(N, C_in a^2, H / a, W / a)` to `(N, C_out a^2, H / a, W / a)`. The loss is computed on the
    unfolded logits, with one vector of `C_out` classes per pixel.

    Parameters
    ----------
    network : Module
        A network of this course, built for the folded channel counts.
    fold : int
        Side a of the blocks, in pixels.

    Raises
    ------
    ValueError
        If `fold` is not a positive integer, or fold^2 does not divide the network's channel
        counts; on a call also if height or width is not a multiple of fold times the network's
        own `size_multiple`, or the input does not fit otherwise (see `blocks.check_input`).
    TypeError
        On a call, if the input is not a floating-point tensor.

    Examples
    --------
    RGB images, two classes, blocks of 4 x 4 pixels:

    >>> import torch
    >>> from retina_course.models import Folded, UNetLarge
    >>> model = Folded(UNetLarge(3 * 4 * 4, 2 * 4 * 4), fold=4)
    >>> model(torch.rand(1, 3, 64, 96)).shape
    torch.Size([1, 2, 64, 96])
    """

    def __init__(self, network: nn.Module, fold: int) -> None:
        super().__init__()
        check_fold(fold)
        for name in ("in_channels", "num_classes"):
            if getattr(network, name) % fold**2:
                raise ValueError(
                    f"fold={fold} needs a network whose {name} is a multiple of {fold**2}, "
                    f"got {getattr(network, name)}."
                )
        self.fold = fold
        self.network = network
        # To a type checker an attribute of any nn.Module is a tensor or a module.
        self.in_channels = cast(int, network.in_channels) // fold**2
        self.num_classes = cast(int, network.num_classes) // fold**2
        self.size_multiple = cast(int, network.size_multiple) * fold

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        return unfold(self.network(fold(x, self.fold)), self.fold)


def check_fold(a: int) -> None:
    """Check that the side of the blocks is a positive integer.

    Parameters
    ----------
    a : int
        Side of the blocks, in pixels.

    Raises
    ------
    ValueError
        If `a` is not a positive integer.
    """
    if not isinstance(a, int) or isinstance(a, bool) or a < 1:
        raise ValueError(f"fold must be a positive integer, got {a!r}.")
