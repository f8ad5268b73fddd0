"""The course's protocol for vessels on CHASE_DB1: the scores of a network and of binary maps.

The first 8 images train, the last 20 test, ground truth by the first observer; pixels inside the
field of view only, at native size; the threshold maximises the pooled F1 of the training images;
the weights are those after the last step.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from benchmarks.common.rows import OPTIMIZER
from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.inference import segment_all
from retina_course.training import Recipe

PROTOCOL = {
    "pixels": "inside the field of view, native size",
    "field_of_view": "largest component of max(R, G, B) > 20, holes filled",
    "ground_truth": "first observer",
    "threshold": "maximises the pooled F1 of the 8 training images",
    "weights": "after the last step",
}


def recipe_row(recipe: Recipe, precision: torch.dtype) -> dict:
    """What a row stores of the course's recipe."""
    return {
        **asdict(recipe),
        "loss": "binary cross-entropy + Dice",
        "optimizer": OPTIMIZER,
        "precision": str(precision).removeprefix("torch."),
    }


def training_threshold(
    model: torch.nn.Module, card: dict, training: Sequence[Photograph], *, flips: bool
) -> float:
    """The threshold with the highest pooled F1 of the training images."""
    return metrics.best_threshold(*metrics.pool(*segment_all(model, training, card, flips=flips)))


def score(
    model: torch.nn.Module,
    card: dict,
    training: Sequence[Photograph],
    test: Sequence[Photograph],
    *,
    flips: bool,
) -> tuple[dict, tuple]:
    """The protocol's row of one network, and the test maps as `segment_all` returns them."""
    threshold = training_threshold(model, card, training, flips=flips)
    began = time.perf_counter()
    maps = segment_all(model, test, card, flips=flips)
    seconds = (time.perf_counter() - began) / len(test)
    row = metrics.evaluate(*maps, threshold) | {"seconds_per_image": seconds}
    for image, photograph in zip(row["per_image"], test, strict=True):
        image["name"] = photograph.name
    probabilities, ground_truth = metrics.pool(*maps)
    row["f1_at_half"] = metrics.binary_scores(probabilities >= 0.5, ground_truth)["f1"]
    return row, maps


def binary_row(photographs: Sequence[Photograph], maps: Sequence[np.ndarray]) -> dict:
    """The protocol's row of binary maps, another observer's say: they have no AUC."""
    pairs = [
        (found & photo.fov, photo.ground_truth & photo.fov, photo.fov)
        for found, photo in zip(maps, photographs, strict=True)
    ]
    rows = [
        metrics.binary_scores(found[fov], truth[fov]) | {"cldice": metrics.cldice(found, truth)}
        for found, truth, fov in pairs
    ]
    together = [np.concatenate([pair[i][pair[2]] for pair in pairs]) for i in range(2)]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        "pooled": metrics.binary_scores(*together),
        "mean": {key: float(np.mean(v)) for key, v in columns.items()},
        "sd": {key: float(np.std(v, ddof=1)) for key, v in columns.items()},
    }
