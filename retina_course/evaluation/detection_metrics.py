"""Scores of detections: which boxes hit, and average precision.

Detections and ground truths are lists with one dict per image: `boxes` `(B, 4)` (x1, y1, x2, y2 in
pixels) and `labels` `(B,)`, detections also `scores` `(B,)`, as detectors return them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from retina_course.evaluation.estimates import Interval
from retina_course.evaluation.intervals import bootstrap
from retina_course.models.detection.boxes import iou

Boxes = Mapping[str, Tensor]  # of one image


class Curve(NamedTuple):
    """Precision and recall at each threshold, from the highest score down.

    Parameters
    ----------
    precision : ndarray of float
        `(T,)`: of the boxes with a score from the threshold on, the fraction that hit an object.
    recall : ndarray of float
        `(T,)`: of all objects, the fraction that these boxes hit.
    threshold : ndarray of float
        `(T,)`: the scores that occur, falling.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.float64]


def true_positives(
    boxes: Tensor, scores: Tensor, ground_truth: Tensor, threshold: float
) -> NDArray[np.bool_]:
    """Which boxes of one image and one class hit an object.

    From the best score down, a box hits the object that it overlaps most among those that no
    better box has hit, if their IoU is at least `threshold`. So an object is hit once, and a second
    box on it is a false positive.

    Parameters
    ----------
    boxes : Tensor
        Detected boxes `(B, 4)`.
    scores : Tensor
        Their scores `(B,)`.
    ground_truth : Tensor
        Boxes of the objects `(K, 4)`.
    threshold : float
        Smallest IoU of a hit.

    Returns
    -------
    ndarray of bool
        `(B,)`, in the order of `boxes`.

    Examples
    --------
    Two boxes on one object:

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 10]])
    >>> true_positives(boxes, torch.tensor([0.6, 0.9]), boxes[1:], threshold=0.5)
    array([False,  True])
    """
    found = np.zeros(len(scores), dtype=bool)
    ours, theirs = (side.detach().cpu().double() for side in (boxes, ground_truth))
    overlaps = iou(ours, theirs).numpy()
    free = np.ones(len(ground_truth), dtype=bool)
    for i in scores.argsort(descending=True, stable=True).tolist():
        left = np.where(free, overlaps[i], -1)
        if left.size and left.max() >= threshold:
            free[left.argmax()] = False
            found[i] = True
    return found


def precision_recall(
    detections: Sequence[Boxes], ground_truths: Sequence[Boxes], label: int, threshold: float
) -> Curve:
    """The precision-recall curve of one class over all images; equal scores count together.

    Parameters
    ----------
    detections, ground_truths : sequence of dict
        Per image `boxes` and `labels`, of detections also `scores`; both in the same order.
    label : int
        The class.
    threshold : float
        Smallest IoU of a hit, in (0, 1].

    Returns
    -------
    Curve
        Precision, recall and threshold. Recall is NaN where the images hold no object of this
        class.

    Raises
    ------
    ValueError
        If there is no image, if the numbers of images differ, if a score is not finite, or if the
        threshold lies outside (0, 1].
    """
    return _curve(_per_image(detections, ground_truths, label, threshold))


def average_precision(
    detections: Sequence[Boxes], ground_truths: Sequence[Boxes], label: int, threshold: float = 0.5
) -> float:
    """The area under the interpolated precision-recall curve.

    At each recall the precision is the best at that recall or a higher one. The area is exact, not
    a mean of 11 or 101 points. See `true_positives` for what counts as found.
    Source: Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, section 4.2, with all points.

    Parameters
    ----------
    detections, ground_truths : sequence of dict
        Per image `boxes` and `labels`, of detections also `scores`; both in the same order.
    label : int
        The class.
    threshold : float, default 0.5
        Smallest IoU of a hit, in (0, 1].

    Returns
    -------
    float
        In [0, 1]. NaN where the images hold no object of this class: then nothing can be found,
        and nothing be missed.

    Raises
    ------
    ValueError
        If the input is not allowed, see `precision_recall`.

    Examples
    --------
    One object, a false positive with the higher score, then a hit:

    >>> import torch
    >>> objects = {"boxes": torch.tensor([[0.0, 0, 10, 10]]), "labels": torch.tensor([1])}
    >>> found = {
    ...     "boxes": torch.tensor([[20.0, 20, 30, 30], [0, 0, 10, 9]]),
    ...     "labels": torch.tensor([1, 1]),
    ...     "scores": torch.tensor([0.75, 0.5]),
    ... }
    >>> curve = precision_recall([found], [objects], label=1, threshold=0.5)
    >>> curve.precision.tolist(), curve.recall.tolist()
    ([0.0, 0.5], [0.0, 1.0])
    >>> average_precision([found], [objects], label=1)
    0.5
    """
    return _area(_per_image(detections, ground_truths, label, threshold))


def bootstrap_average_precision(
    detections: Sequence[Boxes],
    ground_truths: Sequence[Boxes],
    label: int,
    threshold: float = 0.5,
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Average precision with its 95 % interval over test images.

    Parameters
    ----------
    detections, ground_truths : sequence of dict
        Per image `boxes` and `labels`, of detections also `scores`; both in the same order.
    label : int
        The class.
    threshold : float, default 0.5
        Smallest IoU of a hit, in (0, 1].
    samples : int, default 1000
        Number of draws, see `bootstrap`.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Interval
        The average precision on all images, and the ends of its interval.

    Raises
    ------
    ValueError
        If so few images show the class that some draws have none, or if the input is not allowed,
        see `precision_recall` and `bootstrap`.
    """
    images = _per_image(detections, ground_truths, label, threshold)
    return bootstrap(
        lambda chosen: _area([images[i] for i in chosen]), len(images), samples=samples, seed=seed
    )


def best_threshold(
    detections: Sequence[Boxes],
    ground_truths: Sequence[Boxes],
    labels: Sequence[int],
    threshold: float = 0.5,
) -> float:
    """The score from which on boxes give the highest F1, all classes together.

    To be chosen on training images. F1 = 2 TP / (boxes + objects).

    Parameters
    ----------
    detections, ground_truths : sequence of dict
        Per image `boxes` and `labels`, of detections also `scores`; both in the same order.
    labels : sequence of int
        The classes.
    threshold : float, default 0.5
        Smallest IoU of a hit, in (0, 1].

    Returns
    -------
    float
        A score, not an IoU.

    Raises
    ------
    ValueError
        If there is no label, if nothing was detected, if there is no object, or if the input is
        not allowed, see `precision_recall`.

    Examples
    --------
    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    >>> objects = {"boxes": boxes[:1], "labels": torch.tensor([1])}
    >>> found = {"boxes": boxes, "labels": torch.tensor([1, 1])}
    >>> found["scores"] = torch.tensor([0.75, 0.5])
    >>> best_threshold([found], [objects], labels=[1])
    0.75
    """
    if not len(labels):
        raise ValueError("There is no label to score: give at least one.")
    images = [
        row for label in labels for row in _per_image(detections, ground_truths, label, threshold)
    ]
    curve = _curve(images)
    if not len(curve.threshold) or np.isnan(curve.recall).any():
        raise ValueError("A threshold needs images with objects, and at least one detection.")
    f1 = 2 * curve.precision * curve.recall / (curve.precision + curve.recall).clip(1e-12)
    return float(curve.threshold[f1.argmax()])


def _per_image(
    detections: Sequence[Boxes], ground_truths: Sequence[Boxes], label: int, threshold: float
) -> list[tuple[NDArray[Any], NDArray[Any], int]]:
    """Per image: the scores of one class, which of them hit, and the number of objects."""
    if len(detections) != len(ground_truths):
        raise ValueError(
            f"Expected detections and ground truths of the same images, got {len(detections)} and "
            f"{len(ground_truths)}."
        )
    if not ground_truths:
        raise ValueError("There are no images to score.")
    if not 0 < threshold <= 1:
        raise ValueError(f"The IoU threshold must lie in (0, 1], got {threshold}.")
    images = []
    for detection, ground_truth in zip(detections, ground_truths, strict=True):
        own, wanted = detection["labels"].cpu() == label, ground_truth["labels"].cpu() == label
        scores, objects = detection["scores"].cpu()[own], ground_truth["boxes"].cpu()[wanted]
        if not scores.isfinite().all():
            raise ValueError("Scores of detections must be finite.")
        found = true_positives(detection["boxes"].cpu()[own], scores, objects, threshold)
        images.append((scores.detach().double().numpy(), found, len(objects)))
    return images


def _curve(images: Sequence[tuple[NDArray[Any], NDArray[Any], int]]) -> Curve:
    """The curve over all images, from what `_per_image` returns."""
    scores, found = (np.concatenate([[], *part]) for part in list(zip(*images, strict=True))[:2])
    objects = sum(number for _, _, number in images)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], found[order]
    last = np.append(scores[1:] != scores[:-1], [True] * bool(len(scores))).astype(bool)
    true, count = np.cumsum(found)[last], (np.arange(len(scores)) + 1)[last]
    return Curve(true / count, true / objects if objects else true * math.nan, scores[last])


def _area(images: Sequence[tuple[NDArray[Any], NDArray[Any], int]]) -> float:
    """The area under the curve of `_curve`."""
    if sum(number for _, _, number in images) == 0:
        return math.nan
    curve = _curve(images)
    best = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float((np.diff(curve.recall, prepend=0) * best).sum())
