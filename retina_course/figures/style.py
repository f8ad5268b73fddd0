"""What all figures share: colours, line styles, and figures that a notebook can show.

Colours are those of Okabe and Ito, told apart also by lightness.
"""

import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
BLACK, GREY = "#000000", "#DDDDDD"
BOX_COLOURS = ("#56E4FF", "#F0E442", "#FF8AD8", "#7CFC9A")  # light, on a dark fundus
STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))


class NotebookFigure(Figure):
    """A figure that a notebook can show without pyplot's machinery, lines also as a drawing (SVG).

    Parameters
    ----------
    **options : any
        Keyword arguments of `matplotlib.figure.Figure`, such as `figsize` (inches) and `dpi`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Twice the pixels, shown at its own size: sharp on dense screens."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * self.dpi)
        width, height = self._pixels()
        return buffer.getvalue(), {"width": width, "height": height}

    def _repr_svg_(self) -> str | None:
        """Lines, sharp at every size; a figure that holds a photograph has none."""
        if any(axes.images for axes in self.axes):
            return None
        buffer = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": "retina_course"}):  # the same file each time
            self.savefig(buffer, format="svg", metadata={"Date": None})
        text = " ".join(buffer.getvalue().split())  # one line in a notebook's file
        # Colab puts the drawing into its page, which a style sheet would restyle.
        start, style, body = re.split(r"<style[^>]*>\*\{(.*?)\}</style>", text, maxsplit=1)
        width, height = self._pixels()
        own = f'width="{width}" height="{height}" style="{style}"'
        start = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', own, start[start.index("<svg") :])
        return start + body

    def _pixels(self) -> tuple[int, int]:
        """Width and height at which a page shows the figure."""
        width, height = (round(side * self.dpi) for side in self.get_size_inches())
        return width, height


def panel_row(panels: int, width: float, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A white figure with panels side by side.

    Parameters
    ----------
    panels : int
        Number of panels.
    width : float
        Width of one panel in inches.
    height : float, default 3.6
        Height of the figure in inches.

    Returns
    -------
    figure : Figure
        The figure.
    panels : list of Axes
        Its axes, from left to right.
    """
    size = (width * panels, height)
    figure = NotebookFigure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels)))


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Give axes of whole numbers their labels and a light grid.

    Parameters
    ----------
    axes : Axes
        A panel of a figure.
    x : str
        Label of the horizontal axis.
    y : str
        Label of the vertical axis.
    """
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GREY, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def show_image(axes: Axes, image: NDArray) -> None:
    """Show an image without ticks and frame.

    Parameters
    ----------
    axes : Axes
        A panel of a figure.
    image : ndarray
        RGB `(H, W, 3)`, uint8 or floats in [0, 1].
    """
    axes.imshow(image)
    axes.set_axis_off()


def rgb_bytes(colour: str) -> NDArray[np.uint8]:
    """A colour as three bytes.

    Parameters
    ----------
    colour : str
        Any name or code that matplotlib knows.

    Returns
    -------
    ndarray of uint8
        Red, green and blue, `(3,)`.

    Examples
    --------
    >>> rgb_bytes(ORANGE)
    array([230, 159,   0], dtype=uint8)
    """
    return np.round(np.array(to_rgb(colour)) * 255).astype(np.uint8)
