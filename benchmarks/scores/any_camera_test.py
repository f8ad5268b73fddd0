"""The test halves of both sets, once: networks for any camera beside those of CHASE_DB1 alone.

    python -m benchmarks.scores.any_camera_test [NAME ...] --output runs/any_camera

A name is a network with weights in the output (`NAME/weights.safetensors`), or one that comes with
the package. Each is scored on CHASE_DB1's 20 and HRF's 30 test photographs at native size, inside
the field of view, with four flips. The threshold of a network for any camera is that of its two
folds' held-out children (`NAME` without its seed, `_not_a` and `_not_b`); that of a shipped network
stands in its card. Writes retina_course/results/any_camera_test/NAME.json. The data folder is
RETINA_COURSE_DATA.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.folds import FOLDS
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.scales import best_threshold
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import segment
from retina_course.training.devices import default_device

PROGRAM = Program(
    __file__,
    question="What do networks for any camera score on the test halves of two cameras?",
    results=("any_camera_test/*.json",),
    commands=("python -m benchmarks.scores.any_camera_test --output runs/any_camera",),
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/results/any_camera/*.json",),
)
ROWS = RESULTS / "any_camera_test"


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("runs/any_camera"))
    options = parser.parse_args()
    for name in options.names:
        row = ROWS / f"{name}.json"
        if row.exists():
            print(f"finished  {name}")
            continue
        path = options.output / name / "weights.safetensors"
        model, card = weights.load(path if path.exists() else name)
        if path.exists():
            card["threshold"] = folds_threshold(name, card)
        write_json(row, scored(model.to(default_device()), card))
        print(f"written   {name}", flush=True)


def folds_threshold(name: str, card: dict[str, Any]) -> float:
    """The threshold with the highest F1 of the children that the two folds have not seen."""
    network = name.rsplit("_seed", 1)[0]
    scale = f"{card['pixels_per_degree']:.1f}".removesuffix(".0")
    pixels = [
        np.array(held[scale]["histogram"])
        for fold in FOLDS
        for held in read_json(RESULTS / "any_camera" / f"{network}_not_{fold}_seed0.json")[
            "held_out"
        ].values()
    ]
    # Each set counts the same, whatever its number of pixels.
    return best_threshold(sum(part / part.sum() for part in pixels))


def scored(model: Any, card: dict[str, Any]) -> dict[str, Any]:
    """Pooled scores and those of each photograph, by set."""
    source = provenance(default_device(), PROGRAM)
    found: dict[str, Any] = {"threshold": card["threshold"], "provenance": source}
    found["pixels_per_degree"] = card["pixels_per_degree"]
    for dataset in (ChaseDB1(split="test"), HRF(split="test")):
        counts, rows = PixelCounts(), []
        for photo in dataset:
            angle = photo.field_angle
            image = segment(model, photo.image, card, fov=photo.fov, field_angle=angle)
            p, vessel = metrics.pool([image.probability.numpy()], [photo.ground_truth], [photo.fov])
            counts.add(p, vessel)
            rows.append({"name": photo.name} | metrics.scores(p, vessel, card["threshold"]))
        name = "chase" if isinstance(dataset, ChaseDB1) else "hrf"
        found[name] = {"pooled": counts.scores(card["threshold"]), "per_image": rows}
    return found


if __name__ == "__main__":
    main()
