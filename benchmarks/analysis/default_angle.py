"""Which field angle to assume where nobody gives one.

    python -m benchmarks.analysis.default_angle

Eight training photographs, four of a camera of 30 degrees (CHASE_DB1) and four of one of 60 (HRF),
are segmented as if each field of view had 30, 45, 50 or 60 degrees, or as many as the optic disc
suggests: without flips, at the threshold of the card. The best guess is the one that loses least,
on average over the two cameras, against the right angle. At 30 degrees the field of view has 640
pixels whatever the camera, as in version 0.5.

Writes retina_course/results/default_angle.json. It needs both sets (folder RETINA_COURSE_DATA).
"""

import time

import numpy as np
import torch

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1, Photograph
from retina_course.data.images import read_image
from retina_course.evaluation.metrics import pool
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import segment, working_diameter
from retina_course.inference.disc_angle import angle_from_disc
from retina_course.inference.field_of_view import measured_diameter

PROGRAM = Program(
    __file__,
    question="Which field angle is the best guess for a photograph whose camera is not known?",
    results=("default_angle.json",),
    commands=("python -m benchmarks.analysis.default_angle",),
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/weights/unet_small.*", "retina_course/weights/retina_net.*"),
)
MODEL = "unet_small"
ANGLES = (30, 45, 50, 60)
DISC = "disc"  # what `angle_from_disc` suggests; 45 degrees where it finds no disc
PHOTOGRAPHS = 4  # the first of each training half: two children, two patients


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    model, card = weights.load(MODEL)
    sets = {dataset.folder: dataset for dataset in (ChaseDB1(split="train"), HRF(split="train"))}
    photographs = {name: [s[i] for i in range(PHOTOGRAPHS)] for name, s in sets.items()}
    scores = {
        name: {str(angle): score(model, card, photos, angle) for angle in (*ANGLES, DISC)}
        for name, photos in photographs.items()
    }
    content = {
        "model": MODEL,
        "weights_sha256": card["sha256"],
        "pixels_per_degree": card["pixels_per_degree"],
        "photographs": {name: [p.name for p in photos] for name, photos in photographs.items()},
        "field_angle": {name: photos[0].field_angle for name, photos in photographs.items()},
        "scores": scores,
        "loss": loss(scores, {name: str(int(s.field_angle)) for name, s in sets.items()}),
        "datasets": {name: s.digest() for name, s in sets.items()},
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "default_angle.json", content)


def score(
    model: torch.nn.Module, card: dict, photographs: list[Photograph], angle: float | str
) -> dict[str, float]:
    """Pooled scores as if the field of view were `angle` degrees wide, and the scale in truth."""
    counts, scales = PixelCounts(), []
    for photo in photographs:
        fov = torch.from_numpy(photo.fov)
        said = suggested(photo, fov) if angle == DISC else float(angle)
        p = segment(model, photo.image, card, flips=False, fov=fov, field_angle=said)
        counts.add(*pool([p.probability.numpy()], [photo.ground_truth], [photo.fov]))
        own = measured_diameter(fov)
        scales.append(working_diameter(own, said, card).diameter / photo.field_angle)
    found = counts.scores(card["threshold"])
    row = {key: found[key] for key in ("auc", "f1")}
    print(f"{photographs[0].name}, {angle} assumed: {row}", flush=True)
    return row | {"pixels_per_degree": float(np.mean(scales))}


def suggested(photo: Photograph, fov: torch.Tensor) -> float | None:
    """What the optic disc suggests."""
    return angle_from_disc(*weights.load("retina_net"), read_image(photo.image), fov)


def loss(scores: dict, right: dict[str, str]) -> dict[str, dict[str, float]]:
    """What each assumed angle loses against the right one, on average over the cameras."""
    return {
        angle: {
            key: float(
                np.mean(
                    [rows[right[name]][key] - rows[angle][key] for name, rows in scores.items()]
                )
            )
            for key in ("auc", "f1")
        }
        for angle in map(str, (*ANGLES, DISC))
    }


if __name__ == "__main__":
    main()
