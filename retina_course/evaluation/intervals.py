"""How far a score would vary with other test images: bootstrap intervals."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Interval(NamedTuple):
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[[NDArray], float],
    images: int,
    *,
    patients: Sequence | None = None,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """How a score would vary with other test images: percentile interval (Efron 1979).

    Images are drawn with replacement, `samples` times as many as there are. Pixels are never
    drawn: neighbours are alike, and the interval would be far too narrow. The interval covers the
    choice of test images, not the seed of the training. It is rough for few images.

    Parameters
    ----------
    statistic : score of the images whose numbers, int `(n,)` with repeats, it is given, e.g.
        `lambda drawn: f1[drawn].mean()`.
    images : how many there are.
    patients : the patient of each image. Then patients are drawn, each with all images: both eyes
        of a person are alike, too.

    Raises
    ------
    ValueError : fewer than two images or patients, `patients` of another length, `level` not
        between 0 and 1, no sample, or a score that is not finite (some images hold no vessel).
    """
    names = np.arange(images) if patients is None else np.asarray(patients)
    if names.shape != (images,):
        raise ValueError(f"Expected the patient of each of {images} images, got {names.shape}.")
    units = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
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


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    patients: Sequence | None = None,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of `second - first` over the images, with its bootstrap interval.

    One score for each image, of two networks on the same images in the same order. Some images are
    hard for every network: in the difference that cancels, so the interval is narrower than those
    of the two means, and it is the one that compares them. See `bootstrap` for the rest.

    Raises
    ------
    ValueError : different numbers of images; see `bootstrap`.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"Expected one score for each image of the same images, got {first.shape} and "
            f"{second.shape}."
        )
    return bootstrap(
        lambda drawn: (second - first)[drawn].mean(),
        len(first),
        patients=patients,
        samples=samples,
        level=level,
        seed=seed,
    )
