"""What all steps have in common: a layer has a row in the table, functions and links do not."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Shape(NamedTuple):
    """The shape of a feature map without its batch; `str` gives `CxHxW`.

    Parameters
    ----------
    channels, height, width : int
        C, H and W.

    Examples
    --------
    >>> str(Shape(3, 128, 96))
    '3x128x96'
    """

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


@dataclass(frozen=True)
class Layer:
    """A step with a row in the table; by itself it changes nothing.

    Subclass it for a layer of your own: set `type`, and override the methods that differ.

    Parameters
    ----------
    name : str, optional
        Name in the table. Layers of one name are one module that is used more than once.
    """

    name: str = field(default="", kw_only=True)
    type = ""

    def side(self, side: int) -> int:
        """Height or width of the output.

        Parameters
        ----------
        side : int
            Height or width of the input, in pixels.

        Returns
        -------
        int
            Height or width of the output, in pixels.
        """
        return side

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        """Shape of the output.

        Parameters
        ----------
        x : Shape
            Shape of the input.
        kept : dict of str to Shape
            Shapes of the feature maps kept so far, by name.

        Returns
        -------
        Shape
            Shape of the output.

        Raises
        ------
        ValueError
            If the layer does not fit the input.
        """
        return Shape(getattr(self, "channels", x.channels), self.side(x.height), self.side(x.width))

    def parameters(self, x: Shape) -> int:
        """Number of parameters.

        Parameters
        ----------
        x : Shape
            Shape of the input.

        Returns
        -------
        int
            Weights and biases.
        """
        return 0

    def macs(self, x: Shape, y: Shape) -> int:
        """Number of multiply-accumulates.

        Parameters
        ----------
        x, y : Shape
            Shapes of the input and of the output.

        Returns
        -------
        int
            Multiply-accumulates for one image, biases not counted.
        """
        return 0

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """The input pixels that a range of output pixels depends on, along one side.

        Parameters
        ----------
        first, last : int
            First and last output pixel of the range.

        Returns
        -------
        tuple of int
            First and last input pixel; the last is below the first where there is none.
        """
        return first, last


@dataclass(frozen=True)
class Function(Layer):
    """A step that computes as a layer does and has no row in the table.

    Parameters
    ----------
    name : str, optional
        Not used.
    """


@dataclass(frozen=True)
class Link:
    """A step without a row in the table, which keeps or uses a feature map.

    Parameters
    ----------
    of : str
        Name of the kept feature map.
    """

    of: str

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        """Shape of the output.

        Parameters
        ----------
        x : Shape
            Shape of the input.
        kept : dict of str to Shape
            Shapes of the feature maps kept so far, by name; `Keep` adds to it.

        Returns
        -------
        Shape
            Shape of the output.

        Raises
        ------
        ValueError
            If no feature map of this name was kept, or its shape does not fit.
        """
        raise NotImplementedError


def find_kept(kept: dict[str, Shape], name: str) -> Shape:
    """Shape of a kept feature map.

    Parameters
    ----------
    kept : dict of str to Shape
        Shapes of the feature maps kept so far, by name.
    name : str
        The name to look for.

    Returns
    -------
    Shape
        The shape kept under this name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names that were kept.
    """
    if name not in kept:
        raise ValueError(f"no map {name!r} was kept before, only: {', '.join(kept) or 'none'}.")
    return kept[name]
