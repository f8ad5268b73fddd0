"""How the shipped vessel networks bear photographs that another camera could have taken.

    python -m benchmarks.analysis.changed_photographs

The test photographs of CHASE_DB1 are changed, one property at a time, and scored against the same
ground truth: without flips, at the threshold of the card. A change is made at native size and
rounded to 8 bits, as in a file. "Colours of IDRiD" gives each channel the mean and standard
deviation, inside the field of view, that it has on average in the photographs of IDRiD.

Writes retina_course/results/changed_photographs.json and a figure of the changes. It needs both
sets (folder RETINA_COURSE_DATA).
"""

import io
import time
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from benchmarks.common import datasets
from benchmarks.common.figures import CREDIT, save
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import SHIPPED
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.reading import field_of_view
from retina_course.evaluation import estimate, metrics
from retina_course.inference import segment_all

PROGRAM = Program(
    __file__,
    question="How much do the shipped networks lose on photographs as another camera makes them?",
    results=("changed_photographs.json",),
    also=("retina_course/results/changed_photographs.jpg",),
    commands=("python -m benchmarks.analysis.changed_photographs",),
    hours=0.25,
    data=("CHASE_DB1", "IDRiD_boxes"),
    inputs=(
        "retina_course/weights/unet_small.*",
        "retina_course/weights/unet_large.*",
        "retina_course/weights/retina_segmentor.*",
    ),
)
UNCHANGED = "unchanged"


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    test = list(ChaseDB1(split="test"))
    colours = mean_colours(IDRiDBoxes(split="all"))
    patients = [photo.patient for photo in test]
    cards, scores, f1 = {}, {}, {}
    for name in SHIPPED:
        model, cards[name] = weights.load(name)
        scores[name] = {}
        for change in changed(test[0], colours):
            photographs = [replace(photo, image=changed(photo, colours)[change]) for photo in test]
            p, t, fov = segment_all(model, photographs, cards[name], flips=False)
            threshold = cards[name]["threshold"]
            row = metrics.scores(*metrics.pool(p, t, fov), threshold)
            f1[change] = [
                metrics.binary_scores(found[inside] >= threshold, vessels[inside])["f1"]
                for found, vessels, inside in zip(p, t, fov, strict=True)
            ]
            moved = estimate(f1[change], minus=f1[UNCHANGED], patients=patients)
            row["f1_difference"] = moved.interval()._asdict()
            scores[name][change] = row
            print(f"{name}, {change}: AUC {row['auc']:.4f}, F1 {row['f1']:.4f}", flush=True)
    draw(test[0], colours)
    content = {
        "scores": scores,
        "patients": len(set(patients)),
        "colours_of_idrid": colours.tolist(),
        "weights_sha256": {name: card["sha256"] for name, card in cards.items()},
        "datasets": {name: datasets.digest(name) for name in ("IDRiD_boxes", "CHASE_DB1")},
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "changed_photographs.json", content)


def changed(photo: Photograph, colours: np.ndarray) -> dict[str, np.ndarray]:
    """The photograph, uint8 `(H, W, 3)`, with one property changed at a time."""
    x = photo.image / 255
    inside = x[photo.fov]
    mean, sd = inside.mean(axis=0), inside.std(axis=0)
    noise = np.random.default_rng(0).normal(scale=0.05, size=x.shape)
    images = {
        UNCHANGED: x,
        "brighter (gamma 0.6)": x**0.6,
        "darker (gamma 1.6)": x**1.6,
        "half the contrast": mean + 0.5 * (x - mean),
        "half the blue": x * [1, 1, 0.5],
        "colours of IDRiD": colours[0] + (x - mean) / sd * colours[1],
        "noise (sd 0.05)": x + noise,
        "blurred (sd 2 pixels)": ndimage.gaussian_filter(x, (2, 2, 0)),
    }
    fov = photo.fov[..., None]  # outside every camera is black: nothing is changed there
    found = {
        name: (np.where(fov, image, x).clip(0, 1) * 255).round().astype(np.uint8)
        for name, image in images.items()
    }
    file = io.BytesIO()
    Image.fromarray(found[UNCHANGED]).save(file, "JPEG", quality=20)
    return found | {"JPEG (quality 20)": np.array(Image.open(file))}


def mean_colours(photographs: IDRiDBoxes) -> np.ndarray:
    """Mean and standard deviation of each channel in the field of view, on average: `(2, 3)`."""
    found = []
    for photo in photographs:
        inside = photo.image[field_of_view(photo.image)] / 255
        found.append((inside.mean(axis=0), inside.std(axis=0)))
    return np.mean(found, axis=0)


def draw(photo: Photograph, colours: np.ndarray) -> None:
    """A part of one photograph with every change."""
    figure = Figure(figsize=(10, 10.6), dpi=90, facecolor="white", layout="constrained")
    images = changed(photo, colours)
    for axes, (name, image) in zip(figure.subplots(3, 3).flat, images.items(), strict=True):
        axes.imshow(image[360:660, 330:630])
        axes.set_title(name, fontsize=11)
        axes.set_axis_off()
    figure.suptitle(f"{CREDIT} ({photo.name}); changed by us", x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / "changed_photographs.jpg")


if __name__ == "__main__":
    main()
