"""UNetLarge: the larger of the two microcontroller U-Nets, made for folded images.

Documented as a list of layers; the idea is that of the L3U-net (arXiv 2203.16528), the form that
of the U-Net (arXiv 1505.04597). `folding.Folded` around it gives the complete pipeline.
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import check_channels, check_input, conv_bn_relu, upconv3x3


class UNetLarge(nn.Module):
    """U-Net of three levels with 8, 28 and 56 channels, between stacks of 1x1 convolutions.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 8; the
    bottleneck has 112 channels. The network works at the size of its input: it neither folds nor
    unfolds, see `Folded`. 290,700 parameters with the documented 3 input and 256 output channels,
    273,615 with one output.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the input, 3 for RGB, 3 x fold^2 for folded RGB.
    num_classes : int, default 1
        Number of output channels; for folded output, classes x fold^2.

    Raises
    ------
    ValueError
        If a channel count does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import UNetLarge, create_model
    >>> UNetLarge(num_classes=2)(torch.rand(2, 3, 32, 48)).shape
    torch.Size([2, 2, 32, 48])

    Inside `Folded` it sees a smaller image with more channels:

    >>> model = create_model("unet_large", num_classes=2, fold=4)
    >>> model.network.in_channels, model.network.num_classes
    (48, 32)
    >>> model(torch.rand(2, 3, 64, 96)).shape
    torch.Size([2, 2, 64, 96])
    """

    size_multiple = 8

    def __init__(self, in_channels: int = 3, num_classes: int = 1) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.prep0 = nn.Sequential(*conv_bn_relu(in_channels, 64, 1))
        self.prep1 = nn.Sequential(*conv_bn_relu(64, 64, 1))
        self.prep2 = nn.Sequential(*conv_bn_relu(64, 32, 1))
        self.enc1 = nn.Sequential(*conv_bn_relu(32, 8))
        self.enc2 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(8, 28))
        self.enc3 = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(28, 56))
        self.bneck = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(56, 112))
        self.upconv3 = upconv3x3(112, 56)
        self.dec3 = nn.Sequential(*conv_bn_relu(112, 56))
        self.upconv2 = upconv3x3(56, 28)
        self.dec2 = nn.Sequential(*conv_bn_relu(56, 28))
        self.upconv1 = upconv3x3(28, 8)
        self.dec1 = nn.Sequential(*conv_bn_relu(16, 48))
        self.dec0 = nn.Sequential(*conv_bn_relu(48, 64))
        self.conv_p1 = nn.Sequential(*conv_bn_relu(64, 64, 1))
        self.conv_p2 = nn.Sequential(*conv_bn_relu(64, 64, 1))
        # As documented: no ReLU here, and batch norm even after the last convolution.
        self.conv_p3 = nn.Sequential(nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64))
        self.conv = nn.Sequential(nn.Conv2d(64, num_classes, 1), nn.BatchNorm2d(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        e1 = self.enc1(self.prep2(self.prep1(self.prep0(x))))
        e2 = self.enc2(e1)
        e3 = self.enc3(e2)
        b = self.bneck(e3)
        d3 = self.dec3(torch.cat([self.upconv3(b), e3], dim=1))
        d2 = self.dec2(torch.cat([self.upconv2(d3), e2], dim=1))
        d1 = self.dec1(torch.cat([self.upconv1(d2), e1], dim=1))
        return self.conv(self.conv_p3(self.conv_p2(self.conv_p1(self.dec0(d1)))))
