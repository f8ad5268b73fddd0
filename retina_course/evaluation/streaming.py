"""The scores of `metrics.evaluate` for any number of photographs, in bounded memory.

One photograph is looked at at a time. Its own scores are exact. For the pooled ones its pixels are
counted by their probability, at 16.7 million levels, and then forgotten. The levels are steps of
the odds p / (1 - p) by at most 1/65536 of their value: so they are fine also near 0 and 1, where
trained networks have most of their pixels. Equal steps of 1/65536 would change the AUC of a network
that is sure of its pixels in the second digit.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retina_course.evaluation.binary_maps import cldice, confusion, confusion_scores
from retina_course.evaluation.metrics import pool, summarise

_SHIFT = 7  # bits of the odds, a float32, that are dropped
LEVELS = (0x7F800000 >> _SHIFT) + 1  # 0x7F800000 is infinity, the odds of a probability of 1


class PixelCounts:
    """How many pixels of vessel and of background there are at each level of probability.

    Examples
    --------
    >>> import numpy as np
    >>> counts = PixelCounts()
    >>> counts.add(np.array([0.9, 0.4], np.float32), np.array([True, True]))
    >>> counts.add(np.array([0.6, 0.1], np.float32), np.array([False, False]))
    >>> counts.scores(threshold=0.5)["auc"]
    0.75
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, LEVELS), dtype=np.int64)  # background, vessel

    def add(self, probabilities: NDArray[np.float32], target: NDArray[np.bool_]) -> None:
        """Count the pixels of one photograph.

        Parameters
        ----------
        probabilities : ndarray of float32
            `(P,)` in [0, 1], from `metrics.pool`.
        target : ndarray of bool
            `(P,)`, from `metrics.pool`.
        """
        # On one axis `add.at` takes its fast way.
        np.add.at(self._counts.reshape(-1), levels(probabilities) + target * np.int64(LEVELS), 1)

    def scores(self, threshold: float) -> dict[str, float]:
        """The scores of all pixels, as `metrics.scores` has them.

        Parameters
        ----------
        threshold : float
            Vessel is the level of this probability and what lies above. This is exact for
            `best_threshold`.

        Returns
        -------
        dict of str to float
            The eight scores by name. AUC and average precision differ from those of the
            probabilities themselves by less than 1e-6.
        """
        above = self._counts[:, _level(np.float32(threshold)) :].sum(axis=1)
        (fp, tp), (negative, positive) = above, self._counts.sum(axis=1)
        counts = tp, fp, positive - tp, negative - fp
        return self.ranking() | confusion_scores(counts)

    def ranking(self) -> dict[str, float]:
        """The scores that need no threshold.

        Returns
        -------
        dict of str to float
            `auc` and `average_precision`, see `ranking_scores`.
        """
        background, vessel = self._counts[:, self._counts.any(axis=0)]
        return ranking_scores(vessel, background)

    def best_threshold(self) -> float:
        """The threshold with the highest F1, see `metrics.best_threshold`.

        Returns
        -------
        float
            The lowest probability of a level, so that `probability >= threshold` has this F1.

        Raises
        ------
        ValueError
            If no vessel pixel was counted.
        """
        seen = np.flatnonzero(self._counts.any(axis=0))
        background, vessel = self._counts[:, seen]
        if not vessel.any():
            raise ValueError("The target holds no vessel pixel: no threshold is better.")
        tp, fp = (side[::-1].cumsum()[::-1] for side in (vessel, background))
        return _lowest(int(seen[np.argmax(2 * tp / (tp + fp + vessel.sum()))]))


def levels(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """The level of each probability.

    Parameters
    ----------
    probabilities : ndarray of float
        In [0, 1]; compared in float32.

    Returns
    -------
    ndarray of int64
        From 0 to `LEVELS` - 1, in the order of the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> levels(np.array([0, 0.5, 1], np.float32)).tolist()
    [0, 8323072, 16711680]
    """
    p = np.asarray(probabilities, dtype=np.float32)  # the bits of other types are others
    with np.errstate(divide="ignore"):
        odds = np.abs(p) / (1 - p)  # abs: -0.0 is 0
    return (odds.view(np.uint32) >> _SHIFT).astype(np.int64)


def ranking_scores(vessel: NDArray[np.int64], background: NDArray[np.int64]) -> dict[str, float]:
    """AUC and average precision from counts of pixels; pixels of one level are ties.

    Parameters
    ----------
    vessel, background : ndarray of int64
        `(L,)`, how many pixels of each kind a level has, from the lowest probability to the
        highest.

    Returns
    -------
    dict of str to float
        `auc` and `average_precision`, as scikit-learn defines them; NaN where one kind has no
        pixel.

    Examples
    --------
    >>> import numpy as np
    >>> ranking_scores(np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]))["auc"]
    0.75
    """
    positive, negative = vessel.sum(), background.sum()
    if not positive or not negative:
        return {"auc": float("nan"), "average_precision": float("nan")}
    share = vessel / positive
    below = (background.cumsum() - background / 2) / negative
    tp, fp = (side[::-1].cumsum()[::-1] for side in (vessel, background))
    return {
        "auc": float((share * below).sum()),
        "average_precision": float((share * (tp / np.maximum(tp + fp, 1))).sum()),
    }


def evaluate_stream(
    maps: Iterable[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]], threshold: float
) -> dict[str, Any]:
    """Score vessel maps as `metrics.evaluate` does, one after the other.

    Parameters
    ----------
    maps : iterable of tuple
        Per image the probabilities `(H, W)` in [0, 1], the target and the field of view, bool of
        the same shape; e.g. a generator.
    threshold : float
        From training images.

    Returns
    -------
    dict
        What `metrics.evaluate` returns. Counts at the threshold are exact, and the AUC and average
        precision of an image, too; the pooled ones differ by less than 1e-6.

    Raises
    ------
    ValueError
        If there is no image, the arrays do not belong together or a value is not allowed, see
        `metrics.pool`.

    Examples
    --------
    >>> import numpy as np
    >>> target = np.zeros((8, 8), dtype=bool)
    >>> target[3] = True
    >>> one = (np.where(target, 0.9, 0.1), target, np.ones_like(target))
    >>> evaluate_stream(iter([one, one]), threshold=0.5)["pooled"]["f1"]
    1.0
    """
    counts, total = PixelCounts(), np.zeros(4, dtype=np.int64)
    per_image, empty = [], 0
    for p, target, fov in maps:
        inside, vessel = pool([p], [target], [fov])
        found = confusion(inside >= float(threshold), vessel)
        row = ranking_scores(*_by_value(inside, vessel)) | confusion_scores(found)
        above = np.asarray(p, dtype=np.float32) >= float(threshold)
        row["cldice"] = cldice(above & fov, np.asarray(target) & fov)
        per_image.append(row)
        counts.add(inside, vessel)
        total += found
        empty += not vessel.any()
    if not per_image:
        raise ValueError("There is no image to score.")
    pooled = counts.ranking() | confusion_scores(total)
    return summarise(threshold, pooled, per_image, empty)


def _by_value(
    probabilities: NDArray[np.float32], target: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The counts of vessel and background at each value that occurs, in ascending order."""
    # The bits of floats from 0 to 1 sort as the floats do; the lowest bit takes the target.
    keys = np.sort((np.abs(probabilities).view(np.uint32) << 1) | target)
    values = keys >> 1
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] + np.uint32(1)))
    vessel = np.add.reduceat((keys & 1).astype(np.int64), starts)
    return vessel, np.diff(starts, append=len(keys)) - vessel


def _level(probability: np.float32) -> int:
    return int(levels(np.array([probability]))[0])


def _lowest(level: int) -> float:
    """The smallest float32 of a level: from a first guess, one number down or up at a time."""
    odds = float(np.uint32(level << _SHIFT).view(np.float32))
    p = np.float32(odds / (1 + odds) if np.isfinite(odds) else 1)
    while p > 0 and _level(p) >= level:
        p = np.nextafter(p, np.float32(0))
    while _level(p) < level:
        p = np.nextafter(p, np.float32(1))
    return float(p)
