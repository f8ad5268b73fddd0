"""RetinaUNet: the U-Net that the document lists, ported from Keras number by number.

The form is that of the U-Net (arXiv 1505.04597) with padded convolutions and batch norm. The
document's text describes a detector instead (arXiv 1811.08661), which is another network.
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import check_channels, check_input, conv_bn_relu


class RetinaUNet(nn.Module):
    """U-Net of four levels with 64, 128, 256 and 512 channels, two convolutions per level.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 16; the
    bottleneck has 1024 channels. The listing's softmax stays outside. 31,043,586 parameters with
    two classes; Keras counts 31,055,362, because it also counts the running mean and variance of
    5,888 channels.

    As in Keras: batch norm with eps 1e-3 and momentum 0.99 (0.01 in torch's convention), weights
    Glorot-uniform, biases 0.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images; the listing's `input_shape[-1]`.
    num_classes : int, default 1
        Number of output channels.

    Raises
    ------
    ValueError
        If a channel count does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RetinaUNet
    >>> model = RetinaUNet(num_classes=2)
    >>> sum(p.numel() for p in model.parameters())
    31043586
    >>> model(torch.rand(1, 3, 32, 16)).shape
    torch.Size([1, 2, 32, 16])
    """

    size_multiple = 16

    def __init__(self, in_channels: int = 3, num_classes: int = 1) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.pool = nn.MaxPool2d(2)
        self.enc1 = conv_block(in_channels, 64)
        self.enc2 = conv_block(64, 128)
        self.enc3 = conv_block(128, 256)
        self.enc4 = conv_block(256, 512)
        self.bottleneck = conv_block(512, 1024)
        self.up4 = nn.ConvTranspose2d(1024, 512, 2, stride=2)
        self.dec4 = conv_block(1024, 512)
        self.up3 = nn.ConvTranspose2d(512, 256, 2, stride=2)
        self.dec3 = conv_block(512, 256)
        self.up2 = nn.ConvTranspose2d(256, 128, 2, stride=2)
        self.dec2 = conv_block(256, 128)
        self.up1 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.dec1 = conv_block(128, 64)
        self.head = nn.Conv2d(64, num_classes, 1)
        self.apply(as_in_keras)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        s1 = self.enc1(x)
        s2 = self.enc2(self.pool(s1))
        s3 = self.enc3(self.pool(s2))
        s4 = self.enc4(self.pool(s3))
        b = self.bottleneck(self.pool(s4))
        d4 = self.dec4(torch.cat([self.up4(b), s4], dim=1))
        d3 = self.dec3(torch.cat([self.up3(d4), s3], dim=1))
        d2 = self.dec2(torch.cat([self.up2(d3), s2], dim=1))
        d1 = self.dec1(torch.cat([self.up1(d2), s1], dim=1))
        return self.head(d1)


def conv_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with bias, each followed by batch norm and ReLU.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.

    Returns
    -------
    Sequential
        The layers, `(N, in_channels, H, W) -> (N, out_channels, H, W)`.
    """
    return nn.Sequential(
        *conv_bn_relu(in_channels, out_channels), *conv_bn_relu(out_channels, out_channels)
    )


def as_in_keras(module: nn.Module) -> None:
    """Give one layer Keras' batch-norm constants or its first weights.

    Weights: Glorot and Bengio 2010, Eq. 16. To be used as `network.apply(as_in_keras)`.

    Parameters
    ----------
    module : Module
        The layer, changed in place; only batch norm and convolutions are changed.
    """
    if isinstance(module, nn.BatchNorm2d):
        module.eps, module.momentum = 1e-3, 0.01
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
