"""Shape arithmetic: what a network's table will say, computed before the network exists.

First the formulas, for one side of a map and square kernels (arXiv 1603.07285). Then a small
language that describes a network as a list of steps, e.g. `[Conv(8), Norm(), ReLU(), MaxPool()]`,
and what follows from the list: table, operations, receptive field. Integers only, no tensors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from retina_course.shapes.arithmetic import (
    conv_parameters,
    conv_size,
    pool_size,
    span,
    transposed_size,
)
from retina_course.shapes.tables import Row


class Shape(NamedTuple):
    """A map without its batch; prints as `CxHxW`."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


@dataclass(frozen=True)
class Layer:
    """A step with a row in the table. Layers of one name are one module, used more than once."""

    name: str = field(default="", kw_only=True)
    type = ""

    def side(self, side: int) -> int:
        return side

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        return Shape(getattr(self, "channels", x.channels), self.side(x.height), self.side(x.width))

    def parameters(self, x: Shape) -> int:
        return 0

    def macs(self, x: Shape, y: Shape) -> int:
        return 0

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """Along one side: the input pixels that can reach the output pixels `first` to `last`."""
        return first, last


class ReLU(Layer):
    type = "ReLU"


class Norm(Layer):
    type = "BatchNorm2d"

    def parameters(self, x):
        return 2 * x.channels


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution. Without `p` it is padded so that an odd `k` at s = 1 keeps the side."""

    channels: int
    k: int = 3
    s: int = 1
    p: int | None = None
    d: int = 1
    bias: bool = True
    groups: int = 1
    type = "Conv2d"

    def side(self, side):
        return conv_size(side, self.k, self.s, self.padding, self.d)

    @property
    def padding(self) -> int:
        return span(self.k, self.d) // 2 if self.p is None else self.p

    def parameters(self, x):
        return conv_parameters(self.k, x.channels, self.channels, self.bias, self.groups)

    def macs(self, x, y):  # it gathers: each weight once per output pixel
        return replace(self, bias=False).parameters(x) * y.height * y.width

    def reads(self, first, last):
        begin = first * self.s - self.padding
        return begin, begin + (last - first) * self.s + span(self.k, self.d) - 1


@dataclass(frozen=True)
class Transposed(Conv):
    """A transposed convolution; the defaults double a side."""

    s: int = 2
    p: int = 1
    o: int = 1
    type = "ConvTranspose2d"

    def side(self, side):
        return transposed_size(side, self.k, self.s, self.p, self.o, self.d)

    def macs(self, x, y):  # it spreads: each weight once per input pixel
        return super().macs(x, x)

    def reads(self, first, last):  # input pixel i writes to i s - p + d tap
        ends = []
        for tap in range(self.k):
            shift = self.p - self.d * tap
            low, high = -(-(first + shift) // self.s), (last + shift) // self.s
            ends += [low, high] if low <= high else []
        return (min(ends), max(ends)) if ends else (first, first - 1)


@dataclass(frozen=True)
class MaxPool(Layer):
    k: int = 2
    s: int | None = None
    p: int = 0
    d: int = 1
    ceil: bool = False
    type = "MaxPool2d"

    def side(self, side):
        return pool_size(side, self.k, self.s, self.p, self.d, self.ceil)

    def reads(self, first, last):
        return Conv(1, self.k, self.s or self.k, self.p, self.d).reads(first, last)


@dataclass(frozen=True)
class Unpool(Layer):
    """Undo the k x k pool of the kept map `of`; odd sides come back too."""

    of: str
    k: int = 2
    type = "MaxUnpool2d"

    def output(self, x, kept):
        before = _find(kept, self.of)
        if x != (after := MaxPool(self.k).output(before, kept)):
            raise ValueError(f"cannot unpool {x}: {self.of!r}, {before}, was pooled to {after}.")
        return before

    def reads(self, first, last):
        return first // self.k, last // self.k


@dataclass(frozen=True)
class Upsample(Layer):
    """Bilinear, by a whole number, `align_corners=False`."""

    scale: int = 2
    type = "Upsample"

    def side(self, side):
        return side * self.scale

    def reads(self, first, last):  # output pixel i stands at (i + 1/2) / scale - 1/2
        low, high = (2 * i + 1 - self.scale for i in (first, last))
        return low // (2 * self.scale), -(-high // (2 * self.scale))


@dataclass(frozen=True)
class Link:
    """A step without a row; `of` is the name of a kept map."""

    of: str


class Keep(Link):
    """Remember the map."""

    def output(self, x, kept):
        kept[self.of] = x
        return x


class Back(Link):
    """Go on from the kept map: a branch."""

    def output(self, x, kept):
        return _find(kept, self.of)


class Concat(Link):
    """Put the kept map's channels behind the map's."""

    def output(self, x, kept):
        if x[1:] != (other := _find(kept, self.of))[1:]:
            raise ValueError(f"cannot join {x} with {self.of!r}, {other}: the sides differ.")
        return x._replace(channels=x.channels + other.channels)


class Add(Link):
    """Add the kept map."""

    def output(self, x, kept):
        if x != (other := _find(kept, self.of)):
            raise ValueError(f"cannot add {x} and {self.of!r}, {other}: the shapes differ.")
        return x


Steps = Sequence[Layer | Link]


def follow(steps: Steps, shape: Sequence[int]) -> Iterator[tuple[Layer | Link, Shape, Shape, int]]:
    """Send a map `(C, H, W)` through: each step, the shapes before and after, new parameters.

    Raises
    ------
    ValueError : a step that does not fit; the message names the step and the sizes.
    """
    x, kept, modules = Shape(*shape), {}, {}
    for number, step in enumerate(steps, 1):
        name = getattr(step, "name", "")
        try:
            y = step.output(x, kept)
            parameters = step.parameters(x) if isinstance(step, Layer) else 0
            if modules.get(name, (step, parameters)) != (step, parameters):
                raise ValueError("this name is taken by a layer with other settings or channels.")
        except ValueError as error:
            label = f"{type(step).__name__} {name}".strip()
            raise ValueError(f"Step {number}, {label}: {error}") from None
        yield step, x, y, 0 if name in modules else parameters
        if name:
            modules[name] = step, parameters
        x = y


def predict_table(steps: Steps, shape: Sequence[int]) -> list[Row]:
    """What `shapes.trace` would say of the network; a layer without a name gets its number."""
    rows, total, y = [Row("input", "Input", str(Shape(*shape)), 0)], 0, Shape(*shape)
    for step, _, y, parameters in follow(steps, shape):
        total += parameters
        if isinstance(step, Layer):
            rows.append(Row(step.name or str(len(rows)), step.type, str(y), parameters))
    return [*rows, Row("TOTAL", "", str(y), total)]


def predict_macs(steps: Steps, shape: Sequence[int]) -> list[int]:
    """Multiply-accumulates of each layer, in the order of the rows, biases not counted."""
    return [step.macs(x, y) for step, x, y, _ in follow(steps, shape) if isinstance(step, Layer)]


def receptive_field(steps: Steps, pixel: int = 0) -> tuple[int, int]:
    """Along one side: the first and the last input pixel that can change an output pixel.

    Positions outside of the image lie in the padding. Dilated or strided kernels may leave out
    pixels between the two, so after one of them the answer can be wider than the truth.
    """
    seen, needed = [pixel], {}  # walks backwards: what each map, and each kept map, must show
    for step in reversed(steps):
        if isinstance(step, Keep):
            seen = seen + needed.pop(step.of, [])
        elif isinstance(step, Link):
            needed[step.of] = needed.get(step.of, []) + seen
            seen = [] if isinstance(step, Back) else seen
        elif seen:
            first, last = step.reads(min(seen), max(seen))
            seen = [first, last] if first <= last else []
    if not seen:
        raise ValueError(f"No input pixel can change output pixel {pixel}.")
    return min(seen), max(seen)


def named(name: str, *layers: Layer) -> list[Layer]:
    """The layers with names as in an `nn.Sequential` of this name: `name.0`, `name.1`, ..."""
    return [replace(layer, name=f"{name}.{i}") for i, layer in enumerate(layers)]


def _find(kept: dict[str, Shape], name: str) -> Shape:
    if name not in kept:
        raise ValueError(f"no map {name!r} was kept before, only: {', '.join(kept) or 'none'}.")
    return kept[name]
