"""LinkNet: a ResNet encoder whose feature maps are added to the decoder's, not concatenated.

Source: arXiv 1707.03718. Two descriptions exist of its upsampling; both are built.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from retina_course.models.blocks import (
    bn_relu,
    check_channels,
    check_choice,
    check_input,
    conv_bn_relu,
    upconv3x3,
)
from retina_course.models.resnet import BLOCKS, ResNetEncoder

UPSAMPLINGS = ("transpose", "upsample")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class LinkNet(nn.Module):
    """ResNet-18 or ResNet-34 encoder, four decoder blocks, links by addition.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 32.
    11,533,377 parameters with ResNet-18 and one class, 21,641,537 with ResNet-34, 11,327,905 with
    ResNet-18 and bilinear upsampling.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of output channels.
    encoder : {"resnet18", "resnet34"}
        Which ResNet; "resnet18" by default.
    up : {"transpose", "upsample"}
        "transpose" (default) doubles height and width by transposed convolutions, "upsample"
        bilinearly.
    imagenet : bool, default False
        Whether the network normalises the images, as the public ImageNet weights expect it; see
        `load_imagenet`.

    Raises
    ------
    ValueError
        If an option does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import LinkNet
    >>> model = LinkNet(num_classes=2)
    >>> model(torch.rand(1, 3, 64, 96)).shape
    torch.Size([1, 2, 64, 96])
    """

    size_multiple = 32
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1,
        *,
        encoder: str = "resnet18",
        up: str = "transpose",
        imagenet: bool = False,
    ) -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        check_choice("encoder", encoder, tuple(BLOCKS))
        check_choice("up", up, UPSAMPLINGS)
        if imagenet and in_channels != 3:
            raise ValueError(f"ImageNet weights need 3 input channels (RGB), got {in_channels}.")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.imagenet = imagenet
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.encoder = ResNetEncoder(encoder, in_channels)
        self.decoder4 = DecoderBlock(512, 256, stride=2, up=up)
        self.decoder3 = DecoderBlock(256, 128, stride=2, up=up)
        self.decoder2 = DecoderBlock(128, 64, stride=2, up=up)
        self.decoder1 = DecoderBlock(64, 64, stride=1, up=up)
        self.tp_conv1: nn.Module
        self.tp_conv2: nn.Module
        if up == "transpose":
            self.tp_conv1 = nn.Sequential(upconv3x3(64, 32), *bn_relu(32))
            self.conv2 = nn.Sequential(*conv_bn_relu(32, 32))
            self.tp_conv2 = nn.ConvTranspose2d(32, num_classes, 2, stride=2)
        else:
            self.tp_conv1 = bilinear()
            self.conv2 = nn.Sequential(*conv_bn_relu(64, 32))
            self.tp_conv2 = nn.Sequential(bilinear(), nn.Conv2d(32, num_classes, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        if self.imagenet:
            x = (x - self.mean) / self.std
        stem, e1, e2, e3, e4 = self.encoder(x)
        d4 = self.decoder4(e4) + e3
        d3 = self.decoder3(d4) + e2
        d2 = self.decoder2(d3) + e1
        d1 = self.decoder1(d2) + stem
        return self.tp_conv2(self.conv2(self.tp_conv1(d1)))

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Copy a ResNet's public weights into the encoder; nothing is downloaded here.

        Parameters
        ----------
        state : mapping of str to Tensor
            State dict of the same ResNet with torchvision's names, for ResNet-18 from
            `torch.hub.load_state_dict_from_url(".../resnet18-f37072fd.pth", check_hash=True)`. Its
            classifier (`fc`) is left out.

        Raises
        ------
        ValueError
            If the network was built without `imagenet=True`: it would not normalise the images.
        RuntimeError
            If names or shapes are those of another network; nothing is copied then.

        Examples
        --------
        The weights of another ResNet of the same kind, here untrained ones:

        >>> from retina_course import LinkNet
        >>> from retina_course.models.resnet import ResNetEncoder
        >>> model = LinkNet(imagenet=True)
        >>> public = ResNetEncoder("resnet18").state_dict()
        >>> model.load_imagenet(public)
        >>> model.encoder.conv1.weight.equal(public["conv1.weight"])
        True
        """
        if not self.imagenet:
            raise ValueError(
                "Build LinkNet(imagenet=True): these weights expect normalised images."
            )
        self.encoder.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})


class DecoderBlock(nn.Module):
    """1x1 to a quarter of the channels, upsampling, 1x1 to the output's (Fig. 2 of the paper).

    `(N, in_channels, H, W) -> (N, out_channels, stride H, stride W)`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input, a multiple of 4, and of the output.
    stride : int
        1 keeps height and width, 2 doubles them.
    up : {"transpose", "upsample"}
        Upsampling by a transposed convolution, or bilinearly.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, up: str) -> None:
        super().__init__()
        middle = in_channels // 4
        self.conv1 = nn.Sequential(*conv_bn_relu(in_channels, middle, 1, bias=False))
        self.up: nn.Module | None
        if up == "upsample":
            self.up = bilinear() if stride == 2 else None
        elif stride == 2:
            self.up = nn.Sequential(upconv3x3(middle, middle, bias=False), *bn_relu(middle))
        else:
            same = nn.ConvTranspose2d(middle, middle, 3, padding=1, bias=False)
            self.up = nn.Sequential(same, *bn_relu(middle))
        self.conv2 = nn.Sequential(*conv_bn_relu(middle, out_channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(x if self.up is None else self.up(x))


def bilinear() -> nn.Upsample:
    """Bilinear upsampling to twice the height and width.

    Returns
    -------
    Upsample
        The layer, `(N, C, H, W) -> (N, C, 2H, 2W)`.
    """
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
