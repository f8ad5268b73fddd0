"""Scores for vessel maps, by one protocol: inside the field of view, at native size, pooled.

Every function takes NumPy arrays of one size per image: probabilities `(H, W)` in [0, 1], target
and field of view (FOV) `(H, W)` bool. The threshold comes from training images
(`best_threshold`) and is used unchanged on test images. How far a score, or the difference of two
networks, would vary with other patients: `estimate`; a score that is not a mean: `bootstrap`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from retina_course.evaluation.binary_maps import (
    as_binary,
    binary_scores,
    cldice,
    confusion,
    confusion_curve,
    confusion_scores,
)

__all__ = [
    "best_threshold",
    "binary_scores",
    "cldice",
    "confusion",
    "confusion_curve",
    "confusion_scores",
    "evaluate",
    "pool",
    "scores",
    "summarise",
]


def pool(
    probabilities: Sequence[NDArray[Any]],
    targets: Sequence[NDArray[np.bool_]],
    fovs: Sequence[NDArray[np.bool_]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Collect all pixels inside the fields of view of all images.

    Parameters
    ----------
    probabilities : sequence of ndarray of float
        Per image `(H, W)` in [0, 1].
    targets : sequence of ndarray of bool
        Per image `(H, W)`, the vessels in the ground truth.
    fovs : sequence of ndarray of bool
        Per image `(H, W)`, the field of view.

    Returns
    -------
    probabilities : ndarray of float32
        `(P,)`, with P pixels inside the fields of view.
    targets : ndarray of bool
        `(P,)`.

    Raises
    ------
    ValueError
        If the lists differ in length or are empty, if the arrays of an image differ in shape, if
        target or field of view is not bool, if no pixel lies inside, or if a probability lies
        outside [0, 1] or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> fov = np.array([[True, True, False]])
    >>> p, t = pool([np.array([[0.75, 0.25, 0.5]])], [np.array([[True, False, False]])], [fov])
    >>> p.tolist(), t.tolist()
    ([0.75, 0.25], [True, False])
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


def best_threshold(probabilities: NDArray[Any], target: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1 on pooled pixels; vessel is `probability >= threshold`.

    For training images only: a threshold that was tuned on test images would flatter every score.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1], from `pool`.
    target : ndarray of bool
        `(P,)`, from `pool`.

    Returns
    -------
    float
        One of the probabilities.

    Raises
    ------
    ValueError
        If the target holds no vessel pixel, or if these are not pooled pixels, see `scores`.

    Examples
    --------
    >>> import numpy as np
    >>> best_threshold(np.array([0.9, 0.7, 0.4, 0.1]), np.array([True, True, False, False]))
    0.7
    """
    p, t = _pooled(probabilities, target)
    if not t.any():
        raise ValueError("The target holds no vessel pixel: no threshold is better than another.")
    precision, recall, thresholds = sk.precision_recall_curve(t, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(f1[:-1])])


def scores(probabilities: NDArray[Any], target: NDArray[Any], threshold: float) -> dict[str, float]:
    """Scores of pooled pixels.

    `auc` (area under the ROC curve) and `average_precision` need no threshold. `f1` (= Dice),
    `mcc` (Matthews), `accuracy`, `sensitivity`, `specificity` and `iou` take vessel as
    `probability >= threshold`. A score that is 0/0 is NaN (no vessel, or nothing but vessels),
    except `f1` and `iou`, which are 1 where target and prediction are both empty, and `mcc`,
    which is 0 as in scikit-learn.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1], from `pool`.
    target : ndarray of bool
        `(P,)`, from `pool`.
    threshold : float
        From training images, see `best_threshold`.

    Returns
    -------
    dict of str to float
        The eight scores by name.

    Raises
    ------
    ValueError
        If the shapes differ or are not `(P,)`, if there is no pixel, or if the target is not
        binary.

    Examples
    --------
    >>> import numpy as np
    >>> p, t = np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False])
    >>> found = scores(p, t, threshold=0.5)
    >>> found["auc"], found["f1"]
    (0.75, 0.5)
    """
    p, t = _pooled(probabilities, target)
    both = t.any() and not t.all()
    return {
        "auc": float(sk.roc_auc_score(t, p)) if both else float("nan"),
        "average_precision": float(sk.average_precision_score(t, p)) if both else float("nan"),
        **binary_scores(p >= float(threshold), t),
    }


def evaluate(
    probabilities: Sequence[NDArray[Any]],
    targets: Sequence[NDArray[np.bool_]],
    fovs: Sequence[NDArray[np.bool_]],
    threshold: float,
) -> dict[str, Any]:
    """Score vessel maps by the whole protocol, at one threshold.

    Parameters
    ----------
    probabilities : sequence of ndarray of float
        Per image `(H, W)` in [0, 1], at the size of the photograph.
    targets : sequence of ndarray of bool
        Per image `(H, W)`, the vessels in the ground truth.
    fovs : sequence of ndarray of bool
        Per image `(H, W)`, the field of view.
    threshold : float
        From training images, see `best_threshold`.

    Returns
    -------
    dict
        `pooled` (`scores` of all pixels inside the FOVs together), `per_image` (a list of the same
        scores with `cldice`), `mean` and `sd` of these over the images (NaN left out, sd with
        n - 1), `threshold`, `empty_targets` (how many images hold no vessel).

    Raises
    ------
    ValueError
        If the arrays do not belong together or a value is not allowed, see `pool`.

    Examples
    --------
    >>> import numpy as np
    >>> from retina_course import evaluate
    >>> target = np.zeros((8, 8), dtype=bool)
    >>> target[3] = True
    >>> probability = np.where(target, 0.9, 0.1)
    >>> probability[5, 5] = 0.8  # a false positive
    >>> result = evaluate([probability], [target], [np.ones_like(target)], threshold=0.5)
    >>> print(f"{result['pooled']['f1']:.3f}")
    0.941
    """
    pooled = scores(*pool(probabilities, targets, fovs), threshold)
    per_image = []
    for p, t, fov in zip(probabilities, targets, fovs, strict=True):
        row = scores(*pool([p], [t], [fov]), threshold)
        found = np.asarray(p, dtype=np.float32) >= float(threshold)  # as in `pool` and `scores`
        row["cldice"] = cldice(found & fov, np.asarray(t) & fov)
        per_image.append(row)
    empty = sum(not (t & fov).any() for t, fov in zip(targets, fovs, strict=True))
    return summarise(threshold, pooled, per_image, empty)


def summarise(
    threshold: float, pooled: dict[str, float], per_image: list[dict[str, float]], empty: int
) -> dict[str, Any]:
    """Put the scores of a set of images together.

    Parameters
    ----------
    threshold : float
        The threshold of all scores.
    pooled : dict of str to float
        The scores of all pixels together.
    per_image : list of dict
        The scores of each image.
    empty : int
        How many images hold no vessel.

    Returns
    -------
    dict
        See `evaluate`.
    """
    table = {name: np.array([row[name] for row in per_image]) for name in per_image[0]}
    return {
        "threshold": threshold,
        "pooled": pooled,
        "per_image": per_image,
        "mean": {name: _over_images(np.mean, values) for name, values in table.items()},
        "sd": {name: _over_images(_sd, values) for name, values in table.items()},
        "empty_targets": empty,
    }


def _pooled(
    probabilities: NDArray[Any], target: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pooled pixels, checked: scikit-learn takes the columns of a map for classes of their own."""
    p, t = np.asarray(probabilities), as_binary(target, "target")
    if p.shape != t.shape:
        raise ValueError(f"Expected as many probabilities as targets, got {p.shape} and {t.shape}.")
    if p.ndim != 1:
        raise ValueError(f"Expected pixels of shape (P,), got {p.shape}: pool makes them of maps.")
    return p, t


def _over_images(statistic: Callable[[NDArray[Any]], Any], values: NDArray[Any]) -> float:
    """A statistic of the values that are not NaN, or NaN where there is none."""
    values = values[~np.isnan(values)]
    return float(statistic(values)) if values.size else float("nan")


def _sd(values: NDArray[Any]) -> float:
    return float(np.std(values, ddof=1)) if values.size > 1 else float("nan")
