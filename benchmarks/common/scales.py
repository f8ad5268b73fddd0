"""How a network does on photographs at several scales, without choosing a threshold for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import segment
from retina_course.training.any_camera import CameraRecipe

SCALES = (10.7, 14.0, 17.5, 21.3, 26.0)  # pixels per degree
WORKING_SCALE = 21.3
SOURCE_SCALES = {"chase": 32.0, "hrf": 27.0}  # of the images that crops are taken from
SHARES = {"chase": 0.4, "hrf": 0.6}  # of the crops, where both sets are trained on
BINS = 4096  # of the probabilities that a threshold is chosen from


def camera_card(network: str, recipe: CameraRecipe) -> dict[str, Any]:
    """The card of a network for any camera, before its threshold is known."""
    return {
        "model": network,
        "options": {"num_classes": 1},
        "pixels_per_degree": WORKING_SCALE,
        "pixels_per_degree_range": list(recipe.pixels_per_degree),
        "colours": None,  # some of its training images were grey, see `data.appearance.tones`
    }


def ranking_at(
    model: torch.nn.Module,
    photographs: Sequence[Photograph],
    scales: Sequence[float] = SCALES,
    *,
    flips: bool = False,
) -> dict[str, Any]:
    """For each scale AUC, average precision, the best F1, and the pixels by their probability.

    The best F1 is that of the threshold that suits these photographs best: for choosing, never
    for reporting. Photographs are looked at one at a time.
    """
    found = {}
    for scale in scales:
        counts, histogram = PixelCounts(), np.zeros((2, BINS), np.int64)
        for photo in photographs:
            card = {"pixels_per_degree": scale}
            angle = photo.field_angle
            image = segment(model, photo.image, card, flips=flips, fov=photo.fov, field_angle=angle)
            p, vessel = metrics.pool([image.probability.numpy()], [photo.ground_truth], [photo.fov])
            counts.add(p, vessel)
            histogram += by_probability(p, vessel)
        threshold = counts.best_threshold()
        scores = counts.ranking() | {"best_threshold": threshold}
        scores |= {"best_f1": counts.scores(threshold)["f1"], "histogram": histogram.tolist()}
        found[f"{scale:g}"] = scores
    return found


def by_probability(p: NDArray[np.float32], vessel: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels of background and of vessel in equal steps of the probability, `(2, BINS)`."""
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    return np.stack([np.bincount(bins[vessel == kind], minlength=BINS) for kind in (False, True)])


def best_threshold(histogram: NDArray[Any]) -> float:
    """The threshold with the highest F1 of `by_probability`'s counts, or a multiple of them."""
    fp, tp = (side[::-1].cumsum()[::-1] for side in np.asarray(histogram))
    return int(np.argmax(2 * tp / (tp + fp + tp[0]))) / BINS
