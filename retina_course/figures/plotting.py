"""Figures: curves, overlays and error maps, for colour-blind readers and for grey print.

Colours are those of Okabe and Ito, told apart also by lightness. Every function returns a
`matplotlib.figure.Figure`, which a notebook shows when it is a cell's last value; matplotlib's
global state (pyplot) is not touched.
"""

import io
from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from retina_course.data.images import ImageSource, read_image
from retina_course.training.checkpoints import History

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
BLACK, GREY = "#000000", "#DDDDDD"
BOX_COLOURS = ("#56E4FF", "#F0E442", "#FF8AD8", "#7CFC9A")  # light, on a dark fundus
STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))


class NotebookFigure(Figure):
    """A figure that a notebook can show without pyplot's machinery."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def plot(dice_loss: Sequence[float], iou_loss: Sequence[float]) -> Figure:
    """The two training curves, one value an epoch, in the documented call form.

    What `Train.forward` returned, epoch by epoch: losses on the images trained on, which say
    nothing about other images.

    Raises
    ------
    ValueError : lists of different lengths, or empty ones.
    """
    if len(dice_loss) != len(iou_loss) or not len(dice_loss):
        raise ValueError(
            "Expected one Dice loss and one IoU loss an epoch, at least one epoch, got "
            f"{len(dice_loss)} and {len(iou_loss)}."
        )
    figure, (axes,) = _figure(1, width=6)
    epochs = np.arange(1, len(dice_loss) + 1)
    marker = "o" if len(epochs) <= 20 else None
    for values, label, (colour, line) in zip(
        (dice_loss, iou_loss), ("Dice loss", "IoU loss"), STYLES, strict=False
    ):
        axes.plot(epochs, values, line, color=colour, marker=marker, label=label)
    _label(axes, "epoch", "loss on the training images (1 − score)")
    axes.legend()
    return figure


def curves(history: History) -> Figure:
    """What `training.fit` returned: the loss of each step, and the validation, where there is one.

    The grey line is each step's loss, the blue one its mean over a fiftieth of the run.
    """
    if not history.loss:
        raise ValueError("The history holds no step.")
    figure, panels = _figure(2 if history.validation else 1, width=5)
    steps = np.arange(1, len(history.loss) + 1)
    window = max(1, len(steps) // 50)
    panels[0].plot(steps, history.loss, color="#AAAAAA", linewidth=0.8, label="each step")
    if window > 1:
        mean = np.convolve(history.loss, np.ones(window) / window, mode="valid")
        panels[0].plot(steps[window - 1 :], mean, color=BLUE, label=f"mean of {window} steps")
        panels[0].legend()
    _label(panels[0], "step", "training loss")
    if history.validation:
        names = [name for name in history.validation[0] if name != "step"]
        at = [row["step"] for row in history.validation]
        for name, (colour, line) in zip(names, STYLES * len(names), strict=False):
            values = [row[name] for row in history.validation]
            panels[1].plot(at, values, line, color=colour, marker="o", markersize=4, label=name)
        _label(panels[1], "step", "validation")
        panels[1].legend()
    return figure


def run_curves(result: dict) -> Figure:
    """The training loss of a stored result (`results.read`), one line a seed."""
    figure, (axes,) = _figure(1, width=6)
    for run, (colour, line) in zip(result["runs"], cycle(STYLES), strict=False):
        steps, losses = zip(*run["loss"], strict=True)
        axes.plot(steps, losses, line, color=colour, label=f"seed {run['seed']}")
    _label(axes, "step", "training loss")
    axes.legend()
    return figure


def per_image(result: dict) -> Figure:
    """F1 of each test photograph of a stored result, sorted by the first seed, one mark a seed."""
    runs = [{row["name"]: row["f1"] for row in run["flips"]["per_image"]} for run in result["runs"]]
    names = sorted(runs[0], key=runs[0].get)
    figure, (axes,) = _figure(1, width=7)
    for i, (run, found) in enumerate(zip(result["runs"], runs, strict=True)):
        values = [found[name] for name in names]
        colour, _ = STYLES[i % len(STYLES)]
        marker = "osD^"[i % 4]
        axes.plot(values, marker, color=colour, markersize=5, label=f"seed {run['seed']}")
    _label(axes, "test photograph", "F1 inside the field of view")
    axes.set_xticks(range(len(names)), [n.removeprefix("Image_") for n in names], rotation=90)
    axes.legend()
    return figure


def overlay(image: ImageSource, mask: ArrayLike, title: str = "") -> Figure:
    """A photograph beside the same photograph with the mask overlay_image over it.

    Parameters
    ----------
    image : see `images.read_image`.
    mask : bool `(H, W)` of the same size, e.g. `segment(...).probability >= threshold`.
    """
    rgb = read_image(image).permute(1, 2, 0).numpy()
    figure, panels = _figure(2, width=5, height=5.2 * rgb.shape[0] / rgb.shape[1])
    for axes, shown in zip(panels, (rgb, overlay_image(image, mask)), strict=True):
        _show(axes, shown)
    figure.suptitle(title)
    return figure


def overlay_image(image: ImageSource, mask: ArrayLike) -> NDArray[np.uint8]:
    """The photograph, `(H, W, 3)` uint8, with the pixels of a bool mask `(H, W)` in light blue.

    Light blue is no colour of a retina, and lighter than its vessels.
    """
    rgb = read_image(image).permute(1, 2, 0).numpy()
    mask = _binary(mask, "mask", rgb.shape[:2])
    rgb[mask] = 0.25 * rgb[mask] + 0.75 * np.array(to_rgb("#56E4FF"), dtype=np.float32)
    return (rgb * 255).round().astype(np.uint8)


def error_map(
    prediction: ArrayLike, target: ArrayLike, fov: ArrayLike | None = None, title: str = ""
) -> Figure:
    """The image of `error_image` with a legend that says how many pixels."""
    image = error_image(prediction, target, fov)
    figure, (axes,) = _figure(1, width=6, height=6.5 * image.shape[0] / image.shape[1])
    _show(axes, image)
    axes.set_title(title)
    axes.legend(
        handles=error_legend(image),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
    )
    return figure


def error_image(
    prediction: ArrayLike, target: ArrayLike, fov: ArrayLike | None = None
) -> NDArray[np.uint8]:
    """Where a vessel map is right and wrong, pixel by pixel, `(H, W, 3)`.

    Black: vessel found; orange: found, but not drawn by the observer (false positive); blue:
    missed (false negative); white: background; grey: outside the field of view.

    Parameters
    ----------
    prediction, target, fov : bool `(H, W)`; without `fov`, everything counts.

    Raises
    ------
    ValueError : arrays of different shapes, or masks with values other than 0 and 1.
    """
    target = _binary(target, "target")
    prediction = _binary(prediction, "prediction", target.shape)
    fov = np.ones_like(target) if fov is None else _binary(fov, "fov", target.shape)
    image = np.full((*target.shape, 3), 255, dtype=np.uint8)
    image[prediction & target] = _bytes(BLACK)
    image[prediction & ~target] = _bytes(ORANGE)
    image[~prediction & target] = _bytes(BLUE)
    image[~fov] = _bytes(GREY)
    return image


def error_legend(image: NDArray[np.uint8]) -> list[Patch]:
    """The entries of a legend for a image of `error_image`, with its numbers of pixels."""
    names = {"found": BLACK, "false positive": ORANGE, "missed": BLUE}
    counts = {name: (image == _bytes(c)).all(axis=2).sum() for name, c in names.items()}
    return [Patch(facecolor=c, label=f"{name}: {counts[name]:,}") for name, c in names.items()]


def boxes(
    images: Sequence[ImageSource],
    detections: Sequence[dict],
    ground_truths: Sequence[dict] | None = None,
    *,
    names: Sequence[str],
    threshold: float = 0.3,
    titles: Sequence[str] = (),
) -> Figure:
    """Images side by side with their boxes: found ones in full lines, true ones dashed in white.

    Parameters
    ----------
    images : see `images.read_image`.
    detections, ground_truths : one dict per image with `boxes` and `labels`; detections also
        `scores`.
    names : of the labels 1, 2, ...; they make the legend, each with its colour.
    threshold : boxes of a smaller score are not drawn.
    """
    figure, panels = _figure(len(images), width=4.4, height=4.9)
    for i, (axes, image, found) in enumerate(zip(panels, images, detections, strict=True)):
        _show(axes, read_image(image).permute(1, 2, 0).numpy())
        draw_boxes(axes, found, ground_truths[i] if ground_truths else None, threshold)
        axes.set_title(titles[i] if titles else "", fontsize=10)
    box_legend(figure, names, ground_truths is not None)
    return figure


def draw_boxes(axes: Axes, found: dict, ground_truth: dict | None, threshold: float) -> None:
    """The boxes of one image, see `boxes`."""
    if ground_truth is not None:
        for box in ground_truth["boxes"].tolist():
            axes.add_patch(_rectangle(box, "black", 2.6))
            axes.add_patch(_rectangle(box, "white", 1.2, linestyle=(0, (3, 3))))
    scores = found.get("scores", np.ones(len(found["labels"])))
    for box, label, score in zip(found["boxes"].tolist(), found["labels"], scores, strict=True):
        if score >= threshold:
            axes.add_patch(_rectangle(box, BOX_COLOURS[(int(label) - 1) % len(BOX_COLOURS)], 1.8))


def box_legend(figure: Figure, names: Sequence[str], with_ground_truth: bool) -> None:
    handles = [
        Line2D([], [], color=colour, linewidth=2, label=name)
        for name, colour in zip(names, cycle(BOX_COLOURS), strict=False)
    ]
    if with_ground_truth:
        handles.append(
            Line2D([], [], color="black", linestyle="--", label="ground truth (white dashes)")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _rectangle(box: Sequence[float], colour: str, width: float, **style) -> Rectangle:
    x1, y1, x2, y2 = (side - 0.5 for side in box)  # imshow's pixel 0 reaches from -0.5 to 0.5
    return Rectangle(
        (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=width, **style
    )


def _bytes(colour: str) -> NDArray[np.uint8]:
    return np.round(np.array(to_rgb(colour)) * 255).astype(np.uint8)


def _figure(panels: int, width: float, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    size = (width * panels, height)
    figure = NotebookFigure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels)))


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GREY, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _show(axes: Axes, image: NDArray) -> None:
    axes.imshow(image)
    axes.set_axis_off()


def _binary(mask: ArrayLike, name: str, shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.ndim != 2 or array.shape != (shape or array.shape):
        raise ValueError(f"Expected {name} of shape {shape or '(H, W)'}, got {array.shape}.")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to be bool or 0 and 1, got {array.dtype} values from {array.min()} "
            f"to {array.max()}. Probabilities need a threshold first."
        )
    return array.astype(bool)
