"""Scores of detections: which boxes hit, and average precision.

Detections and ground_truths are lists with one dict an image: `boxes` `(B, 4)` (x1, y1, x2, y2 in
pixels) and `labels` `(B,)`, detections also `scores` `(B,)`, as detectors return them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from retina_course.evaluation.intervals import Interval, bootstrap
from retina_course.models.detection.boxes import iou


class Curve(NamedTuple):
    """Precision and recall at each threshold, from the highest score down."""

    precision: NDArray
    recall: NDArray
    threshold: NDArray


def true_positives(
    boxes: Tensor, scores: Tensor, ground_truth: Tensor, threshold: float
) -> NDArray:
    """Which boxes of one image and one class hit an object, bool `(B,)`.

    From the best score down, a box hits the object that it overlaps most among those that no
    better box has hit, if their IoU is at least `threshold`. So an object is hit once, and a second
    box on it is a false positive.
    """
    found = np.zeros(len(scores), dtype=bool)
    overlaps = iou(boxes.double(), ground_truth.double()).numpy()
    free = np.ones(len(ground_truth), dtype=bool)
    for i in scores.argsort(descending=True, stable=True).tolist():
        left = np.where(free, overlaps[i], -1)
        if left.size and left.max() >= threshold:
            free[left.argmax()] = False
            found[i] = True
    return found


def precision_recall(
    detections: Sequence[dict], ground_truths: Sequence[dict], label: int, threshold: float
) -> Curve:
    """The curve of one class over all images; boxes of equal score count together.

    Recall is NaN where the images hold no object of this class.

    Raises
    ------
    ValueError : no image, another number of images, scores that are not finite, or a threshold
        outside (0, 1].
    """
    return _curve(_per_image(detections, ground_truths, label, threshold))


def average_precision(
    detections: Sequence[dict], ground_truths: Sequence[dict], label: int, threshold: float = 0.5
) -> float:
    """The area under the interpolated precision-recall curve, in [0, 1].

    At each recall the precision is the best at that recall or a higher one; the area is exact, not
    a mean of 11 or 101 points. NaN where the images hold no object of this class: then nothing can
    be found, and nothing be missed. See `true_positives` for what counts as found.
    Source: Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, section 4.2, with all points.

    Raises
    ------
    ValueError : see `precision_recall`.
    """
    return _area(_per_image(detections, ground_truths, label, threshold))


def bootstrap_average_precision(
    detections: Sequence[dict],
    ground_truths: Sequence[dict],
    label: int,
    threshold: float = 0.5,
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Average precision with its 95 % interval over test images, see `metrics.bootstrap`.

    Raises
    ------
    ValueError : so few images show the class that some draws have none; see also `bootstrap`.
    """
    images = _per_image(detections, ground_truths, label, threshold)
    return bootstrap(
        lambda drawn: _area([images[i] for i in drawn]), len(images), samples=samples, seed=seed
    )


def best_threshold(
    detections: Sequence[dict],
    ground_truths: Sequence[dict],
    labels: Sequence[int],
    threshold: float = 0.5,
) -> float:
    """The score from which on boxes give the highest F1, all classes together.

    To be chosen on training images. F1 = 2 TP / (boxes + objects). `threshold` is the IoU of a hit,
    the result a score.

    Raises
    ------
    ValueError : nothing was detected, or there is no object; see also `precision_recall`.
    """
    if not len(labels):
        raise ValueError("There is no label to score.")
    images = [
        row for label in labels for row in _per_image(detections, ground_truths, label, threshold)
    ]
    curve = _curve(images)
    if not len(curve.threshold) or np.isnan(curve.recall).any():
        raise ValueError("A threshold needs images with objects, and at least one detection.")
    f1 = 2 * curve.precision * curve.recall / (curve.precision + curve.recall).clip(1e-12)
    return float(curve.threshold[f1.argmax()])


def _per_image(
    detections: Sequence[dict], ground_truths: Sequence[dict], label: int, threshold: float
) -> list[tuple[NDArray, NDArray, int]]:
    """Of each image: the scores of one class, which of them hit, and the number of objects."""
    if len(detections) != len(ground_truths):
        raise ValueError(
            f"Expected detections and ground_truths of the same images, got {len(detections)} and "
            f"{len(ground_truths)}."
        )
    if not ground_truths:
        raise ValueError("There are no images to score.")
    if not 0 < threshold <= 1:
        raise ValueError(f"The IoU threshold must lie in (0, 1], got {threshold}.")
    images = []
    for detection, ground_truth in zip(detections, ground_truths, strict=True):
        mine, wanted = detection["labels"].cpu() == label, ground_truth["labels"].cpu() == label
        scores, objects = detection["scores"].cpu()[mine], ground_truth["boxes"].cpu()[wanted]
        if not scores.isfinite().all():
            raise ValueError("Scores of detections must be finite.")
        found = true_positives(detection["boxes"].cpu()[mine], scores, objects, threshold)
        images.append((scores.double().numpy(), found, len(objects)))
    return images


def _curve(images: Sequence[tuple[NDArray, NDArray, int]]) -> Curve:
    scores, found = (np.concatenate([[], *part]) for part in list(zip(*images, strict=True))[:2])
    objects = sum(number for _, _, number in images)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], found[order]
    last = np.append(scores[1:] != scores[:-1], [True] * bool(len(scores))).astype(bool)
    true, count = np.cumsum(found)[last], (np.arange(len(scores)) + 1)[last]
    return Curve(true / count, true / objects if objects else true * math.nan, scores[last])


def _area(images: Sequence[tuple[NDArray, NDArray, int]]) -> float:
    if sum(number for _, _, number in images) == 0:
        return math.nan
    curve = _curve(images)
    best = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float((np.diff(curve.recall, prepend=0) * best).sum())
