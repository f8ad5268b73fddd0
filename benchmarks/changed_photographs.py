"""How the shipped vessel networks bear photographs that another camera could have taken.

    python benchmarks/changed_photographs.py

The test photographs of CHASE_DB1 are changed, one property at a time, and scored against the same
drawn vessels: without flips, at the threshold of the card. A change is made at native size and
rounded to 8 bits, as in a file. "Colours of IDRiD" gives each channel the mean and standard
deviation, inside the field of view, that it has on average in the photographs of IDRiD.

Writes retina_course/results/changed_photographs.json and a picture of the changes. It needs both
sets (folder RETINA_COURSE_DATA).
"""

import io
from dataclasses import replace

import numpy as np
import torch
from lesions_and_disc import NETWORKS
from matplotlib.figure import Figure
from pictures import CREDIT, RESULTS, save
from PIL import Image
from provenance import provenance, write_json
from scipy import ndimage

from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.reading import field_of_view
from retina_course.evaluation import metrics, paired_difference
from retina_course.inference import segment_all

UNCHANGED = "unchanged"


def main() -> None:
    test, boxed = list(ChaseDB1(split="test")), IDRiDBoxes(split="all")
    colours = mean_colours(boxed)
    patients = [photo.patient for photo in test]
    cards, scores, f1 = {}, {}, {}
    for name in NETWORKS:
        model, cards[name] = weights.load(name)
        scores[name] = {}
        for change in changed(test[0], colours):
            photographs = [replace(photo, image=changed(photo, colours)[change]) for photo in test]
            p, t, fov = segment_all(model, photographs, cards[name], flips=False)
            threshold = cards[name]["threshold"]
            row = metrics.scores(*metrics.pool(p, t, fov), threshold)
            f1[change] = [
                metrics.binary_scores(q[inside] >= threshold, drawn[inside])["f1"]
                for q, drawn, inside in zip(p, t, fov, strict=True)
            ]
            moved = paired_difference(f1[UNCHANGED], f1[change], patients=patients)
            row["f1_difference"] = dict(zip(("value", "low", "high"), moved[:3], strict=True))
            scores[name][change] = row
            print(f"{name}, {change}: AUC {row['auc']:.4f}, F1 {row['f1']:.4f}", flush=True)
    picture(test[0], colours)
    content = {
        "scores": scores,
        "patients": len(set(patients)),
        "colours_of_idrid": colours.tolist(),
        "weights_sha256": {name: card["sha256"] for name, card in cards.items()},
        "datasets": {"IDRiD_boxes": boxed.digest(), "CHASE_DB1": ChaseDB1(split="all").digest()},
        "program": "benchmarks/changed_photographs.py",
        "provenance": provenance(torch.device("cpu")),
    }
    write_json(RESULTS / "changed_photographs.json", content)


def changed(photo: Photograph, colours: np.ndarray) -> dict[str, np.ndarray]:
    """The photograph, uint8 `(H, W, 3)`, with one property changed at a time."""
    x = photo.image / 255
    inside = x[photo.fov]
    mean, sd = inside.mean(axis=0), inside.std(axis=0)
    noise = np.random.default_rng(0).normal(scale=0.05, size=x.shape)
    pictures = {
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
        name: (np.where(fov, picture, x).clip(0, 1) * 255).round().astype(np.uint8)
        for name, picture in pictures.items()
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


def picture(photo: Photograph, colours: np.ndarray) -> None:
    """A part of one photograph with every change."""
    figure = Figure(figsize=(10, 10.6), dpi=90, facecolor="white", layout="constrained")
    pictures = changed(photo, colours)
    for axes, (name, image) in zip(figure.subplots(3, 3).flat, pictures.items(), strict=True):
        axes.imshow(image[360:660, 330:630])
        axes.set_title(name, fontsize=11)
        axes.set_axis_off()
    figure.suptitle(f"{CREDIT} ({photo.name}); changed by us", x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / "changed_photographs.jpg")


if __name__ == "__main__":
    main()
