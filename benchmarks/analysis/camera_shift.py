"""What another camera does to scale, threshold and calibration of a network.

    python -m benchmarks.analysis.camera_shift [NETWORK ...]

Without flips, at native size, inside the field of view.

Scale. Networks that were trained on CHASE_DB1 alone look at the odd training photographs of HRF at
several pixels per degree. The row of `unet_small_both_not_a` (scores/any_camera) holds the same
photographs out.

Test halves. For each network that comes with the package: its scores at the threshold of its card
and at the threshold that would have suited these photographs best (an oracle: nobody has it), the
pixels by their probability, from which a chapter draws reliability, and the scores of each
photograph. The temperature is fitted on the training half of CHASE_DB1, which all of the networks
have seen.

Expected F1 (`inference.doubt`) of the odd training photographs of HRF: with --cards the lowest and
the highest go into the card of the network, and `segment` warns of a map that expects less.

Writes retina_course/results/camera_shift/NETWORK.json. It needs both sets (RETINA_COURSE_DATA).
"""

import json
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common.files import RESULTS, WEIGHTS, read_json, write_json
from benchmarks.common.folds import fold_of
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.scales import by_probability, ranking_at
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.data.published import PublishedPhotographs
from retina_course.evaluation import calibration, metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import Segmentation, segment
from retina_course.inference.doubt import expected_f1

PROGRAM = Program(
    __file__,
    question="What does another camera do to scale, threshold and calibration?",
    results=("camera_shift/*.json",),
    commands=("python -m benchmarks.analysis.camera_shift",),
    hours=0.6,
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/weights/*.safetensors", "retina_course/weights/*.json"),
)
NETWORKS = (
    "unet_small",
    "unet_small_any_camera",
    "retina_segmentor",
    "retina_segmentor_any_camera",
    "w_net_any_camera",
)
ONE_CAMERA = ("unet_small", "retina_segmentor")  # trained on CHASE_DB1 alone
KEPT_BINS = 512


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--cards", action="store_true", help="write the expected F1 into the cards")
    options = parser.parse_args()
    odd = [photo for photo in HRF(split="train") if fold_of("hrf", photo.name) == "a"]
    for name in options.networks:
        model, card = weights.load(name)
        found: dict[str, Any] = {"model": name, "threshold": card["threshold"]}
        found["pixels_per_degree"] = card["pixels_per_degree"]
        if name in ONE_CAMERA:
            found["scale"] = ranking_at(model, odd)
            for row in found["scale"].values():
                del row["histogram"]
        found["temperature"] = temperature(model, card)
        expected = [expected_f1(*seen(model, card, photo).seen, card["threshold"]) for photo in odd]
        found["expected_f1"] = [round(min(expected), 3), round(max(expected), 3)]
        found["test"] = {
            dataset.folder: on_set(model, card, dataset)
            for dataset in (ChaseDB1(split="test"), HRF(split="test"))
        }
        found["provenance"] = provenance(torch.device("cpu"), PROGRAM)
        write_json(RESULTS / "camera_shift" / f"{name}.json", found)
        if options.cards:
            path = WEIGHTS / f"{name}.json"
            card = read_json(path) | {"expected_f1": found["expected_f1"]}
            path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
        print(f"written   {name}", flush=True)


def temperature(model: nn.Module, card: dict[str, Any]) -> float:
    """What the log-odds are to be divided by, of a hundredth of the training pixels."""
    p, t = [], []
    for photo in ChaseDB1(split="train"):
        image = seen(model, card, photo).probability.numpy()
        inside, vessel = metrics.pool([image], [photo.ground_truth], [photo.fov])
        p.append(inside[::100])
        t.append(vessel[::100])
    return calibration.fit_temperature(np.concatenate(p), np.concatenate(t))


def on_set(model: nn.Module, card: dict[str, Any], photographs: PublishedPhotographs) -> dict:
    """Pooled scores at two thresholds, pixels by probability, and the scores per photograph."""
    counts, per_image = PixelCounts(), []
    histogram = np.zeros((2, KEPT_BINS), np.int64)
    for photo in photographs:
        found = seen(model, card, photo)
        image = found.probability.numpy()
        p, vessel = metrics.pool([image], [photo.ground_truth], [photo.fov])
        counts.add(p, vessel)
        histogram += by_probability(p, vessel).reshape(2, KEPT_BINS, -1).sum(axis=2)
        row = {"name": photo.name} | metrics.scores(p, vessel, card["threshold"])
        per_image.append(row | {"expected_f1": expected_f1(*found.seen, card["threshold"])})
    best = counts.best_threshold()
    return {
        "pooled": counts.scores(card["threshold"]),
        "best_threshold": best,
        "best_f1": counts.scores(best)["f1"],
        "histogram": histogram.tolist(),
        "per_image": per_image,
    }


def seen(model: nn.Module, card: dict[str, Any], photo: Photograph) -> Segmentation:
    """Probabilities of one photograph, without flips."""
    angle = photo.field_angle
    return segment(model, photo.image, card, flips=False, fov=photo.fov, field_angle=angle)


if __name__ == "__main__":
    main()
