"""WNet: two small U-Nets in a row, the second of which corrects the first.

Source: "The Little W-Net That Could", arXiv 2009.01907. The second U-Net sees the image together
with the first one's logits; both are trained on the same vessels.
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import check_channels, check_input


class WNet(nn.Module):
    """Two U-Nets of three levels with 8, 16 and 32 channels, one behind the other.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 4.
    68,482 parameters with 3 input channels and one output.

    In eval mode the result is the logits of stage 2. In training mode it is the logits of both
    stages, because the loss is the sum of both losses: without its own loss, stage 1 would only
    hand on some feature map. `fit` adds them up.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of output channels of each stage (1: vessel or not, by a sigmoid outside the model).

    Raises
    ------
    ValueError
        If a channel count does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import WNet
    >>> model = WNet()
    >>> [logits.shape for logits in model(torch.rand(2, 3, 64, 96))]
    [torch.Size([2, 1, 64, 96]), torch.Size([2, 1, 64, 96])]
    >>> model.eval()(torch.rand(2, 3, 64, 96)).shape
    torch.Size([2, 1, 64, 96])
    >>> sum(p.numel() for p in model.parameters())
    68482
    """

    size_multiple = 4

    def __init__(self, in_channels: int = 3, num_classes: int = 1) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.stage1 = Stage(in_channels, num_classes)
        self.stage2 = Stage(in_channels + num_classes, num_classes)

    @property
    def supervised_stages(self) -> tuple[nn.Module, nn.Module]:
        """The two U-Nets, each with a head that has a loss of its own."""
        return self.stage1, self.stage2

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        check_input(x, self.in_channels, self.size_multiple)
        first = self.stage1(x)
        second = self.stage2(torch.cat([x, first], dim=1))
        return (first, second) if self.training else second


class Stage(nn.Module):
    """One of the two U-Nets: `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits.

    Parameters
    ----------
    in_channels, num_classes : int
        Channels of the input and of the output.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.enc1 = ResidualBlock(in_channels, 8)
        self.enc2 = DownBlock(8, 16)
        self.enc3 = DownBlock(16, 32)
        self.dec2 = UpBlock(32, 16)
        self.dec1 = UpBlock(16, 8)
        self.head = nn.Conv2d(8, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.enc1(x)
        e2 = self.enc2(e1)
        e3 = self.enc3(e2)
        d2 = self.dec2(self.dec2.join(e3, e2))
        d1 = self.dec1(self.dec1.join(d2, e1))
        return self.head(d1)


class ResidualBlock(nn.Sequential):
    """Twice convolution, ReLU and batch norm, plus a shortcut of a 1x1 convolution and batch norm.

    `(N, in_channels, H, W) -> (N, out_channels, H, W)`. Nothing follows the sum.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            *conv_relu_bn(in_channels, out_channels), *conv_relu_bn(out_channels, out_channels)
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in list(self)[:6]:  # behind them stand the shortcut and what a subclass adds
            y = layer(y)
        return y + self.shortcut(x)


class DownBlock(ResidualBlock):
    """Max pooling that halves height and width, then a residual block.

    `(N, in_channels, H, W) -> (N, out_channels, H / 2, W / 2)`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.pool(x))


class UpBlock(ResidualBlock):
    """A residual block that takes what `join` makes of the level below and the encoder's map.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the level below, and of the encoder's map and the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(2 * out_channels, out_channels)
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.bridge = nn.Sequential(*conv_relu_bn(out_channels, out_channels))

    def join(self, below: Tensor, link: Tensor) -> Tensor:
        """Double height and width of the level below; stack the encoder's map behind it.

        The encoder's map first passes the bridge, a convolution, so that it need not serve encoder
        and decoder alike.

        Parameters
        ----------
        below : Tensor
            Feature map of the level below, `(N, in_channels, H / 2, W / 2)`.
        link : Tensor
            The encoder's feature map of this level, `(N, out_channels, H, W)`.

        Returns
        -------
        Tensor
            `(N, 2 out_channels, H, W)`.
        """
        return torch.cat([self.up(below), self.bridge(link)], dim=1)


def conv_relu_bn(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 3x3 convolution, ReLU, batch norm: in this order, unlike the course's other networks.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.

    Returns
    -------
    list of Module
        The three layers.
    """
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(out_channels),
    ]
