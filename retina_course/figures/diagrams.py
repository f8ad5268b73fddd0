"""A drawing of an encoder-decoder network, from the shapes in its documented table."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from retina_course.figures.plotting import BLACK, BLUE, GREEN, NotebookFigure

VERMILION = "#D55E00"
WIDTH, HEIGHT = 1.9, 0.62  # of a box; the columns lie 3 units apart, the rows 1
LEFT, MIDDLE, RIGHT = 0.0, 3.0, 6.0
DOWN, UP, SKIP = (VERMILION, "-"), (BLUE, "-"), (GREEN, "--")


def encoder_decoder(
    shapes: Mapping[str, str],
    *,
    encoder: Sequence[str],
    bottleneck: str,
    decoder: Sequence[str],
    up: Sequence[str],
    ends: tuple[str, str] = ("input", "conv"),
    legend: tuple[str, str, str] = ("max-pooling", "up-sampling", "skip connection"),
) -> Figure:
    """Draw a U: the encoder goes down on the left, the decoder up on the right, skips across.

    Parameters
    ----------
    shapes : the output `CxHxW` of each block and up-sampling layer, by name.
    encoder : names of its blocks, from full resolution down.
    bottleneck : name of the block between encoder and decoder.
    decoder, up : names of its blocks and of the up-sampling layers before them, from below.
    ends : names of the input and of the last layer.
    legend : what the arrows down, up and across stand for.

    Raises
    ------
    KeyError : a name without a shape.
    ValueError : an encoder, a decoder and up-sampling layers of different lengths.
    """
    depth = len(encoder)
    if not depth == len(decoder) == len(up):
        raise ValueError(
            "Expected as many encoder blocks as decoder blocks and up-sampling layers, got "
            f"{depth}, {len(decoder)} and {len(up)}."
        )
    figure = NotebookFigure(figsize=(6.4, 0.95 * depth + 2.4), dpi=110, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(LEFT - 1.1, RIGHT + 1.1)
    axes.set_ylim(-depth - 1.5, 1.45)

    first, last = ends
    for x, name in ((LEFT, first), (RIGHT, last)):
        _box(axes, x, 1, name, shapes[name])
    _arrow(axes, (LEFT, 1 - HEIGHT / 2), (LEFT, HEIGHT / 2), (BLACK, "-"))
    _arrow(axes, (RIGHT, HEIGHT / 2), (RIGHT, 1 - HEIGHT / 2), (BLACK, "-"))

    for level, (down_block, up_block, layer) in enumerate(
        zip(encoder, reversed(decoder), reversed(up), strict=True)
    ):
        _box(axes, LEFT, -level, down_block, shapes[down_block])
        _box(axes, RIGHT, -level, up_block, shapes[up_block])
        _arrow(axes, (LEFT + WIDTH / 2, -level), (RIGHT - WIDTH / 2, -level), SKIP)
        _label(axes, MIDDLE, -level + 0.14, shapes[down_block])
        below = -level - HEIGHT / 2
        _label(axes, RIGHT - 0.12, below - 0.19, f"{layer}: {_times(shapes[layer])}", ha="right")
        if level + 1 < depth:
            _arrow(axes, (LEFT, below), (LEFT, -level - 1 + HEIGHT / 2), DOWN)
            _arrow(axes, (RIGHT, -level - 1 + HEIGHT / 2), (RIGHT, below), UP)
    lowest = 1 - depth - HEIGHT / 2
    _arrow(axes, (LEFT, lowest), (MIDDLE - WIDTH / 2, -depth), DOWN, "angle,angleA=90,angleB=0")
    _arrow(axes, (MIDDLE + WIDTH / 2, -depth), (RIGHT, lowest), UP, "angle,angleA=0,angleB=90")
    _box(axes, MIDDLE, -depth, bottleneck, shapes[bottleneck])

    lines = [
        Line2D([], [], color=colour, linestyle=line, linewidth=2, label=text)
        for (colour, line), text in zip((DOWN, UP, SKIP), legend, strict=True)
    ]
    axes.legend(handles=lines, loc="lower center", frameon=False, fontsize=10)
    return figure


def _box(axes: Axes, x: float, y: float, name: str, shape: str) -> None:
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, facecolor="#F2F2F2", linewidth=1))
    axes.text(x, y + 0.13, name, ha="center", va="center", fontsize=11, weight="bold")
    axes.text(x, y - 0.14, _times(shape), ha="center", va="center", fontsize=10)


def _label(axes: Axes, x: float, y: float, text: str, ha: str = "center") -> None:
    axes.text(x, y, _times(text), ha=ha, va="center", fontsize=9)


def _arrow(axes: Axes, start, end, style: tuple[str, str], connection: str = "arc3") -> None:
    colour, line = style
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "linestyle": line,
            "linewidth": 1.8,
            "connectionstyle": connection,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def _times(shape: str) -> str:
    return shape.replace("x", " × ") if shape[0].isdigit() else shape
