"""Draw the stored pictures of real photographs, and measure what the first chapter says of them.

    python benchmarks/pictures.py

Writes retina_course/results/ and book/figures/. It needs CHASE_DB1 (folder RETINA_COURSE_DATA)
and the shipped weights. Chapters read the results, so that they run without the photographs.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from provenance import ROOT, provenance, write_json
from scipy import ndimage
from skimage import data as skimage_data
from torch import nn

from retina_course import inference, weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.data.detection import LESION_CLASSES
from retina_course.evaluation import error_analysis, metrics
from retina_course.figures import plotting
from retina_course.inference import detection

RESULTS = ROOT / "retina_course" / "results"
CREDIT = "Photograph: CHASE_DB1, Fraz et al. 2012, Kingston University, CC BY 4.0"


def main() -> None:
    photographs = list(ChaseDB1(split="all"))
    facts(photographs)
    observers(next(photo for photo in photographs if photo.name == "Image_01R"))
    field_of_view(photographs[0])
    detail(next(photo for photo in photographs if photo.name == "Image_02L"))
    other_camera("unet_small")


def facts(photographs: list[Photograph]) -> None:
    """Field of view, vessels, widths and observers of CHASE_DB1, as JSON."""
    lines = [error_analysis.centreline(photo.ground_truth) for photo in photographs]
    widths = np.concatenate([line.width for line in lines])
    seen = np.concatenate(
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
            for key in ("second_observer", "vessels")
        )
    )
    content = {
        "dataset": {
            "name": "CHASE_DB1",
            "images": len(photographs),
            "patients": len({photo.patient for photo in photographs}),
            "digest": ChaseDB1(split="all").digest(),
            "licence": "CC BY 4.0, Fraz et al. 2012, Kingston University",
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
                name: float(seen[(widths >= low) & (widths < high)].mean())
                for name, (low, high) in error_analysis.WIDTHS.items()
            },
            "labelled_by_one": one_observer_only(photographs),
        },
        "program": "benchmarks/pictures.py",
        "provenance": provenance(torch.device("cpu")),
    }
    write_json(RESULTS / "chase_db1_facts.json", content)


def one_observer_only(photographs: list[Photograph]) -> dict:
    """Pixels that one observer drew alone, and their share within two pixels of the other's."""
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

    The background of a pixel is the mean of the vessel-free pixels around it (Gaussian, 8 pixels).
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
    picture = np.full((*photo.ground_truth.shape, 3), 255, dtype=np.uint8)
    picture[photo.ground_truth & photo.second_observer] = 0
    picture[photo.ground_truth & ~photo.second_observer] = (0, 114, 178)
    picture[~photo.ground_truth & photo.second_observer] = (230, 159, 0)
    picture[~photo.fov] = 221
    titles = [photo.name, "black: both observers, blue: first only, orange: second only"]
    save(panels([photo.image, picture], titles), RESULTS / "chase_db1_observers.jpg")


def field_of_view(photo: Photograph) -> None:
    """One photograph, its brightest channel and the mask that the rule makes of it."""
    brightest = np.repeat(photo.image.max(axis=2, keepdims=True), 3, axis=2)
    mask = np.repeat(photo.fov[..., None], 3, axis=2).astype(np.uint8) * 255
    titles = [photo.name, "max(R, G, B)", "field of view"]
    save(panels([photo.image, brightest, mask], titles), RESULTS / "chase_db1_field_of_view.jpg")


def detail(photo: Photograph) -> None:
    """A quarter of a photograph's width, in colour and channel by channel."""
    part = photo.image[100:340, 500:740]
    # Each channel from its own darkest to its own brightest level: blue would be black otherwise.
    low, high = np.percentile(part, (0.5, 99.5), axis=(0, 1))
    stretched = np.clip((part - low) / (high - low), 0, 1)
    channels = [stretched[..., [k] * 3] for k in range(3)]
    titles = [f"{photo.name}, enlarged", "red", "green", "blue"]
    save(panels([part, *channels], titles, rows=2), RESULTS / "chase_db1_detail.jpg")


def errors(model: nn.Module, card: dict, run: dict, photographs: list[Photograph]) -> None:
    """Photograph, probability and errors of the best, the median and the worst test image.

    `run` is the stored row with flips, of the same weights; `chase_db1.py collect` calls this.
    """
    order = sorted(run["per_image"], key=lambda row: -row["f1"])
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    by_name = {photo.name: photo for photo in photographs}
    figure = Figure(figsize=(10, 10.8), dpi=110, facecolor="white")
    rows = figure.subplots(3, 3)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.06, wspace=0.02, hspace=0.09)
    for line, (place, row) in zip(rows, chosen.items(), strict=True):
        photo = by_name[row["name"]]
        probability = inference.segment(model, photo.image, card, fov=photo.fov).probability.numpy()
        vessels = probability >= run["threshold"]
        picture = plotting.error_image(vessels, photo.ground_truth, photo.fov)
        shown = (photo.image, 1 - probability, picture)
        titles = (f"{place}: {row['name']}", "vessel probability", f"F1 {row['f1']:.3f}")
        for axes, panel, title in zip(line, shown, titles, strict=True):
            axes.imshow(panel, cmap="gray", vmin=0, vmax=1)
            axes.set_title(title)
            axes.set_axis_off()
    legend = plotting.error_legend(picture)
    for patch in legend:  # the numbers of pixels belong to one picture of the three
        patch.set_label(patch.get_label().split(":")[0])
    figure.legend(
        handles=legend, loc="lower center", bbox_to_anchor=(0.5, 0.02), ncols=3, frameon=False
    )
    figure.text(0.99, 0.01, CREDIT.replace("graph:", "graphs:"), ha="right", fontsize=8)
    save(figure, RESULTS / f"{card['model']}_chase_db1_errors.jpg")


def detections_picture(model: nn.Module, card: dict, photographs: list) -> None:
    """The first six test photographs that show every class, with true and found boxes."""
    shown = [photo for photo in photographs if len(photo.labels.unique()) == 3][:6]
    figure = Figure(figsize=(13.2, 7.0), dpi=110, facecolor="white", layout="constrained")
    for axes, photo in zip(figure.subplots(2, 3).flat, shown, strict=True):
        found = detection.detect(model, photo.image, card)
        axes.imshow(photo.image)
        truth = {"boxes": photo.boxes, "labels": photo.labels}
        plotting.draw_boxes(axes, found, truth, card["threshold"])
        axes.set_title(f"IDRiD {photo.name}", fontsize=10)
        axes.set_axis_off()
    plotting.box_legend(figure, LESION_CLASSES, with_truth=True)
    credit = "Photographs: IDRiD, Porwal et al. 2018, CC BY 4.0; boxes: CODRAS, CC BY-SA 4.0"
    figure.suptitle(credit, x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / f"{card['model']}_idrid.jpg")


def other_camera(name: str) -> None:
    """A photograph by a camera that the network has not seen; it is in the public domain."""
    photo = skimage_data.retina()
    model, card = weights.load(name)
    probability, fov = inference.segment(model, photo, card)
    vessels = ((probability >= card["threshold"]) & fov).numpy()
    white = np.where(vessels[..., None], 0, 255).repeat(3, axis=2).astype(np.uint8)
    white[~fov.numpy()] = 221
    pictures = [photo, white, plotting.overlay_image(photo, vessels)]
    figure = panels(pictures, ["photograph", "vessel map", "both"], credit=None)
    save(figure, RESULTS / f"{name}_skimage_retina.jpg")
    readme = ROOT / "book" / "figures" / "readme.png"
    readme.parent.mkdir(exist_ok=True)
    small = [Image.fromarray(picture).resize((480, 480)) for picture in pictures[:2]]
    both = Image.new("RGB", (976, 480), "white")
    for place, picture in zip((0, 496), small, strict=True):
        both.paste(picture, (place, 0))
    both.save(readme, optimize=True)


def panels(pictures: list, titles: list[str], credit: str | None = CREDIT, rows: int = 1) -> Figure:
    """Pictures side by side, with the credit that their licence asks for."""
    columns = len(pictures) // rows
    figure = Figure(figsize=(4.4 * columns, 4.6 * rows + 0.3), dpi=110, facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=True):
        axes.imshow(picture)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    top, bottom = 1 - 0.08 / rows, 0.08 / rows
    figure.subplots_adjust(0.01, bottom, 0.99, top, wspace=0.02, hspace=0.1)
    if credit:
        figure.text(0.99, 0.02 / rows, credit, ha="right", fontsize=7)
    return figure


def save(figure: Figure, path: Path) -> None:
    """JPEG for photographs, PNG for drawings."""
    figure.savefig(path, pil_kwargs={"quality": 88} if path.suffix == ".jpg" else {})
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
