"""Images with the boxes that a detector found, and those of the ground truth."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from retina_course.data.images import ImageSource, read_image
from retina_course.figures.style import BOX_COLOURS, panel_row, show_image


def boxes(
    images: Sequence[ImageSource],
    detections: Sequence[Mapping[str, Tensor]],
    ground_truths: Sequence[Mapping[str, Tensor]] | None = None,
    *,
    names: Sequence[str],
    threshold: float = 0.3,
    titles: Sequence[str] = (),
) -> Figure:
    """Images side by side with their boxes: detections in full lines, ground truth in white dashes.

    Parameters
    ----------
    images : sequence of str, PathLike, PIL image, ndarray or Tensor
        See `read_image`.
    detections : sequence of dict
        One dict per image with `boxes` `(B, 4)` (x1, y1, x2, y2 in pixels), `labels` `(B,)` and
        `scores` `(B,)`, as `detect` returns it.
    ground_truths : sequence of dict, optional
        One dict per image with `boxes` and `labels`.
    names : sequence of str
        Names of the labels 1, 2, ...; they make the legend, each with its colour.
    threshold : float, default 0.3
        Boxes of a smaller score are not drawn.
    titles : sequence of str, optional
        One title per image.

    Returns
    -------
    Figure
        One panel per image.

    Raises
    ------
    ValueError
        There are not as many detections as images.

    Examples
    --------
    >>> import torch
    >>> found = {"boxes": torch.tensor([[2.0, 3, 12, 9]]), "labels": torch.tensor([1])}
    >>> figure = boxes([torch.zeros(3, 16, 16)], [found], names=["optic disc"])
    >>> len(figure.axes[0].patches)
    1
    """
    figure, panels = panel_row(len(images), width=4.4, height=4.9)
    for i, (axes, image, found) in enumerate(zip(panels, images, detections, strict=True)):
        show_image(axes, read_image(image).permute(1, 2, 0).numpy())
        draw_boxes(axes, found, ground_truths[i] if ground_truths else None, threshold)
        axes.set_title(titles[i] if titles else "", fontsize=10)
    box_legend(figure, names, ground_truths is not None)
    return figure


def draw_boxes(
    axes: Axes,
    found: Mapping[str, Tensor],
    ground_truth: Mapping[str, Tensor] | None,
    threshold: float,
) -> None:
    """Draw the boxes of one image into its panel.

    Parameters
    ----------
    axes : Axes
        The panel that shows the image.
    found : dict
        `boxes`, `labels` and, unless all boxes are to be drawn, `scores`; see `boxes`.
    ground_truth : dict or None
        `boxes` of the ground truth, drawn in white dashes.
    threshold : float
        Boxes of a smaller score are not drawn.
    """
    if ground_truth is not None:
        for box in ground_truth["boxes"].tolist():
            axes.add_patch(_rectangle(box, "black", 2.6))
            axes.add_patch(_rectangle(box, "white", 1.2, linestyle=(0, (3, 3))))
    scores = found.get("scores", np.ones(len(found["labels"])))
    for box, label, score in zip(found["boxes"].tolist(), found["labels"], scores, strict=True):
        if score >= threshold:
            axes.add_patch(_rectangle(box, BOX_COLOURS[(int(label) - 1) % len(BOX_COLOURS)], 1.8))


def box_legend(figure: Figure, names: Sequence[str], with_ground_truth: bool) -> None:
    """Put a legend of the labels below a figure with boxes.

    Parameters
    ----------
    figure : Figure
        A figure with constrained layout, such as `panel_row` makes.
    names : sequence of str
        Names of the labels 1, 2, ...
    with_ground_truth : bool
        Add an entry for the dashed boxes of the ground truth.
    """
    handles = [
        Line2D([], [], color=colour, linewidth=2, label=name)
        for name, colour in zip(names, cycle(BOX_COLOURS), strict=False)
    ]
    if with_ground_truth:
        handles.append(
            Line2D([], [], color="black", linestyle="--", label="ground truth (white dashes)")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _rectangle(box: Sequence[float], colour: str, width: float, **style: Any) -> Rectangle:
    """The outline of a box in the coordinates of `imshow`."""
    x1, y1, x2, y2 = (side - 0.5 for side in box)  # imshow's pixel 0 reaches from -0.5 to 0.5
    return Rectangle(
        (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=width, **style
    )
