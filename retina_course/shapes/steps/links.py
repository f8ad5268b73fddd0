"""Steps without a row in the table: feature maps are kept, branched off, joined and added.

A method without a docstring does what the method of `Link` says.
"""

from retina_course.shapes.steps.base import Link, Shape, find_kept


class Keep(Link):
    """Remember the feature map under a name, for the links and the `Unpool` that follow.

    Parameters
    ----------
    of : str
        Name for the feature map.
    """

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        kept[self.of] = x
        return x


class Back(Link):
    """Go on from a kept feature map: a branch.

    Parameters
    ----------
    of : str
        Name of the kept feature map.
    """

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        return find_kept(kept, self.of)


class Concat(Link):
    """Put the channels of a kept feature map behind those of the current one.

    Parameters
    ----------
    of : str
        Name of the kept feature map, of the same height and width.
    """

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        if x[1:] != (other := find_kept(kept, self.of))[1:]:
            raise ValueError(f"cannot join {x} with {self.of!r}, {other}: height and width differ.")
        return x._replace(channels=x.channels + other.channels)


class Add(Link):
    """Add a kept feature map to the current one.

    Parameters
    ----------
    of : str
        Name of the kept feature map, of the same shape.
    """

    def output(self, x: Shape, kept: dict[str, Shape]) -> Shape:
        if x != (other := find_kept(kept, self.of)):
            raise ValueError(f"cannot add {x} and {self.of!r}, {other}: the shapes differ.")
        return x
