"""Draw the stored figures of real photographs, and measure what the first chapter says of them.

    python -m benchmarks.analysis.pictures

Writes retina_course/results/ and book/figures/. It needs CHASE_DB1 (folder RETINA_COURSE_DATA)
and the shipped weights. Chapters read the results, so that they run without the photographs.
"""

import time

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy import ndimage
from skimage import data as skimage_data

from benchmarks.common.datasets import chase_facts
from benchmarks.common.figures import CREDIT, save
from benchmarks.common.files import RESULTS, ROOT, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import error_analysis, metrics
from retina_course.figures import plotting
from retina_course.inference import segment

PROGRAM = Program(
    __file__,
    question="How wide, dark and disputed are the vessels of CHASE_DB1?",
    results=("chase_db1_facts.json",),
    also=(
        "retina_course/results/chase_db1_parts.jpg",
        "retina_course/results/chase_db1_observers.jpg",
        "retina_course/results/chase_db1_field_of_view.jpg",
        "retina_course/results/chase_db1_detail.jpg",
        "retina_course/results/unet_small_skimage_retina.jpg",
        "book/figures/readme.png",
        "book/_static/hero.webp",
        "book/_static/og.jpg",
    ),
    commands=("python -m benchmarks.analysis.pictures",),
    hours=0.01,
    data=("CHASE_DB1",),
    inputs=("retina_course/weights/unet_small.*",),
)
BOOK = ROOT / "book"

# What an arrow points at, and where its label stands: x, y in pixels, read off by eye.
PARTS = {
    "optic disc": ((580, 510), (700, 560)),
    "cup": ((530, 478), (680, 468)),
    "vein": ((690, 172), (800, 60)),
    "artery": ((375, 628), (235, 560)),
    "artery crosses vein": ((662, 795), (760, 900)),
    "macula, at the edge": ((938, 505), (770, 650)),
    "reflection, not a lesion": ((690, 395), (700, 290)),
}
DETAIL = {
    "vein": ((70, 187), (20, 140)),
    "artery with central light reflex": ((113, 90), (125, 25)),
    "artery crosses vein": ((91, 152), (170, 222)),
}


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    photographs = list(ChaseDB1(split="all"))
    observers(next(photo for photo in photographs if photo.name == "Image_01R"))
    field_of_view(photographs[0])
    left_eye = next(photo for photo in photographs if photo.name == "Image_02L")
    parts(left_eye)
    detail(left_eye)
    other_camera("unet_small")
    content = facts(photographs) | {
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "chase_db1_facts.json", content)


def facts(photographs: list[Photograph]) -> dict:
    """Field of view, vessels, widths and observers of CHASE_DB1."""
    lines = [error_analysis.centreline(photo.ground_truth) for photo in photographs]
    widths = np.concatenate([line.width for line in lines])
    detected = np.concatenate(
        [
            error_analysis.detected(photo.second_observer, line)
            for photo, line in zip(photographs, lines, strict=True)
        ]
    )
    scores = [
        metrics.binary_scores(photo.second_observer[photo.fov], photo.ground_truth[photo.fov])
        for photo in photographs
    ]
    pooled = metrics.binary_scores(
        *(
            np.concatenate([getattr(photo, key)[photo.fov] for photo in photographs])
            for key in ("second_observer", "ground_truth")
        )
    )
    return {
        "dataset": chase_facts()
        | {
            "images": len(photographs),
            "patients": len({photo.patient for photo in photographs}),
        },
        "size": list(photographs[0].image.shape[:2]),
        "fov_fraction": spread([photo.fov.mean() for photo in photographs]),
        "fov_diameter": spread([diameter(photo.fov) for photo in photographs]),
        "vessel_fraction": spread([photo.ground_truth[photo.fov].mean() for photo in photographs]),
        "mean_colour": {
            photo.name: np.round(photo.image[photo.fov].mean(axis=0), 2).tolist()
            for photo in photographs
        },
        "vessel_contrast": contrast(photographs),
        "vessel_width": {
            "unit": "pixels, on the centrelines of the first observer",
            "quantiles": {
                str(q): float(np.quantile(widths, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
            },
            "histogram": np.histogram(widths, bins=np.arange(0, 31))[0].tolist(),
        },
        "second_observer": {
            "pooled": pooled,
            "f1_per_image": spread([row["f1"] for row in scores]),
            "centreline_sensitivity_by_width": {
                name: float(detected[(widths >= low) & (widths < high)].mean())
                for name, (low, high) in error_analysis.WIDTHS.items()
            },
            "labelled_by_one": one_observer_only(photographs),
        },
    }


def one_observer_only(photographs: list[Photograph]) -> dict:
    """Pixels that one observer labelled alone, and the fraction of them near the other's."""
    first = second = near = 0
    for photo in photographs:
        a, b = photo.ground_truth & photo.fov, photo.second_observer & photo.fov
        only_a, only_b = a & ~b, b & ~a
        first, second = first + int(only_a.sum()), second + int(only_b.sum())
        near += int((only_a & (ndimage.distance_transform_edt(~b) <= 2)).sum())
        near += int((only_b & (ndimage.distance_transform_edt(~a) <= 2)).sum())
    return {"first": first, "second": second, "within_2_pixels": near / (first + second)}


def contrast(photographs: list[Photograph]) -> dict:
    """How much darker vessels are than the background beside them; red, green, blue.

    The background of a pixel: the mean of those around it that are no vessel (Gaussian, 8 pixels).
    """
    rows = []
    for photo in photographs:
        away = ndimage.distance_transform_edt(~(photo.ground_truth | photo.second_observer))
        beside, vessel = (away > 3) & (away <= 12) & photo.fov, photo.ground_truth & photo.fov
        weight = ndimage.gaussian_filter(beside.astype(float), 8)
        vessel &= weight > 0.01
        for level in np.moveaxis(photo.image.astype(float), 2, 0):
            background = ndimage.gaussian_filter(level * beside, 8) / np.maximum(weight, 0.01)
            darker = background - level
            rows.append((background[vessel].mean(), darker[vessel].mean(), darker[beside].std()))
    found = np.mean(np.reshape(rows, (len(photographs), 3, 3)), axis=0).T
    names = ("background", "darker_by", "sd_of_background")
    return {"unit": "levels, 0 to 255; mean over the photographs"} | {
        name: np.round(values, 2).tolist() for name, values in zip(names, found, strict=True)
    }


def diameter(fov: np.ndarray) -> int:
    return int(max(np.ptp(np.nonzero(fov)[axis]) + 1 for axis in (0, 1)))


def spread(values: list) -> dict:
    """Mean, smallest and largest of one number per image."""
    return {"mean": float(np.mean(values)), "min": float(min(values)), "max": float(max(values))}


def observers(photo: Photograph) -> None:
    """One photograph, and where its two observers agree."""
    both = np.full((*photo.ground_truth.shape, 3), 255, dtype=np.uint8)
    both[photo.ground_truth & photo.second_observer] = 0
    both[photo.ground_truth & ~photo.second_observer] = (0, 114, 178)
    both[~photo.ground_truth & photo.second_observer] = (230, 159, 0)
    both[~photo.fov] = 221
    titles = [photo.name, "black: both observers, blue: first only, orange: second only"]
    save(panels([photo.image, both], titles), RESULTS / "chase_db1_observers.jpg")


def field_of_view(photo: Photograph) -> None:
    """One photograph, its brightest channel and the mask that the rule makes of it."""
    brightest = np.repeat(photo.image.max(axis=2, keepdims=True), 3, axis=2)
    mask = np.repeat(photo.fov[..., None], 3, axis=2).astype(np.uint8) * 255
    titles = [photo.name, "max(R, G, B)", "field of view"]
    save(panels([photo.image, brightest, mask], titles), RESULTS / "chase_db1_field_of_view.jpg")


def parts(photo: Photograph) -> None:
    """A whole photograph with arrows to what it shows."""
    figure = panels([photo.image], [f"{photo.name}, a left eye"], size=6.4)
    arrows(figure.axes[0], PARTS, fontsize=12)
    save(figure, RESULTS / "chase_db1_parts.jpg")


def arrows(axes: Axes, marks: dict, fontsize: int) -> None:
    """White labels with arrows, readable on light and on dark ground."""
    for text, (point, place) in marks.items():
        axes.annotate(
            text,
            point,
            place,
            color="white",
            ha="center",
            fontsize=fontsize,
            arrowprops={"arrowstyle": "->", "color": "white", "linewidth": 1.6},
            path_effects=[withStroke(linewidth=3, foreground="black")],
        )


def detail(photo: Photograph) -> None:
    """A quarter of a photograph's width, in colour and channel by channel."""
    part = photo.image[100:340, 500:740]
    # Each channel from its own darkest to its own brightest level: blue would be black otherwise.
    low, high = np.percentile(part, (0.5, 99.5), axis=(0, 1))
    stretched = np.clip((part - low) / (high - low), 0, 1)
    channels = [stretched[..., [k] * 3] for k in range(3)]
    titles = [f"{photo.name}, enlarged", "red", "green", "blue"]
    figure = panels([part, *channels], titles, rows=2)
    arrows(figure.axes[0], DETAIL, fontsize=12)
    save(figure, RESULTS / "chase_db1_detail.jpg")


def other_camera(name: str) -> None:
    """A photograph by a camera that the network was not trained on; it is in the public domain."""
    photo = skimage_data.retina()
    model, card = weights.load(name)
    probability, fov, _ = segment(model, photo, card)
    vessels = ((probability >= card["threshold"]) & fov).numpy()
    white = np.where(vessels[..., None], 0, 255).repeat(3, axis=2).astype(np.uint8)
    white[~fov.numpy()] = 221
    images = [photo, white, plotting.overlay_image(photo, vessels)]
    figure = panels(images, ["photograph", "vessel map", "both"], credit=None)
    save(figure, RESULTS / f"{name}_skimage_retina.jpg")
    both = Image.new("RGB", (976, 480), "white")
    for place, image in zip((0, 496), images[:2], strict=True):
        both.paste(Image.fromarray(image).resize((480, 480)), (place, 0))
    both.save(BOOK / "figures" / "readme.png", optimize=True)
    both.save(BOOK / "_static" / "hero.webp", quality=80)
    link = Image.new("RGB", (1200, 630), "white")  # what other sites show beside a link
    link.paste(both.resize((1120, 551)), (40, 39))
    link.save(BOOK / "_static" / "og.jpg", quality=85)


def panels(
    images: list,
    titles: list[str],
    credit: str | None = CREDIT,
    rows: int = 1,
    size: float = 4.4,
) -> Figure:
    """Images side by side, each `size` inches wide, with the credit that their licence asks for."""
    columns = len(images) // rows
    height = (size + 0.2) * rows + 0.3
    figure = Figure(figsize=(size * columns, height), dpi=110, facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, image, title in zip(grid.flat, images, titles, strict=True):
        axes.imshow(image)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    top, bottom = 1 - 0.08 / rows, 0.08 / rows
    figure.subplots_adjust(0.01, bottom, 0.99, top, wspace=0.02, hspace=0.1)
    if credit:
        figure.text(0.99, 0.02 / rows, credit, ha="right", fontsize=7)
    return figure


if __name__ == "__main__":
    main()
