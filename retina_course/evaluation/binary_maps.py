"""Scores of binary vessel maps: the four counts, what follows from them, and centreline Dice.

`retina_course.evaluation.metrics` hands them out with the rest of the protocol.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize


def binary_scores(prediction: NDArray[Any], target: NDArray[Any]) -> dict[str, float]:
    """The scores of a binary map, e.g. that of another observer.

    Parameters
    ----------
    prediction : ndarray of bool
        A map of any shape; 0 and 1 of other types are taken, too.
    target : ndarray of bool
        Likewise, of the same shape.

    Returns
    -------
    dict of str to float
        The scores that `confusion_scores` returns.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not binary or there is no pixel, see `confusion`.

    Examples
    --------
    >>> import numpy as np
    >>> binary_scores(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))["accuracy"]
    0.75
    """
    return confusion_scores(confusion(prediction, target))


def confusion(prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
    """Count true positive, false positive, false negative and true negative pixels.

    The counts of several images may be added, to be pooled.

    Parameters
    ----------
    prediction : ndarray of bool
        A map of any shape; 0 and 1 of other types are taken, too.
    target : ndarray of bool
        Likewise, of the same shape.

    Returns
    -------
    ndarray of int64
        `(4,)`: TP, FP, FN, TN, in this order.

    Raises
    ------
    ValueError
        If the shapes differ, or if a value is not binary (probabilities need a threshold first).

    Examples
    --------
    >>> import numpy as np
    >>> confusion(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])).tolist()
    [1, 1, 0, 2]
    """
    prediction, target = _binary_pair(prediction, target)
    tp = np.count_nonzero(prediction & target)
    fp, fn = np.count_nonzero(prediction) - tp, np.count_nonzero(target) - tp
    return np.array([tp, fp, fn, target.size - tp - fp - fn], dtype=np.int64)


def confusion_curve(
    probabilities: NDArray[Any], target: NDArray[Any], thresholds: Sequence[float] | NDArray[Any]
) -> NDArray[np.int64]:
    """Count as `confusion` does at each threshold, in one pass over the pixels.

    Vessel is `probability >= threshold`, as in `scores`; both are compared in float32. The rates
    TP / (TP + FN) against FP / (FP + TN) are the ROC curve.

    Parameters
    ----------
    probabilities : ndarray of float
        Pixels in [0, 1], of any shape.
    target : ndarray of bool
        As many pixels; 0 and 1 of other types are taken, too.
    thresholds : sequence of float
        T thresholds, in any order.

    Returns
    -------
    ndarray of int64
        `(T, 4)`: TP, FP, FN, TN at each threshold.

    Raises
    ------
    ValueError
        If there are not as many probabilities as targets, or if a target is not binary.

    Examples
    --------
    >>> import numpy as np
    >>> confusion_curve(np.array([0.9, 0.6, 0.2]), np.array([1, 0, 0]), [0.5, 0.8]).tolist()
    [[1, 1, 0, 1], [1, 0, 0, 2]]
    """
    p, t = np.asarray(probabilities, dtype=np.float32).ravel(), as_binary(target, "target").ravel()
    if p.shape != t.shape:
        raise ValueError(f"Expected as many probabilities as targets, got {p.size} and {t.size}.")
    at = np.asarray(thresholds, dtype=np.float32)
    fn, tn = (np.searchsorted(np.sort(p[side]), at, side="left") for side in (t, ~t))
    positive = int(t.sum())
    return np.stack([positive - fn, t.size - positive - tn, fn, tn], axis=1).astype(np.int64)


def confusion_scores(counts: Iterable[int]) -> dict[str, float]:
    """Compute F1, MCC, accuracy, sensitivity, specificity and IoU from four counts.

    Parameters
    ----------
    counts : iterable of int
        TP, FP, FN, TN, as `confusion` returns them.

    Returns
    -------
    dict of str to float
        `f1`, `mcc`, `accuracy`, `sensitivity`, `specificity`, `iou`. Where a score is 0/0, it is
        what `scores` says.

    Raises
    ------
    ValueError
        If there are not four numbers, if one is negative, or if all are 0.

    Examples
    --------
    >>> found = confusion_scores([60, 20, 40, 880])
    >>> print(f"F1 {found['f1']:.3f}, MCC {found['mcc']:.3f}, IoU {found['iou']:.3f}")
    F1 0.667, MCC 0.639, IoU 0.500
    """
    try:
        tp, fp, fn, tn = (int(count) for count in counts)  # Python's integers: MCC cannot overflow
    except (TypeError, ValueError):
        raise ValueError(f"Expected four numbers TP, FP, FN, TN, got {counts!r}.") from None
    if min(tp, fp, fn, tn) < 0 or tp + fp + fn + tn == 0:
        raise ValueError(
            f"TP, FP, FN, TN = {tp}, {fp}, {fn}, {tn} are not counts of pixels. Expected numbers "
            "of 0 or more, and at least one pixel."
        )
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "f1": _ratio(2 * tp, 2 * tp + fp + fn, 1.0),
        "mcc": (tp * tn - fp * fn) / math.sqrt(margins) if margins else 0.0,
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn, math.nan),
        "sensitivity": _ratio(tp, tp + fn, math.nan),
        "specificity": _ratio(tn, tn + fp, math.nan),
        "iou": _ratio(tp, tp + fp + fn, 1.0),
    }


def cldice(prediction: NDArray[Any], target: NDArray[Any]) -> float:
    """Centreline Dice of two binary maps: do their skeletons lie in each other?

    The harmonic mean of the fraction of the prediction's skeleton inside the target and the
    fraction of the target's skeleton inside the prediction. The skeleton is the usual one of
    scikit-image, of Zhang and Suen 1984, so that values can be compared with published ones. It
    shortens some vessels at 45 degrees; lengths are measured on another one (`thinned`).
    Source: arXiv 2003.07311, equations 1 to 3.

    Parameters
    ----------
    prediction : ndarray of bool
        Map `(H, W)`; 0 and 1 of other types are taken, too.
    target : ndarray of bool
        Likewise, of the same shape.

    Returns
    -------
    float
        In [0, 1]; 1 where both maps are empty, 0 where one is.

    Raises
    ------
    ValueError
        If the shapes differ or are not `(H, W)`, or if a value is not binary.

    Examples
    --------
    The centreline of a wide vessel has nearly all of its length, but little of its area:

    >>> import numpy as np
    >>> wide, thin = np.zeros((20, 40), dtype=bool), np.zeros((20, 40), dtype=bool)
    >>> wide[8:13], thin[10] = True, True
    >>> cldice(thin, wide) > 0.9, round(binary_scores(thin, wide)["f1"], 2)
    (True, 0.33)
    """
    prediction, target = _binary_pair(as_map(prediction, "prediction"), as_map(target, "target"))
    if not prediction.any() or not target.any():
        return float(not prediction.any() and not target.any())
    skeleton_p, skeleton_t = skeletonize(prediction), skeletonize(target)
    precision = (skeleton_p & target).sum() / skeleton_p.sum()
    sensitivity = (skeleton_t & prediction).sum() / skeleton_t.sum()
    if precision + sensitivity == 0:
        return 0.0
    return float(2 * precision * sensitivity / (precision + sensitivity))


def as_binary(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Turn a mask of bool, or of 0 and 1, into bool.

    Parameters
    ----------
    mask : ndarray
        Of any shape.
    name : str
        What the message of the error calls it.

    Returns
    -------
    ndarray of bool
        Of the same shape.

    Raises
    ------
    ValueError
        If the mask holds other values than 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> as_binary(np.array([0.0, 1.0]), "target")
    array([False,  True])
    """
    mask = np.asarray(mask)
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to be bool or 0 and 1, got {mask.dtype} values from {mask.min()} to "
            f"{mask.max()}. Probabilities need a threshold first."
        )
    return mask.astype(bool, copy=False)


def as_map(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Turn a map `(H, W)` of bool, or of 0 and 1, into bool.

    Parameters
    ----------
    mask : ndarray
        Of shape `(H, W)`.
    name : str
        What the message of the error calls it.

    Returns
    -------
    ndarray of bool
        Of the same shape.

    Raises
    ------
    ValueError
        If the mask has another shape, or holds other values than 0 and 1.
    """
    if np.ndim(mask) != 2:
        raise ValueError(f"Expected {name} of shape (H, W), got shape {np.shape(mask)}.")
    return as_binary(mask, name)


def _binary_pair(
    prediction: NDArray[Any], target: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both as bool, of one shape."""
    prediction, target = as_binary(prediction, "prediction"), as_binary(target, "target")
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction {prediction.shape} and target {target.shape} must have one shape."
        )
    return prediction, target


def _ratio(part: int, whole: int, undefined: float) -> float:
    return part / whole if whole else undefined
