"""RetinaSegmentor: a small U-Net of residual blocks.

Only a description in prose exists, and it contradicts itself; this is one of the readings in which
every claim about channels but one is true of some side of a layer; chapter 12 gives the reasons.
U-Net: arXiv 1505.04597, residual blocks: arXiv 1512.03385.
"""

import torch
from torch import Tensor, nn

from retina_course.models.blocks import BasicBlock, check_channels, check_choice, check_input

SKIPS = ("concat", "add", "none")


class RetinaSegmentor(nn.Module):
    """Residual encoder 16-32-64-128-256, residual decoder back to 16, links between them.

    `(N, in_channels, H, W) -> (N, num_classes, H, W)` logits, H and W multiples of 16.
    2,035,731 parameters with 3 classes and concatenation, 1,795,891 with addition or no link.

    Parameters
    ----------
    in_channels : channels of the images, 3 for RGB.
    num_classes : number of output channels.
    skip : how the encoder's maps enter the decoder: "concat" stacks them behind the upsampled
        map, "add" adds them, "none" leaves them out.

    Raises
    ------
    ValueError, TypeError : options, or an input, that do not fit; see `blocks.check_input`.
    """

    size_multiple = 16

    def __init__(self, in_channels: int = 3, num_classes: int = 1, *, skip: str = "concat"):
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
        if self.skip == "concat":
            return torch.cat([upsampled, link], dim=1)
        return upsampled + link if self.skip == "add" else upsampled
