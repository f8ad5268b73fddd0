"""Steps with a row in the table: the layers of the course's networks.

A method without a docstring does what the method of `Layer` says.
"""

from dataclasses import dataclass, field, replace

from retina_course.shapes.arithmetic import (
    conv_parameters,
    conv_size,
    pool_size,
    span,
    transposed_size,
)
from retina_course.shapes.steps.base import Layer, Shape, find_kept


class ReLU(Layer):
    """A ReLU.

    Parameters
    ----------
    name : str, optional
        Name in the table.
    """

    type = "ReLU"


class Norm(Layer):
    """Batch norm, with a scale and a shift per channel.

    Parameters
    ----------
    name : str, optional
        Name in the table.
    """

    type = "BatchNorm2d"

    def parameters(self, x: Shape) -> int:
        return 2 * x.channels


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution.

    Parameters
    ----------
    channels : int
        Output channels.
    k, s : int
        Kernel size, by default 3, and stride, by default 1.
    p : int, optional
        Padding; by default an odd `k` at stride 1 keeps height and width.
    d : int, default 1
        Dilation.
    bias : bool, default True
        Whether it has a bias.
    groups : int, default 1
        Number of groups.
    name : str, optional
        Name in the table.
    """

    channels: int
    k: int = 3
    s: int = 1
    p: int | None = None
    d: int = 1
    bias: bool = True
    groups: int = 1
    type = "Conv2d"

    def side(self, side: int) -> int:
        return conv_size(side, self.k, self.s, self.padding, self.d)

    @property
    def padding(self) -> int:
        """Pixels of padding on each edge."""
        return span(self.k, self.d) // 2 if self.p is None else self.p

    def parameters(self, x: Shape) -> int:
        return conv_parameters(self.k, x.channels, self.channels, self.bias, self.groups)

    def macs(self, x: Shape, y: Shape) -> int:
        # It gathers: each weight once per output pixel.
        return replace(self, bias=False).parameters(x) * y.height * y.width

    def reads(self, first: int, last: int) -> tuple[int, int]:
        begin = first * self.s - self.padding
        return begin, begin + (last - first) * self.s + span(self.k, self.d) - 1


@dataclass(frozen=True)
class Transposed(Conv):
    """A transposed convolution; the defaults double height and width.

    Parameters
    ----------
    channels : int
        Output channels.
    k, s, p, d : int
        Kernel size, by default 3, stride 2, padding 1, dilation 1.
    bias : bool, default True
        Whether it has a bias.
    groups : int, default 1
        Number of groups.
    o : int, default 1
        Output padding.
    name : str, optional
        Name in the table.
    """

    s: int = 2
    p: int = 1
    o: int = 1
    type = "ConvTranspose2d"

    def side(self, side: int) -> int:
        return transposed_size(side, self.k, self.s, self.p, self.o, self.d)

    def macs(self, x: Shape, y: Shape) -> int:
        # It spreads: each weight once per input pixel.
        return super().macs(x, x)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        ends: list[int] = []  # input pixel i writes to the output pixels i s - p + d tap
        for tap in range(self.k):
            shift = self.p - self.d * tap
            low, high = -(-(first + shift) // self.s), (last + shift) // self.s
            ends += [low, high] if low <= high else []
        return (min(ends), max(ends)) if ends else (first, first - 1)


@dataclass(frozen=True)
class MaxPool(Layer):
    """Max-pooling.

    Parameters
    ----------
    k : int, default 2
        Height and width of a window.
    s : int, optional
        Stride, by default `k`.
    p, d : int
        Padding, by default 0, and dilation, by default 1.
    ceil : bool, default False
        Whether a last window that sticks out is kept.
    name : str, optional
        Name in the table.
    """

    k: int = 2
    s: int | None = None
    p: int = 0
    d: int = 1
    ceil: bool = False
    type = "MaxPool2d"

    def side(self, side: int) -> int:
        return pool_size(side, self.k, self.s, self.p, self.d, self.ceil)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        return Conv(1, self.k, self.s or self.k, self.p, self.d).reads(first, last)


@dataclass(frozen=True)
class Unpool(Layer):
    """Undo the pooling of a kept feature map; odd heights and widths come back too.

    Parameters
    ----------
    of : str
        Name of the feature map that was pooled.
    k : int, default 2
        Height and width of a window.
    name : str, optional
        Name in the table.
    """

    of: str = field(compare=False)  # one module can undo several poolings
    k: int = 2
    type = "MaxUnpool2d"

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        before = find_kept(kept, self.of)
        if x != (after := MaxPool(self.k).output(before, kept)):
            raise ValueError(f"cannot unpool {x}: {self.of!r}, {before}, was pooled to {after}.")
        return before

    def reads(self, first: int, last: int) -> tuple[int, int]:
        return first // self.k, last // self.k


@dataclass(frozen=True)
class Upsample(Layer):
    """Bilinear upsampling by a whole number, with `align_corners=False`.

    Parameters
    ----------
    scale : int, default 2
        Factor of height and width.
    name : str, optional
        Name in the table.
    """

    scale: int = 2
    type = "Upsample"

    def side(self, side: int) -> int:
        return side * self.scale

    def reads(self, first: int, last: int) -> tuple[int, int]:
        # Output pixel i lies at (i + 1/2) / scale - 1/2.
        low, high = (2 * i + 1 - self.scale for i in (first, last))
        return low // (2 * self.scale), -(-high // (2 * self.scale))
