"""RetinaSegmentor: a small U-Net of residual blocks.

Only a description in prose exists, and it contradicts itself. This network is one reading of it, in
which all claims about channels but one are true of some side of a layer; chapter 12 gives the
reasons. U-Net: arXiv 1505.04597, residual blocks: arXiv 1512.03385.
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import BasicBlock, check_channels, check_choice, check_input

SKIPS = ("concat", "add", "none")


class RetinaSegmentor(nn.Module):
    """Residual encoder from 16 to 256 channels, residual decoder back to 16, links between them.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 16.
    2,035,731 parameters with 3 classes and concatenation, 1,795,891 with addition or no link.

    Parameters
    ----------
    in_channels : int, default 3
        Channels of the images, 3 for RGB.
    num_classes : int, default 1
        Number of output channels.
    skip : {"concat", "add", "none"}
        How the encoder's feature maps enter the decoder: "concat" (default) stacks them behind
        the upsampled map, "add" adds them, "none" leaves them out.

    Raises
    ------
    ValueError
        If an option does not fit, or, on a call, the images do not; see `blocks.check_input`.
    TypeError
        On a call, if the images are not a floating-point tensor.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RetinaSegmentor
    >>> model = RetinaSegmentor(num_classes=3, skip="add")
    >>> model(torch.rand(2, 3, 32, 48)).shape
    torch.Size([2, 3, 32, 48])
    >>> sum(p.numel() for p in model.parameters())
    1795891
    """

    size_multiple = 16

    def __init__(self, in_channels: int = 3, num_classes: int = 1, *, skip: str = "concat") -> None:
        super().__init__()
        check_channels(in_channels, num_classes)
        check_choice("skip", skip, SKIPS)
        self.in_channels, self.num_classes, self.skip = in_channels, num_classes, skip
        joined = 2 if skip == "concat" else 1
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1)
        self.layer1 = BasicBlock(16, 32, stride=2)
        self.layer2 = BasicBlock(32, 64, stride=2)
        self.layer3 = BasicBlock(64, 128, stride=2)
        self.layer4 = BasicBlock(128, 256, stride=2)
        self.upconv1 = nn.ConvTranspose2d(256, 128, 2, stride=2)
        self.layer5 = BasicBlock(joined * 128, 128)
        self.upconv2 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.layer6 = BasicBlock(joined * 64, 64)
        self.upconv3 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.layer7 = BasicBlock(joined * 32, 32)
        self.upconv4 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.layer8 = BasicBlock(joined * 16, 16)
        self.layer9 = BasicBlock(16, 16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(16, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.size_multiple)
        x0 = self.conv1(x)
        x1 = self.layer1(x0)
        x2 = self.layer2(x1)
        x3 = self.layer3(x2)
        x4 = self.layer4(x3)
        x5 = self.layer5(self.join(self.upconv1(x4), x3))
        x6 = self.layer6(self.join(self.upconv2(x5), x2))
        x7 = self.layer7(self.join(self.upconv3(x6), x1))
        x8 = self.layer8(self.join(self.upconv4(x7), x0))
        x9 = self.layer9(x8)
        return self.conv3(self.relu(self.conv2(x9)))

    def join(self, upsampled: Tensor, link: Tensor) -> Tensor:
        """Join an upsampled feature map with the encoder's, as `skip` says.

        Parameters
        ----------
        upsampled, link : Tensor
            The decoder's and the encoder's feature map, both `(N, C, H, W)`.

        Returns
        -------
        Tensor
            `(N, 2 C, H, W)` with "concat", else `(N, C, H, W)`.
        """
        if self.skip == "concat":
            return torch.cat([upsampled, link], dim=1)
        return upsampled + link if self.skip == "add" else upsampled
