"""The network of the detectors: residual encoder, feature pyramid by addition, three heads.

Sources: arXiv 1612.03144 (the pyramid), 1708.02002 (the heads), 1811.08661 (P1, P0 and the
segmentation head).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.models.blocks import BasicBlock, Bottleneck, bn_relu, conv_bn_relu
from retina_course.models.detection.anchors import PER_CELL
from retina_course.models.resnet import stage

STRIDES = (4, 8, 16, 32)  # of P2, P3, P4, P5, where boxes are looked for
# The block, how many in each stage, and the channels that a stage puts out, in widths.
ENCODERS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), (1, 2, 4, 8)),
    "resnet50": (Bottleneck, (3, 4, 6, 3), (4, 8, 16, 32)),
}
PRIOR = 0.01  # of an object in an anchor, by the last layer's bias; arXiv 1708.02002, section 4.1


class Raw(NamedTuple):
    """What the network says of every anchor and pixel.

    classes `(N, A, K or K + 1)` logits, offsets `(N, A, 4)`, segmentation `(N, K + 1, H, W)`
    logits or None.
    """

    classes: Tensor
    offsets: Tensor
    segmentation: Tensor | None


class PyramidNetwork(nn.Module):
    """`(N, in_channels, H, W) ->` class logits, box offsets and a segmentation; see `Raw`.

    C0 to C5 halve the sides and carry more and more channels. P5 down to P0 have one number of
    channels: each is a 1x1 convolution of its C plus the coarser sum at twice its size (nearest;
    bilinear for P1 and P0); a 3x3 convolution smooths P5 to P2 and P0.

    Parameters
    ----------
    background : whether an anchor has a logit for "nothing here", as a softmax needs it.
    others : see `RetinaUNetDetector`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        background: bool,
        encoder: str,
        width: int,
        pyramid_channels: int,
        head_channels: int,
    ):
        super().__init__()
        block, blocks, widths = ENCODERS[encoder]
        c2, c3, c4, c5 = (width * factor for factor in widths)
        self.c0 = nn.Sequential(
            *conv_bn_relu(in_channels, width, bias=False), *conv_bn_relu(width, width, bias=False)
        )
        strided = nn.Conv2d(width, width, 7, stride=2, padding=3, bias=False)
        self.c1 = nn.Sequential(strided, *bn_relu(width))
        pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.c2 = nn.Sequential(pool, *stage(width, c2, blocks[0], 1, block))
        self.c3 = stage(c2, c3, blocks[1], 2, block)
        self.c4 = stage(c3, c4, blocks[2], 2, block)
        self.c5 = stage(c4, c5, blocks[3], 2, block)
        p = pyramid_channels
        self.lateral5 = nn.Conv2d(c5, p, 1)
        self.lateral4 = nn.Conv2d(c4, p, 1)
        self.lateral3 = nn.Conv2d(c3, p, 1)
        self.lateral2 = nn.Conv2d(c2, p, 1)
        self.lateral1 = nn.Conv2d(width, p, 1)
        self.lateral0 = nn.Conv2d(width, p, 1)
        self.smooth5 = nn.Conv2d(p, p, 3, padding=1)
        self.smooth4 = nn.Conv2d(p, p, 3, padding=1)
        self.smooth3 = nn.Conv2d(p, p, 3, padding=1)
        self.smooth2 = nn.Conv2d(p, p, 3, padding=1)
        self.smooth0 = nn.Conv2d(p, p, 3, padding=1)
        self.class_head = head(p, head_channels, PER_CELL * (num_classes + background))
        self.box_head = head(p, head_channels, PER_CELL * 4)
        self.segmentation_head = nn.Conv2d(p, num_classes + 1, 1)
        self._initialise(num_classes)

    def forward(self, x: Tensor, segment: bool = True) -> Raw:
        c0 = self.c0(x)
        c1 = self.c1(c0)
        c2 = self.c2(c1)
        c3 = self.c3(c2)
        c4 = self.c4(c3)
        c5 = self.c5(c4)
        p5 = self.lateral5(c5)
        p4 = self.lateral4(c4) + twice(p5)
        p3 = self.lateral3(c3) + twice(p4)
        p2 = self.lateral2(c2) + twice(p3)
        levels = [self.smooth2(p2), self.smooth3(p3), self.smooth4(p4), self.smooth5(p5)]
        classes = torch.cat([by_anchor(self.class_head(p)) for p in levels], dim=1)
        offsets = torch.cat([by_anchor(self.box_head(p)) for p in levels], dim=1)
        if not segment:
            return Raw(classes, offsets, None)
        p1 = self.lateral1(c1) + twice(p2, "bilinear")
        p0 = self.lateral0(c0) + twice(p1, "bilinear")
        return Raw(classes, offsets, self.segmentation_head(self.smooth0(p0)))

    def segmentation_branch(self) -> list[nn.Module]:
        """What the boxes do not need: P1, P0 and their head."""
        return [self.lateral1, self.lateral0, self.smooth0, self.segmentation_head]

    def _initialise(self, num_classes: int) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for last in (self.class_head[-1], self.box_head[-1], self.segmentation_head):
            nn.init.normal_(last.weight, std=0.01)
        # Without it, the sum over some 100,000 empty anchors would drown the first steps.
        with torch.no_grad():
            of_anchor = self.class_head[-1].bias.view(PER_CELL, -1)
            of_anchor[:, -num_classes:] = math.log(PRIOR / (1 - PRIOR))


def head(in_channels: int, channels: int, outputs: int) -> nn.Sequential:
    """Four 3x3 convolutions with ReLU and a fifth to the outputs; shared by all levels."""
    layers = []
    for i in range(4):
        layers += [nn.Conv2d(channels if i else in_channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, 3, padding=1))


def twice(x: Tensor, mode: str = "nearest") -> Tensor:
    """Twice the sides: `(N, C, H, W) -> (N, C, 2H, 2W)`."""
    return F.interpolate(x, scale_factor=2, mode=mode)


def by_anchor(x: Tensor) -> Tensor:
    """A head's map as one row for each anchor: `(N, 9 D, H, W) -> (N, H W 9, D)`.

    The rows come by row, column and anchor, the order of `make_anchors`.
    """
    n, channels, height, width = x.shape
    x = x.view(n, PER_CELL, channels // PER_CELL, height, width)
    return x.permute(0, 3, 4, 1, 2).reshape(n, height * width * PER_CELL, -1)
