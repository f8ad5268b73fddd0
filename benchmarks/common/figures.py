"""What the stored figures of photographs share: credits, legends, error maps, saving."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from benchmarks.common.files import ROOT
from retina_course.data.photographs import Photograph
from retina_course.figures import plotting
from retina_course.inference import segment_all

CREDIT = "Photograph: CHASE_DB1, Fraz et al. 2012, Kingston University, CC BY 4.0"
CREDITS = CREDIT.replace("graph:", "graphs:")
IDRID_CREDITS = "Photographs: IDRiD, Porwal et al. 2018, CC BY 4.0; boxes: CODRAS, CC BY-SA 4.0"


def error_legend(figure: Figure, image: np.ndarray, y: float) -> None:
    """The colours of `plotting.error_image`, at the height `y`.

    Without the numbers of pixels, which belong to one image of several.
    """
    handles = plotting.error_legend(image)
    for patch in handles:
        patch.set_label(patch.get_label().split(":")[0])
    figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, y), ncols=3, frameon=False
    )


def save(figure: Figure, path: Path) -> None:
    """JPEG for photographs, PNG for drawings."""
    figure.savefig(path, pil_kwargs={"quality": 88} if path.suffix == ".jpg" else {})
    print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def draw_errors(
    path: Path, model: nn.Module, card: dict, row: dict, photographs: Sequence[Photograph]
) -> None:
    """Photograph, probability and errors of the best, the median and the worst test image.

    `row` is the stored row with flips, of the same weights.
    """
    order = sorted(row["per_image"], key=lambda image: -image["f1"])
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    by_name = {photo.name: photo for photo in photographs}
    figure = Figure(figsize=(10, 10.8), dpi=110, facecolor="white")
    lines = figure.subplots(3, 3)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.06, wspace=0.02, hspace=0.09)
    for line, (place, image) in zip(lines, chosen.items(), strict=True):
        photo = by_name[image["name"]]
        probability = segment_all(model, [photo], card)[0][0]
        errors = plotting.error_image(
            probability >= row["threshold"], photo.ground_truth, photo.fov
        )
        titles = (f"{place}: {photo.name}", "vessel probability", f"F1 {image['f1']:.3f}")
        shown = (photo.image, 1 - probability, errors)
        for axes, panel, title in zip(line, shown, titles, strict=True):
            axes.imshow(panel, cmap="gray", vmin=0, vmax=1)
            axes.set_title(title)
            axes.set_axis_off()
    error_legend(figure, errors, y=0.02)
    figure.text(0.99, 0.01, CREDITS, ha="right", fontsize=8)
    save(figure, path)
