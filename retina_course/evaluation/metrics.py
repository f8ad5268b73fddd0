"""Scores for vessel maps, by one protocol: inside the field of view, at native size, pooled.

Every function takes NumPy arrays of one size per image: probabilities `(H, W)` in [0, 1], target
and field of view (FOV) `(H, W)` bool. The threshold comes from training images
(`best_threshold`) and is used unchanged on test images. How far a score, or the difference of two
networks, would vary with other test images: `bootstrap` and `paired_difference`.
"""

import math
from collections.abc import Sequence

import numpy as np
from skimage.morphology import skeletonize
from sklearn import metrics as sk

Array = np.ndarray


def pool(
    probabilities: Sequence[Array], targets: Sequence[Array], fovs: Sequence[Array]
) -> tuple[Array, Array]:
    """All pixels inside the FOVs of all images: probabilities float32 and targets bool, 1-D.

    Raises
    ------
    ValueError : lists of different lengths, arrays of different shapes, no pixel inside, values
        outside [0, 1] or not finite.
    """
    if not len(probabilities) == len(targets) == len(fovs) or len(targets) == 0:
        raise ValueError(
            f"Expected as many predictions as targets and FOVs, at least one, got "
            f"{len(probabilities)}, {len(targets)} and {len(fovs)}."
        )
    inside_p, inside_t = [], []
    for i, (p, t, fov) in enumerate(zip(probabilities, targets, fovs, strict=True)):
        p, t, fov = np.asarray(p), np.asarray(t), np.asarray(fov)
        if not p.shape == t.shape == fov.shape:
            raise ValueError(
                f"Image {i}: prediction {p.shape}, target {t.shape} and FOV {fov.shape} must have "
                "one shape. Resize the prediction, never the target."
            )
        if t.dtype != bool or fov.dtype != bool:
            raise ValueError(
                f"Image {i}: target and FOV must be bool, got {t.dtype} and {fov.dtype}."
            )
        inside_p.append(p[fov].astype(np.float32))
        inside_t.append(t[fov])
    p, t = np.concatenate(inside_p), np.concatenate(inside_t)
    if p.size == 0:
        raise ValueError("No pixel lies inside the field of view.")
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1):
        raise ValueError(
            f"Probabilities must be finite and in [0, 1], got {p.min()} to {p.max()}. "
            "Logits need a sigmoid first."
        )
    return p, t


def best_threshold(probabilities: Array, target: Array) -> float:
    """The threshold with the highest F1 on pooled pixels; vessel where probability >= threshold.

    For training images only: tuned on test images it would flatter every score.

    Raises
    ------
    ValueError : a target without vessels.
    """
    if not target.any():
        raise ValueError("The target holds no vessel pixel: no threshold is better than another.")
    precision, recall, thresholds = sk.precision_recall_curve(target, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(f1[:-1])])


def scores(probabilities: Array, target: Array, threshold: float) -> dict[str, float]:
    """Scores of pooled pixels (1-D, from `pool`).

    auc (area under the ROC curve) and average_precision need no threshold; f1 (= Dice), mcc
    (Matthews), accuracy, sensitivity, specificity and iou take vessel as
    `probability >= threshold`. A score that is 0/0 is NaN (no vessel, or nothing but vessels),
    except f1 and iou, 1 where target and prediction are both empty, and mcc, 0 as in scikit-learn.

    Raises
    ------
    ValueError : different shapes, no pixel, or a target that is not binary.
    """
    p, t = np.asarray(probabilities), _binary(target, "target")
    if p.shape != t.shape:
        raise ValueError(f"Expected as many probabilities as targets, got {p.shape} and {t.shape}.")
    both = t.any() and not t.all()
    return {
        "auc": float(sk.roc_auc_score(t, p)) if both else float("nan"),
        "average_precision": float(sk.average_precision_score(t, p)) if both else float("nan"),
        **binary_scores(p >= float(threshold), t),
    }


def binary_scores(prediction: Array, target: Array) -> dict[str, float]:
    """The scores of a binary map (another observer's, say): `scores` without the two areas."""
    return confusion_scores(confusion(prediction, target))


def confusion(prediction: Array, target: Array) -> Array:
    """Numbers of true and false positive, false and true negative pixels, int64 `(4,)`.

    In this order. Those of several images may be added, to be pooled.

    Parameters
    ----------
    prediction, target : of one shape, bool or 0 and 1.

    Raises
    ------
    ValueError : different shapes, or other values (probabilities need a threshold first).
    """
    prediction, target = _binary(prediction, "prediction"), _binary(target, "target")
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction {prediction.shape} and target {target.shape} must have one shape."
        )
    tp = np.count_nonzero(prediction & target)
    fp, fn = np.count_nonzero(prediction) - tp, np.count_nonzero(target) - tp
    return np.array([tp, fp, fn, target.size - tp - fp - fn], dtype=np.int64)


def confusion_curve(probabilities: Array, target: Array, thresholds: Sequence[float]) -> Array:
    """`confusion` at each threshold, int64 `(len(thresholds), 4)`, in one pass over the pixels.

    Vessel is `probability >= threshold`, as in `scores`; both are compared in float32. The rates
    TP / (TP + FN) against FP / (FP + TN) are the ROC curve.
    """
    p, t = np.asarray(probabilities, dtype=np.float32).ravel(), _binary(target, "target").ravel()
    if p.shape != t.shape:
        raise ValueError(f"Expected as many probabilities as targets, got {p.size} and {t.size}.")
    at = np.asarray(thresholds, dtype=np.float32)
    fn, tn = (np.searchsorted(np.sort(p[side]), at, side="left") for side in (t, ~t))
    positive = int(t.sum())
    return np.stack([positive - fn, t.size - positive - tn, fn, tn], axis=1).astype(np.int64)


def confusion_scores(counts: Sequence[int]) -> dict[str, float]:
    """F1, MCC, accuracy, sensitivity, specificity and IoU from `confusion`; 0/0 as in `scores`.

    Raises
    ------
    ValueError : not four numbers, a negative one, or no pixel at all.
    """
    try:
        tp, fp, fn, tn = (int(count) for count in counts)  # Python's integers: MCC cannot overflow
    except (TypeError, ValueError):
        raise ValueError(f"Expected four numbers TP, FP, FN, TN, got {counts!r}.") from None
    if min(tp, fp, fn, tn) < 0 or tp + fp + fn + tn == 0:
        raise ValueError(f"TP, FP, FN, TN = {tp}, {fp}, {fn}, {tn} are no counts of pixels.")
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "f1": _ratio(2 * tp, 2 * tp + fp + fn, 1.0),
        "mcc": (tp * tn - fp * fn) / math.sqrt(margins) if margins else 0.0,
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn, math.nan),
        "sensitivity": _ratio(tp, tp + fn, math.nan),
        "specificity": _ratio(tn, tn + fp, math.nan),
        "iou": _ratio(tp, tp + fp + fn, 1.0),
    }


def cldice(prediction: Array, target: Array) -> float:
    """Centreline Dice of two binary maps `(H, W)`: do their skeletons lie in each other?

    Harmonic mean of the share of the prediction's skeleton inside the target and the share of
    the target's skeleton inside the prediction (arXiv 2003.07311, eq. 1-3). 1 where both maps
    are empty, 0 where one is.

    Raises
    ------
    ValueError : see `confusion`.
    """
    prediction, target = _binary(prediction, "prediction"), _binary(target, "target")
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction {prediction.shape} and target {target.shape} must have one shape."
        )
    if not prediction.any() or not target.any():
        return float(not prediction.any() and not target.any())
    skeleton_p, skeleton_t = skeletonize(prediction), skeletonize(target)
    precision = (skeleton_p & target).sum() / skeleton_p.sum()
    sensitivity = (skeleton_t & prediction).sum() / skeleton_t.sum()
    if precision + sensitivity == 0:
        return 0.0
    return float(2 * precision * sensitivity / (precision + sensitivity))


def evaluate(
    probabilities: Sequence[Array],
    targets: Sequence[Array],
    fovs: Sequence[Array],
    threshold: float,
) -> dict:
    """The whole protocol at one threshold.

    Returns
    -------
    dict : `pooled` (scores of all pixels inside the FOVs together), `per_image` (a list of the
        same scores with `cldice`), `mean` and `sd` of these over the images (NaN left out, sd
        with n - 1), `threshold`, `empty_targets` (how many images hold no vessel).
    """
    pooled = scores(*pool(probabilities, targets, fovs), threshold)
    per_image = []
    for p, t, fov in zip(probabilities, targets, fovs, strict=True):
        row = scores(*pool([p], [t], [fov]), threshold)
        found = np.asarray(p, dtype=np.float32) >= float(threshold)  # as in `pool` and `scores`
        row["cldice"] = cldice(found & fov, np.asarray(t) & fov)
        per_image.append(row)
    table = {name: np.array([row[name] for row in per_image]) for name in per_image[0]}
    return {
        "threshold": threshold,
        "pooled": pooled,
        "per_image": per_image,
        "mean": {name: _over_images(np.mean, values) for name, values in table.items()},
        "sd": {name: _over_images(_sd, values) for name, values in table.items()},
        "empty_targets": sum(not (t & fov).any() for t, fov in zip(targets, fovs, strict=True)),
    }


def _ratio(part: int, whole: int, undefined: float) -> float:
    return part / whole if whole else undefined


def _binary(mask: Array, name: str) -> Array:
    mask = np.asarray(mask)
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"Expected {name} to be bool or 0 and 1, got {mask.dtype} values from {mask.min()} to "
            f"{mask.max()}. Probabilities need a threshold first."
        )
    return mask.astype(bool, copy=False)


def _over_images(statistic, values: Array) -> float:
    values = values[~np.isnan(values)]
    return float(statistic(values)) if values.size else float("nan")


def _sd(values: Array) -> float:
    return float(np.std(values, ddof=1)) if values.size > 1 else float("nan")
