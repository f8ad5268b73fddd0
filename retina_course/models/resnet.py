"""The ResNet encoder, with torchvision's names, so that public ImageNet weights load.

Source: arXiv 1512.03385, Table 1, the columns of 18 and 34 layers.
"""

from torch import Tensor, nn

from retina_course.models.blocks import BasicBlock

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}


class ResNetEncoder(nn.Module):
    """ResNet-18 or ResNet-34 without its classifier.

    `(N, in_channels, H, W)` -> a list of five feature maps: of the stem, after its max-pool,
    64 channels at 1/4 of height and width; of layer1, 64 at 1/4; of layer2, 128 at 1/8; of layer3,
    256 at 1/16; of layer4, 512 at 1/32. 11,176,512 and 21,284,672 parameters.

    Parameters
    ----------
    name : {"resnet18", "resnet34"}
        Which of the two; "resnet18" by default.
    in_channels : int, default 3
        Channels of the images, 3 for RGB.

    Examples
    --------
    >>> import torch
    >>> encoder = ResNetEncoder("resnet18")
    >>> for x in encoder(torch.rand(1, 3, 64, 96)):
    ...     print(tuple(x.shape))
    (1, 64, 16, 24)
    (1, 64, 16, 24)
    (1, 128, 8, 12)
    (1, 256, 4, 6)
    (1, 512, 2, 3)
    """

    def __init__(self, name: str = "resnet18", in_channels: int = 3) -> None:
        super().__init__()
        n1, n2, n3, n4 = BLOCKS[name]
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, 64, n1, stride=1)
        self.layer2 = stage(64, 128, n2, stride=2)
        self.layer3 = stage(128, 256, n3, stride=2)
        self.layer4 = stage(256, 512, n4, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # arXiv 1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.maxpool(self.relu(self.bn1(self.conv1(x))))]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return maps


def stage(
    in_channels: int,
    out_channels: int,
    blocks: int,
    stride: int,
    block: type[nn.Module] = BasicBlock,
) -> nn.Sequential:
    """A sequence of residual blocks; the first one changes channels, height and width.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    blocks : int
        Number of blocks.
    stride : int
        Stride of the first block.
    block : type of Module, default BasicBlock
        The kind of block: `BasicBlock` or `Bottleneck`.

    Returns
    -------
    Sequential
        The blocks, `(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)`.
    """
    first = block(in_channels, out_channels, stride)
    return nn.Sequential(first, *(block(out_channels, out_channels) for _ in range(blocks - 1)))
