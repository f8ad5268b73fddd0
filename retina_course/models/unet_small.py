"""UNetSmall: a U-Net with one convolution per level, small enough for a microcontroller.

Documented as a printed module tree and a table of 28 rows; the idea is that of the L3U-net
(arXiv 2203.16528), the form that of the U-Net (arXiv 1505.04597).
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import check_channels, check_input, conv_bn_relu, upconv3x3


class UNetSmall(nn.Module):
    """U-Net of three levels with 4, 8 and 32 channels, and a bottleneck of 64.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 8.
    63,972 parameters with 3 input and 32 output channels, 63,445 with one output.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of output channels (1: vessel or not, by a sigmoid outside the model).

    Raises
    ------
    ValueError
        If a channel count does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import UNetSmall
    >>> model = UNetSmall(num_classes=1).eval()
    >>> with torch.inference_mode():
    ...     logits = model(torch.rand(2, 3, 64, 96))
    >>> logits.shape
    torch.Size([2, 1, 64, 96])
    >>> sum(p.numel() for p in model.parameters())
    63445
    """

    size_multiple = 8

    def __init__(self, in_channels: int = 3, num_classes: int = 1) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.enc1 = nn.Sequential(*conv_bn_relu(in_channels, 4))
        self.enc2 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(4, 8))
        self.enc3 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(8, 32))
        self.bneck = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(32, 64))
        self.upconv3 = upconv3x3(64, 32)
        self.dec3 = nn.Sequential(*conv_bn_relu(64, 32))
        self.upconv2 = upconv3x3(32, 8)
        self.dec2 = nn.Sequential(*conv_bn_relu(16, 8))
        self.upconv1 = upconv3x3(8, 4)
        self.dec1 = nn.Sequential(*conv_bn_relu(8, 16))
        self.conv = nn.Conv2d(16, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        e1 = self.enc1(x)
        e2 = self.enc2(e1)
        e3 = self.enc3(e2)
        b = self.bneck(e3)
        d3 = self.dec3(torch.cat([self.upconv3(b), e3], dim=1))
        d2 = self.dec2(torch.cat([self.upconv2(d3), e2], dim=1))
        d1 = self.dec1(torch.cat([self.upconv1(d2), e1], dim=1))
        return self.conv(d1)
