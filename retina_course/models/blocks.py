"""Parts that the course's networks share: small stacks of layers, residual blocks, checks."""

import torch
from torch import Tensor, nn

# The book's shape calculator says the same.
NOT_POSITIVE = "{name} must be a positive integer, got {value}."
WRONG_SIZE = (
    "Height and width must be multiples of {multiple}, got {height}x{width}. Nearest sizes that "
    "fit: {heights} (height), {widths} (width). Pad or crop the images; inference.predict does so "
    "by itself."
)
TOO_SMALL = (
    "Height and width must be at least {smallest}, got {height}x{width}. Enlarge or pad the images."
)


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int = 3, *, bias: bool = True
) -> list[nn.Module]:
    """A convolution that keeps height and width, then batch norm and ReLU.

    `(N, in_channels, H, W) -> (N, out_channels, H, W)`, stride 1.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int, default 3
        Height and width of the kernel; odd, because padding is `kernel_size // 2`.
    bias : bool, default True
        Whether the convolution has a bias.

    Returns
    -------
    list of Module
        The three layers, not yet an `nn.Sequential`: a network can put a pooling layer in front.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> block = nn.Sequential(nn.MaxPool2d(2), *conv_bn_relu(3, 8))
    >>> block(torch.rand(2, 3, 32, 48)).shape
    torch.Size([2, 8, 16, 24])
    """
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias),
        *bn_relu(out_channels),
    ]


def bn_relu(channels: int) -> list[nn.Module]:
    """The two layers that follow a convolution: batch norm and ReLU.

    Parameters
    ----------
    channels : int
        Channels of the feature map.

    Returns
    -------
    list of Module
        The two layers.
    """
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def upconv3x3(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """A transposed 3x3 convolution that doubles height and width: 2(H - 1) - 2 + 3 + 1 = 2H.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    bias : bool, default True
        Whether the convolution has a bias.

    Returns
    -------
    ConvTranspose2d
        The layer, `(N, in_channels, H, W) -> (N, out_channels, 2H, 2W)`.
    """
    return nn.ConvTranspose2d(
        in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=bias
    )


class BasicBlock(nn.Module):
    """The residual block of ResNet-18 and ResNet-34: two 3x3 convolutions and a shortcut.

    `(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)`, rounded up. The shortcut
    is the identity where the shape stays, and a strided 1x1 convolution with batch norm where it
    changes. Names as in torchvision. Source: arXiv 1512.03385, Fig. 5 left and option B.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    stride : int, default 1
        Stride of the first convolution and of the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + short)


class Bottleneck(nn.Module):
    """The residual block of ResNet-50: 1x1 to a quarter of the channels, 3x3, 1x1, and a shortcut.

    `(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)`, rounded up. The 3x3
    convolution has the stride, as in torchvision (in the paper the first 1x1 convolution has it).
    Source: arXiv 1512.03385, Fig. 5 right.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output; the latter a multiple of 4.
    stride : int, default 1
        Stride of the 3x3 convolution and of the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        middle = out_channels // 4
        self.conv1 = nn.Conv2d(in_channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + short)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """The layers on the shortcut of a residual block whose shape changes.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the block's input and output.
    stride : int
        The block's stride.

    Returns
    -------
    Sequential or None
        A strided 1x1 convolution with batch norm; None where the input itself fits.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def check_channels(in_channels: int, num_classes: int) -> None:
    """Check that both channel counts of a network are positive integers.

    Parameters
    ----------
    in_channels, num_classes : int
        Channels of the input and of the output.

    Raises
    ------
    ValueError
        If one of them is not a positive integer.
    """
    check_positive(in_channels=in_channels, num_classes=num_classes)


def check_positive(**options: int) -> None:
    """Check that every option is a positive integer.

    Parameters
    ----------
    **options : int
        The values, by the names that the message shall use.

    Raises
    ------
    ValueError
        If a value is not a positive integer; the message names the option.
    """
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(NOT_POSITIVE.format(name=name, value=repr(value)))


def check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    """Check that an option has one of its possible values.

    Parameters
    ----------
    option : str
        Name of the option, for the message.
    value : object
        The value that was given.
    choices : tuple of str
        The values that the option can have.

    Raises
    ------
    ValueError
        If `value` is not one of `choices`; the message lists them.
    """
    if value not in choices:
        raise ValueError(f"{option} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_input(x: Tensor, in_channels: int, multiple: int, smallest: int = 1) -> None:
    """Check that `x` is a batch of images that a network can take.

    Parameters
    ----------
    x : Tensor
        Images, expected to be `(N, in_channels, H, W)` and floating point.
    in_channels : int
        Channels that the network was built for.
    multiple : int
        Height and width must be multiples of this number of pixels.
    smallest : int, default 1
        The smallest height and width, in pixels.

    Raises
    ------
    TypeError
        If `x` is not a tensor, or not floating point.
    ValueError
        If `x` has another number of dimensions or channels, or a height or width that does not
        fit; the message names the nearest sizes that do.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected a torch.Tensor, got {type(x).__name__}.")
    if x.dim() != 4:
        hint = " Add the batch dimension: x.unsqueeze(0)." if x.dim() == 3 else ""
        raise ValueError(f"Expected images (N, C, H, W), got shape {tuple(x.shape)}.{hint}")
    if not torch.is_floating_point(x):
        raise TypeError(
            f"Expected floating-point images in [0, 1], got {x.dtype}. "
            "For 8-bit images: x.float() / 255."
        )
    if x.shape[1] != in_channels:
        raise ValueError(
            f"Expected {in_channels} channels, got {x.shape[1]} (shape {tuple(x.shape)}). "
            "Convert the images, or build the model with another in_channels."
        )
    height, width = x.shape[2:]
    given = {"height": height, "width": width}
    if height % multiple or width % multiple or height == 0 or width == 0:
        nearest = {"heights": _fit(height, multiple), "widths": _fit(width, multiple)}
        raise ValueError(WRONG_SIZE.format(multiple=multiple, **given, **nearest))
    if min(height, width) < smallest:
        raise ValueError(TOO_SMALL.format(smallest=smallest, **given))


def _fit(size: int, multiple: int) -> str:
    """The nearest multiples, as words of a message."""
    below = size // multiple * multiple
    if below == size and size:
        return str(size)
    return f"{below} or {below + multiple}" if below else str(multiple)
