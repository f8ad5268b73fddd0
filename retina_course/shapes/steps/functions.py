"""Steps that compute as layers do and have no row in the table: functions, not modules.

A method without a docstring does what the method of `Layer` says.
"""

from dataclasses import dataclass

from retina_course.shapes.steps.base import Function, Shape
from retina_course.shapes.steps.layers import Upsample


@dataclass(frozen=True)
class Fold(Function):
    """Blocks of pixels become channels, as `models.fold` does it.

    Parameters
    ----------
    a : int
        Height and width of the blocks.
    name : str, optional
        Not used.
    """

    a: int

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        if x.height % self.a or x.width % self.a:
            raise ValueError(f"fold={self.a} must divide height and width, got {x[1]}x{x[2]}.")
        return Shape(x.channels * self.a**2, x.height // self.a, x.width // self.a)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        return first * self.a, last * self.a + self.a - 1


@dataclass(frozen=True)
class Unfold(Function):
    """Channels become blocks of pixels, as `models.unfold` does it.

    Parameters
    ----------
    a : int
        Height and width of the blocks.
    name : str, optional
        Not used.
    """

    a: int

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        if x.channels % self.a**2:
            raise ValueError(f"fold={self.a} needs a multiple of {self.a**2} channels, got {x[0]}.")
        return Shape(x.channels // self.a**2, x.height * self.a, x.width * self.a)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        return first // self.a, last // self.a


@dataclass(frozen=True)
class Resize(Function):
    """Enlarging by `torch.nn.functional.interpolate`.

    Parameters
    ----------
    scale : int, default 2
        Factor of height and width.
    bilinear : bool, default False
        Whether it is bilinear; else each pixel is repeated.
    name : str, optional
        Not used.
    """

    scale: int = 2
    bilinear: bool = False

    def side(self, side: int) -> int:
        return side * self.scale

    def reads(self, first: int, last: int) -> tuple[int, int]:
        if self.bilinear:
            return Upsample(self.scale).reads(first, last)
        return first // self.scale, last // self.scale
