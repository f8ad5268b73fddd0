"""How far a score would vary with other test images: by bootstrap, or by Student's t.

With few patients, prefer `student`: the percentiles of `bootstrap` are too narrow then. Only the
bootstrap gives an interval to a pooled score, which is not a mean over patients.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retina_course.evaluation.estimates import Interval, estimate


def bootstrap(
    statistic: Callable[[NDArray[Any]], float],
    images: int,
    *,
    patients: ArrayLike | None = None,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """How a score would vary with other test images: percentile interval (Efron 1979).

    Each of `samples` draws takes as many images as there are, with replacement, and computes their
    score. Whole images are drawn, not pixels: neighbouring pixels are alike, so an interval over
    pixels would be far too narrow. The interval covers the choice of test images, not the seed of
    the training. It is rough for few images.

    Parameters
    ----------
    statistic : callable
        Score of the images whose numbers it is given, int `(n,)` with repeats, e.g.
        `lambda chosen: f1[chosen].mean()`.
    images : int
        How many images there are.
    patients : sequence, optional
        The patient of each image. Both eyes of a person are alike, so patients are drawn instead
        of images, each with all images.
    samples : int, default 2000
        Number of draws.
    level : float, default 0.95
        Fraction of the draws that the interval holds.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Interval
        The score of all images, and the ends of its interval.

    Raises
    ------
    ValueError
        If there are fewer than two images or patients, if `patients` has another length or lacks
        one (NaN), if `level` does not lie between 0 and 1, if there is no sample, or if a score is
        not finite (some images hold no vessel).

    Examples
    --------
    >>> import numpy as np
    >>> f1 = np.array([0.75, 0.875, 0.8125, 0.8125])
    >>> found = bootstrap(lambda chosen: f1[chosen].mean(), len(f1), samples=200)
    >>> found.value, bool(found.low < found.value < found.high)
    (0.8125, True)
    """
    names = np.arange(images) if patients is None else np.asarray(patients)
    if names.shape != (images,):
        raise ValueError(f"Expected the patient of each of {images} images, got {names.shape}.")
    units = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    if sum(map(len, units)) != images:  # NaN is not equal to itself: its images would drop out
        raise ValueError("The patient of an image is not a number. Give each image its patient.")
    if len(units) < 2 or samples < 1 or not 0 < level < 1:
        raise ValueError(
            "A bootstrap needs at least two images or patients, one sample and a level between "
            f"0 and 1, got {len(units)}, {samples} and {level}."
        )
    draws = np.random.default_rng(seed).integers(0, len(units), (samples, len(units)))
    values = [float(statistic(np.concatenate([units[i] for i in draw]))) for draw in draws]
    value = float(statistic(np.arange(images)))
    if not np.isfinite([value, *values]).all():
        raise ValueError("The statistic is not finite for some draws: do all images hold vessels?")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def student(
    values: Sequence[float] | NDArray[Any],
    *,
    patients: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Mean of a score over patients, with Student's interval.

    For few patients it keeps its level better than the percentiles of `bootstrap`, which are too
    narrow by a factor of about `sqrt((n - 1) / n)` and by the tails of the t distribution. It
    needs means that vary about normally between patients. For two networks, give it the
    differences of their scores; for several seeds, see `estimates.estimate`.
    Source: Student 1908, doi:10.1093/biomet/6.1.1.

    Parameters
    ----------
    values : sequence of float
        The score of each image, or the difference of two networks in it.
    patients : sequence, optional
        The patient of each image. The images of a patient are averaged first; the default takes
        each image as a patient.
    level : float, default 0.95
        How often such an interval holds the mean of all patients.

    Returns
    -------
    Interval
        The mean of the patients' means, and the ends of its interval.

    Raises
    ------
    ValueError
        If there are fewer than two patients, if `patients` has another length, if a value is not
        finite, or if `level` does not lie between 0 and 1.

    Examples
    --------
    Two eyes of each of three children:

    >>> found = student([0.79, 0.81, 0.76, 0.78, 0.80, 0.84], patients=[1, 1, 2, 2, 3, 3])
    >>> print(f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})")
    0.797 (0.734 to 0.859)
    """
    scores = np.asarray(values, dtype=float)
    if scores.ndim != 1:
        raise ValueError(f"Expected one score for each image, got shape {scores.shape}.")
    return estimate(scores, patients=patients).interval(level)
