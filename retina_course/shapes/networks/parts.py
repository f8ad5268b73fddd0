"""Parts that several descriptions share; `models.blocks` has their modules."""

from collections.abc import Callable

from retina_course.shapes.steps import (
    Add,
    Back,
    Conv,
    Keep,
    Layer,
    Norm,
    ReLU,
    Step,
    Transposed,
    named,
)


def block(channels: int, k: int = 3, bias: bool = True) -> list[Layer]:
    """Convolution, batch norm, ReLU.

    Parameters
    ----------
    channels : int
        Channels of the output.
    k : int, default 3
        Kernel size.
    bias : bool, default True
        Whether the convolution has a bias.

    Returns
    -------
    list of Layer
        The three layers.
    """
    return [Conv(channels, k, bias=bias), Norm(), ReLU()]


def double(channels: int, name: str) -> Transposed:
    """A transposed 2x2 convolution that doubles height and width.

    Parameters
    ----------
    channels : int
        Channels of the output.
    name : str
        Its name.

    Returns
    -------
    Transposed
        The layer.
    """
    return Transposed(channels, k=2, p=0, o=0, name=name)


def basic_block(name: str, channels: int, s: int = 1, shortcut: bool = False) -> list[Step]:
    """The residual block of ResNet-18; its shortcut runs first.

    Parameters
    ----------
    name : str
        Its name.
    channels : int
        Channels of the output.
    s : int, default 1
        Stride.
    shortcut : bool, default False
        Whether the shortcut has a convolution; without one the input itself is added.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    return [
        *_shortcut(name, channels, s, shortcut),
        Conv(channels, s=s, bias=False, name=f"{name}.conv1"),
        Norm(name=f"{name}.bn1"),
        ReLU(name=f"{name}.relu"),
        Conv(channels, bias=False, name=f"{name}.conv2"),
        Norm(name=f"{name}.bn2"),
        Add("shortcut"),
        ReLU(name=f"{name}.relu"),
    ]


def bottleneck(name: str, channels: int, s: int = 1, shortcut: bool = False) -> list[Step]:
    """The residual block of ResNet-50; its shortcut runs first.

    Parameters
    ----------
    name : str
        Its name.
    channels : int
        Channels of the output, a multiple of 4.
    s : int, default 1
        Stride.
    shortcut : bool, default False
        Whether the shortcut has a convolution.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    middle = channels // 4
    return [
        *_shortcut(name, channels, s, shortcut),
        Conv(middle, 1, bias=False, name=f"{name}.conv1"),
        Norm(name=f"{name}.bn1"),
        ReLU(name=f"{name}.relu"),
        Conv(middle, s=s, bias=False, name=f"{name}.conv2"),
        Norm(name=f"{name}.bn2"),
        ReLU(name=f"{name}.relu"),
        Conv(channels, 1, bias=False, name=f"{name}.conv3"),
        Norm(name=f"{name}.bn3"),
        Add("shortcut"),
        ReLU(name=f"{name}.relu"),
    ]


def stage(
    name: str,
    channels: int,
    blocks: int,
    s: int,
    shortcut: bool,
    kind: Callable[..., list[Step]] = basic_block,
    first: int = 0,
) -> list[Step]:
    """Residual blocks in a row; the first one changes channels, height and width.

    Parameters
    ----------
    name : str
        Name of the sequence.
    channels : int
        Channels of the output.
    blocks : int
        Number of blocks.
    s : int
        Stride of the first block.
    shortcut : bool
        Whether the first block's shortcut has a convolution.
    kind : callable, default basic_block
        `basic_block` or `bottleneck`.
    first : int, default 0
        Number of the first block in the sequence.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    steps = kind(f"{name}.{first}", channels, s, shortcut)
    for number in range(first + 1, first + blocks):
        steps += kind(f"{name}.{number}", channels)
    return steps


def _shortcut(name: str, channels: int, s: int, convolution: bool) -> list[Step]:
    """The shortcut of a residual block, kept under this name; then the input again."""
    steps: list[Step] = [Keep("in")]
    if convolution:
        steps += named(f"{name}.downsample", Conv(channels, 1, s, bias=False), Norm())
    return [*steps, Keep("shortcut"), Back("in")]
