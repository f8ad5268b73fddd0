"""A drawing of an encoder-decoder network, from the shapes in its documented table."""

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from retina_course.figures.style import BLACK, BLUE, GREEN, NotebookFigure

Stroke = tuple[str, Literal["-", "--"]]  # colour and line style

VERMILION = "#D55E00"
WIDTH, HEIGHT = 1.9, 0.62  # of a box; the columns lie 3 units apart, the rows 1
LEFT, MIDDLE, RIGHT = 0.0, 3.0, 6.0
DOWN: Stroke = (VERMILION, "-")
UP: Stroke = (BLUE, "-")
SKIP: Stroke = (GREEN, "--")
FORWARD: Stroke = (BLACK, "-")


def encoder_decoder(
    shapes: Mapping[str, str],
    *,
    encoder: Sequence[str],
    bottleneck: str,
    decoder: Sequence[str],
    up: Sequence[str],
    ends: tuple[str, str] = ("input", "conv"),
    legend: tuple[str, str, str] = ("max-pooling", "up-sampling", "skip connection"),
    merged: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a U: the encoder goes down on the left, the decoder up on the right, skips across.

    Parameters
    ----------
    shapes : mapping of str to str
        The output shape `CxHxW` of each block and up-sampling layer, by name.
    encoder : sequence of str
        Names of the encoder's blocks, from full resolution down.
    bottleneck : str
        Name of the block between encoder and decoder.
    decoder : sequence of str
        Names of the decoder's blocks, from the lowest up.
    up : sequence of str
        Names of the up-sampling layers before these blocks, from the lowest up.
    ends : tuple of str, default ("input", "conv")
        Names of the input and of the last layer.
    legend : tuple of str, default ("max-pooling", "up-sampling", "skip connection")
        What the arrows down, up and across stand for.
    merged : mapping of str to str, optional
        What a decoder block takes after the merge of skip connection and upsampled feature map,
        by the block's name; drawn below the arrow across.

    Returns
    -------
    Figure
        The drawing, 6.4 inches wide.

    Raises
    ------
    KeyError
        A name has no shape.
    ValueError
        Encoder, decoder and up-sampling layers differ in number.

    Examples
    --------
    >>> shapes = {"input": "3x8x8", "enc1": "4x8x8", "bneck": "8x4x4", "upconv1": "4x8x8"}
    >>> shapes |= {"dec1": "4x8x8", "conv": "1x8x8"}
    >>> figure = encoder_decoder(
    ...     shapes, encoder=["enc1"], bottleneck="bneck", decoder=["dec1"], up=["upconv1"]
    ... )
    >>> "bneck" in [text.get_text() for text in figure.axes[0].texts]
    True
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
    _arrow(axes, (LEFT, 1 - HEIGHT / 2), (LEFT, HEIGHT / 2), FORWARD)
    _arrow(axes, (RIGHT, HEIGHT / 2), (RIGHT, 1 - HEIGHT / 2), FORWARD)

    for level, (down_block, up_block, layer) in enumerate(
        zip(encoder, reversed(decoder), reversed(up), strict=True)
    ):
        _box(axes, LEFT, -level, down_block, shapes[down_block])
        _box(axes, RIGHT, -level, up_block, shapes[up_block])
        _arrow(axes, (LEFT + WIDTH / 2, -level), (RIGHT - WIDTH / 2, -level), SKIP)
        _label(axes, MIDDLE, -level + 0.14, shapes[down_block])
        if merged:
            _label(axes, MIDDLE, -level - 0.17, merged[up_block])
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
    """A block with its name and output shape, centred at (x, y)."""
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, facecolor="#F2F2F2", linewidth=1))
    axes.text(x, y + 0.13, name, ha="center", va="center", fontsize=11, weight="bold")
    axes.text(x, y - 0.14, _times(shape), ha="center", va="center", fontsize=10)


def _label(
    axes: Axes, x: float, y: float, text: str, ha: Literal["left", "center", "right"] = "center"
) -> None:
    """A shape beside an arrow."""
    axes.text(x, y, _times(text), ha=ha, va="center", fontsize=9)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    stroke: Stroke,
    connection: str = "arc3",
) -> None:
    """An arrow between two points; `connection` is matplotlib's connection style."""
    colour, line = stroke
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
    """`64x8x8` as `64 × 8 × 8`; other text as it is."""
    return shape.replace("x", " × ") if shape[0].isdigit() else shape
