"""SegNet, modified: an encoder-decoder that remembers the place of each maximum.

The paper is arXiv 1511.00561; the document describes four levels instead of its five, a batch norm
on the input, and stored pooling indices and shapes.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from retina_course.models.blocks import bn_relu, check_channels, check_choice, check_input

HEADS = ("logits", "documented")


class SegNet(nn.Module):
    """Encoder of 64, 128, 256 and 512 channels, and a decoder that unpools by pooling indices.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)`, any H and W of at least 16. All convolutions
    are 3x3 without bias, followed by batch norm and ReLU. 15,274,892 parameters with 3 classes and
    the documented head, 1,749,671 of them with separable convolutions.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of output channels.
    head : {"logits", "documented"}
        "logits" (default) ends with a plain convolution with bias. "documented" ends with batch
        norm and ReLU like all other layers: its outputs are never negative, and where all are 0
        no gradient passes.
    separable : bool, default False
        Whether every convolution becomes a depthwise 3x3 and a 1x1 convolution ("SegNet-D").

    Raises
    ------
    ValueError
        If an option does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    Odd heights and widths come back, because the decoder knows the shapes before each pooling:

    >>> import torch
    >>> from retina_course import SegNet
    >>> model = SegNet(num_classes=3, separable=True)
    >>> model(torch.rand(1, 3, 19, 37)).shape
    torch.Size([1, 3, 19, 37])
    """

    size_multiple = 1
    total_stride = 16  # four halvings: where tiles of a large image may begin

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1,
        *,
        head: str = "logits",
        separable: bool = False,
    ) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        check_choice("head", head, HEADS)
        self.in_channels, self.num_classes = in_channels, num_classes
        conv = separable_conv if separable else conv3x3
        self.bn_input = nn.BatchNorm2d(in_channels)
        self.down1 = stage(conv, in_channels, 64, 64)
        self.down2 = stage(conv, 64, 128, 128)
        self.down3 = stage(conv, 128, 256, 256, 256)
        self.down4 = stage(conv, 256, 512, 512, 512)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.up4 = stage(conv, 512, 512, 512, 256)
        self.up3 = stage(conv, 256, 256, 256, 128)
        self.up2 = stage(conv, 128, 128, 64)
        self.up1 = stage(conv, 64, 64)
        if head == "logits":
            self.head = nn.Sequential(*conv(64, num_classes, bias=True))
        else:
            self.head = stage(conv, 64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple, smallest=self.total_stride)
        x1 = self.down1(self.bn_input(x))
        p1, indices1 = self.pool(x1)
        x2 = self.down2(p1)
        p2, indices2 = self.pool(x2)
        x3 = self.down3(p2)
        p3, indices3 = self.pool(x3)
        x4 = self.down4(p3)
        p4, indices4 = self.pool(x4)
        # The stored shapes make odd sides come back: 2 x floor(5 / 2) is 4, not 5.
        y4 = self.up4(self.unpool(p4, indices4, x4.shape))
        y3 = self.up3(self.unpool(y4, indices3, x3.shape))
        y2 = self.up2(self.unpool(y3, indices2, x2.shape))
        y1 = self.up1(self.unpool(y2, indices1, x1.shape))
        return self.head(y1)


def conv3x3(in_channels: int, out_channels: int, bias: bool = False) -> list[nn.Module]:
    """A 3x3 convolution that keeps height and width.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    bias : bool, default False
        Whether the convolution has a bias.

    Returns
    -------
    list of Module
        The one layer.
    """
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)]


def separable_conv(in_channels: int, out_channels: int, bias: bool = False) -> list[nn.Module]:
    """One 3x3 filter for each input channel, then a 1x1 convolution that mixes the channels.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    bias : bool, default False
        Whether the 1x1 convolution has a bias.

    Returns
    -------
    list of Module
        The two layers.
    """
    return [
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=bias),
    ]


def stage(conv: Callable[[int, int], list[nn.Module]], *channels: int) -> nn.Sequential:
    """Convolution, batch norm and ReLU for each step from one channel count to the next.

    Parameters
    ----------
    conv : callable
        Makes the convolution for an input and an output channel count, e.g. `conv3x3`.
    *channels : int
        Channels of the input, then of the output of each convolution.

    Returns
    -------
    Sequential
        The layers, which keep height and width.
    """
    return nn.Sequential(
        *(layer for i, o in pairwise(channels) for layer in (*conv(i, o), *bn_relu(o)))
    )
