"""The network of the detectors: residual encoder, feature pyramid by addition, three heads.

Sources: arXiv 1612.03144 (the pyramid), 1708.02002 (the heads), 1811.08661 (P1, P0 and the
segmentation head).
"""

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.models.blocks import BasicBlock, Bottleneck, bn_relu, conv_bn_relu
from retina_course.models.detection.anchors import PER_CELL
from retina_course.models.resnet import stage

STRIDES = (4, 8, 16, 32)  # of P2, P3, P4, P5, where boxes are looked for
# The block, how many per stage, and the output channels of each stage in multiples of `width`.
ENCODERS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), (1, 2, 4, 8)),
    "resnet50": (Bottleneck, (3, 4, 6, 3), (4, 8, 16, 32)),
}
# First probability of an object in an anchor, set by the last bias; arXiv 1708.02002, section 4.1.
PRIOR = 0.01


class Raw(NamedTuple):
    """The network's outputs for every anchor and pixel.

    Parameters
    ----------
    classes : Tensor
        Logits `(N, A, K)`, or `(N, A, K + 1)` with the background first.
    offsets : Tensor
        Offsets of boxes from anchors, `(N, A, 4)`.
    segmentation : Tensor or None
        Logits `(N, K + 1, H, W)`, background first.
    """

    classes: Tensor
    offsets: Tensor
    segmentation: Tensor | None


class PyramidNetwork(nn.Module):
    """Residual encoder C0 to C5, feature pyramid P5 to P0, and heads that give a `Raw`.

    `(N, in_channels, H, W)`, H and W multiples of 32; with `segment=False` on a call the
    segmentation is None and is not computed.

    From C0 to C5 height and width halve and the channels grow. P5 down to P0 all have
    `pyramid_channels`: each is a 1x1 convolution of its C plus the coarser sum at twice its size
    (nearest; bilinear for P1 and P0). A 3x3 convolution smooths P5 to P2 and P0.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    num_classes : int
        Number of kinds of objects, without the background.
    background : bool
        Whether an anchor has a logit for the background, as a softmax needs it.
    encoder : {"resnet18", "resnet50"}
        Kind and number of the residual blocks.
    width : int
        Channels of the encoder's first stages.
    pyramid_channels, head_channels : int
        Channels of P0 to P5, and inside the two heads.
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
    ) -> None:
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
        """The layers that boxes do not need: P1, P0 and the segmentation head.

        Returns
        -------
        list of Module
            The layers.
        """
        return [self.lateral1, self.lateral0, self.smooth0, self.segmentation_head]

    def _initialise(self, num_classes: int) -> None:
        """The first weights: Kaiming, small ones in the last layers, a rare object by `PRIOR`."""
        if self.segmentation_head.weight.is_meta:
            return  # shapes only; and `kaiming_normal_` there would load torch's whole compiler
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        class_layer = cast(nn.Conv2d, self.class_head[-1])
        box_layer = cast(nn.Conv2d, self.box_head[-1])
        for layer in (class_layer, box_layer, self.segmentation_head):
            nn.init.normal_(layer.weight, std=0.01)
        # Else the loss of some 100,000 empty anchors would dominate the first steps.
        with torch.no_grad():
            anchor_bias = cast(Tensor, class_layer.bias).view(PER_CELL, -1)
            anchor_bias[:, -num_classes:] = math.log(PRIOR / (1 - PRIOR))


def head(in_channels: int, channels: int, outputs: int) -> nn.Sequential:
    """A head: four 3x3 convolutions with ReLU and a fifth to the outputs; shared by all levels.

    Parameters
    ----------
    in_channels, channels, outputs : int
        Channels of the input, of the four convolutions and of the output.

    Returns
    -------
    Sequential
        The layers, `(N, in_channels, H, W) -> (N, outputs, H, W)`.
    """
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [nn.Conv2d(channels if i else in_channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, 3, padding=1))


def twice(x: Tensor, mode: str = "nearest") -> Tensor:
    """Resize a feature map to twice its height and width.

    Parameters
    ----------
    x : Tensor
        Feature map `(N, C, H, W)`.
    mode : {"nearest", "bilinear"}
        How new pixels are computed; "nearest" by default.

    Returns
    -------
    Tensor
        Feature map `(N, C, 2H, 2W)`.
    """
    return F.interpolate(x, scale_factor=2, mode=mode)


def by_anchor(x: Tensor) -> Tensor:
    """Rearrange a head's feature map into one row for each anchor.

    Parameters
    ----------
    x : Tensor
        A head's output `(N, 9 D, H, W)`, D numbers for each of the nine anchors of a cell.

    Returns
    -------
    Tensor
        `(N, H W 9, D)`, in order of row, column and anchor, as `make_anchors` has them.
    """
    n, channels, height, width = x.shape
    x = x.view(n, PER_CELL, channels // PER_CELL, height, width)
    rows, numbers = height * width * PER_CELL, channels // PER_CELL
    return x.permute(0, 3, 4, 1, 2).reshape(n, rows, numbers)
