"""Figures: curves, overlays and error maps, for colour-blind readers and for grey print.

Colours are those of Okabe and Ito, told apart also by lightness. A function that makes a figure
returns a `matplotlib.figure.Figure`, which a notebook shows when it is the last value of a cell;
matplotlib's global state (pyplot) is not touched.

This file has what a training run gave: its losses, its validation, its scores per image. It also
hands out the functions of `overlays` and `boxes` and the colours of `style`, so that all plots
stand under one name.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from retina_course.figures.boxes import box_legend, boxes, draw_boxes
from retina_course.figures.overlays import (
    error_image,
    error_legend,
    error_map,
    overlay,
    overlay_image,
)
from retina_course.figures.style import (
    BLACK,
    BLUE,
    BOX_COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLES,
    NotebookFigure,
    label_axes,
    panel_row,
)
from retina_course.training.checkpoints import History

__all__ = [
    "BLACK",
    "BLUE",
    "BOX_COLOURS",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "STYLES",
    "NotebookFigure",
    "box_legend",
    "boxes",
    "curves",
    "draw_boxes",
    "error_image",
    "error_legend",
    "error_map",
    "overlay",
    "overlay_image",
    "per_image",
    "plot",
    "run_curves",
]


def plot(dice_loss: Sequence[float], iou_loss: Sequence[float]) -> Figure:
    """The two training curves, one value per epoch, in the documented call form.

    What `Train.forward` returned, epoch by epoch: losses on the training images. They say nothing
    about other images.

    Parameters
    ----------
    dice_loss : sequence of float
        The Dice loss of each epoch.
    iou_loss : sequence of float
        The IoU loss of each epoch.

    Returns
    -------
    Figure
        One panel with both curves.

    Raises
    ------
    ValueError
        The lists have different lengths, or are empty.

    Examples
    --------
    >>> figure = plot([0.7, 0.4, 0.2], [0.8, 0.5, 0.3])
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['Dice loss', 'IoU loss']
    """
    if len(dice_loss) != len(iou_loss) or not len(dice_loss):
        raise ValueError(
            "Expected one Dice loss and one IoU loss per epoch, at least one epoch, got "
            f"{len(dice_loss)} and {len(iou_loss)}."
        )
    figure, (axes,) = panel_row(1, width=6)
    epochs = np.arange(1, len(dice_loss) + 1)
    marker = "o" if len(epochs) <= 20 else None
    for values, label, (colour, line) in zip(
        (dice_loss, iou_loss), ("Dice loss", "IoU loss"), STYLES, strict=False
    ):
        axes.plot(epochs, values, line, color=colour, marker=marker, label=label)
    label_axes(axes, "epoch", "loss on the training images (1 − score)")
    axes.legend()
    return figure


def curves(history: History) -> Figure:
    """The loss of each step, and the validation, where there is one.

    The grey line is the loss of each step, the blue one its mean over a fiftieth of the run.

    Parameters
    ----------
    history : History
        What `training.fit` returned.

    Returns
    -------
    Figure
        A panel for the loss and, where there is a validation, a second one for its scores.

    Raises
    ------
    ValueError
        The history holds no step.

    Examples
    --------
    >>> history = History(loss=[0.9, 0.5], validation=[{"step": 2, "f1": 0.7}])
    >>> [panel.get_ylabel() for panel in curves(history).axes]
    ['training loss', 'validation']
    """
    if not history.loss:
        raise ValueError("The history holds no step. Give what fit returned after a training.")
    figure, panels = panel_row(2 if history.validation else 1, width=5)
    steps = np.arange(1, len(history.loss) + 1)
    window = max(1, len(steps) // 50)
    panels[0].plot(steps, history.loss, color="#AAAAAA", linewidth=0.8, label="each step")
    if window > 1:
        mean = np.convolve(history.loss, np.ones(window) / window, mode="valid")
        panels[0].plot(steps[window - 1 :], mean, color=BLUE, label=f"mean of {window} steps")
        panels[0].legend()
    label_axes(panels[0], "step", "training loss")
    if history.validation:
        names = [name for name in history.validation[0] if name != "step"]
        at = [row["step"] for row in history.validation]
        for name, (colour, line) in zip(names, STYLES * len(names), strict=False):
            values = [row[name] for row in history.validation]
            panels[1].plot(at, values, line, color=colour, marker="o", markersize=4, label=name)
        label_axes(panels[1], "step", "validation")
        panels[1].legend()
    return figure


def run_curves(result: Mapping[str, Any]) -> Figure:
    """The training loss of a stored result, one line per seed.

    Parameters
    ----------
    result : mapping
        What `results.read` returns for a benchmark of one network.

    Returns
    -------
    Figure
        One panel.

    Examples
    --------
    >>> runs = [{"seed": 0, "loss": [[100, 0.6], [200, 0.4]]}]
    >>> [line.get_label() for line in run_curves({"runs": runs}).axes[0].lines]
    ['seed 0']
    """
    figure, (axes,) = panel_row(1, width=6)
    for run, (colour, line) in zip(result["runs"], cycle(STYLES), strict=False):
        steps, losses = zip(*run["loss"], strict=True)
        axes.plot(steps, losses, line, color=colour, label=f"seed {run['seed']}")
    label_axes(axes, "step", "training loss")
    axes.legend()
    return figure


def per_image(result: Mapping[str, Any]) -> Figure:
    """F1 of each test photograph of a stored result, one mark per seed.

    Parameters
    ----------
    result : mapping
        What `results.read` returns for a benchmark of one network.

    Returns
    -------
    Figure
        One panel; the photographs are sorted by the F1 of the first seed.
    """
    runs = [{row["name"]: row["f1"] for row in run["flips"]["per_image"]} for run in result["runs"]]
    names = sorted(runs[0], key=lambda name: runs[0][name])
    figure, (axes,) = panel_row(1, width=7)
    for i, (run, scores) in enumerate(zip(result["runs"], runs, strict=True)):
        values = [scores[name] for name in names]
        colour, _ = STYLES[i % len(STYLES)]
        marker = "osD^"[i % 4]
        axes.plot(values, marker, color=colour, markersize=5, label=f"seed {run['seed']}")
    label_axes(axes, "test photograph", "F1 inside the field of view")
    axes.set_xticks(range(len(names)), [n.removeprefix("Image_") for n in names], rotation=90)
    axes.legend()
    return figure
