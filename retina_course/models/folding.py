"""Folding: a image of few channels into a smaller one of many, and back.

Also called space-to-depth and depth-to-space, pixel-unshuffle and pixel-shuffle
(arXiv 1609.05158; its Eq. 4 numbers the channels in another order). A small device then reads all
of the image at its first layer.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.models.blocks import check_input


def fold(x: Tensor, a: int) -> Tensor:
    """Each a x a block of pixels becomes a^2 channels of one pixel.

    `(N, C, a H, a W) -> (N, C a^2, H, W)`; channel `c a^2 + i a + j` of the result holds row i,
    column j of every block of channel c: the order of `torch.nn.functional.pixel_unshuffle`.

    Raises
    ------
    ValueError : `a` is no positive integer, or does not divide height and width.
    """
    check_fold(a)
    height, width = x.shape[-2:]
    if height % a or width % a:
        raise ValueError(f"fold={a} must divide height and width, got {height}x{width}.")
    return F.pixel_unshuffle(x, a)


def unfold(x: Tensor, a: int) -> Tensor:
    """The inverse of `fold`: `(N, C a^2, H, W) -> (N, C, a H, a W)`.

    Raises
    ------
    ValueError : `a` is no positive integer, or a^2 does not divide the number of channels.
    """
    check_fold(a)
    if x.shape[-3] % a**2:
        raise ValueError(f"fold={a} needs a multiple of {a**2} channels, got {x.shape[-3]}.")
    return F.pixel_shuffle(x, a)


class Folded(nn.Module):
    """A network between `fold` and `unfold`: it sees a small image with many channels.

    `(N, C_in, H, W) -> (N, C_out, H, W)` logits, where the network inside maps
    `(N, C_in a^2, H / a, W / a)` to `(N, C_out a^2, H / a, W / a)`. The loss is computed on the
    unfolded logits, one vector of `C_out` classes a pixel.

    Parameters
    ----------
    network : a network of this course, built for the folded channel counts, e.g.
        `UNetLarge(3 * 4 * 4, 2 * 4 * 4)` for RGB, two classes and `fold=4`.
    fold : the side a of the blocks, in pixels.

    Raises
    ------
    ValueError : channel counts of the network that fold^2 does not divide, an input whose size is
        no multiple of fold x the network's own `size_multiple`; see `blocks.check_input`.
    """

    def __init__(self, network: nn.Module, fold: int):
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
        self.in_channels = network.in_channels // fold**2
        self.num_classes = network.num_classes // fold**2
        self.size_multiple = network.size_multiple * fold

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        return unfold(self.network(fold(x, self.fold)), self.fold)


def check_fold(a: int) -> None:
    if not isinstance(a, int) or isinstance(a, bool) or a < 1:
        raise ValueError(f"fold must be a positive integer, got {a!r}.")
