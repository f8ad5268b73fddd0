"""How well two measurements of the same eyes agree: bias, limits of agreement, correlation.

A correlation coefficient does not say it: measurements that are always twice as large correlate
perfectly. Bland and Altman 1986 look at the differences; the intraclass correlation compares them
with how much the eyes differ from each other.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retina_course.evaluation.estimates import Interval
from retina_course.evaluation.intervals import bootstrap

LIMIT = 1.96  # standard deviations: 95 % of differences, if they are normal


class Agreement(NamedTuple):
    """What `bland_altman` returns.

    Parameters
    ----------
    bias : float
        Mean difference, second less first.
    low, high : float
        Limits of agreement: the bias less and plus 1.96 standard deviations of the differences.
    n : int
        Pairs.
    """

    bias: float
    low: float
    high: float
    n: int


def bland_altman(first: ArrayLike, second: ArrayLike, *, percent: bool = False) -> Agreement:
    """Bias and limits of agreement of two measurements (Bland and Altman 1986).

    Parameters
    ----------
    first, second : sequence of float
        The two measurements of each eye; pairs with a value that is not a number are left out.
    percent : bool, default False
        Differences in percent of the first measurement, where that is the true value.

    Returns
    -------
    Agreement
        In the unit of the measurements, or in percent.

    Raises
    ------
    ValueError
        If the numbers of values differ, fewer than two pairs are left, or `percent` is asked of a
        first measurement of 0.

    Examples
    --------
    >>> found = bland_altman([10, 12, 14], [11, 12.5, 15.5])
    >>> print(f"{found.bias:.1f} ({found.low:.2f} to {found.high:.2f})")
    1.0 (0.02 to 1.98)
    """
    a, b = _pairs(first, second)
    if percent and not a.all():
        raise ValueError("A first measurement is 0: nothing is a percentage of it. Leave it out.")
    difference = 100 * (b - a) / a if percent else b - a
    bias, spread = float(difference.mean()), LIMIT * float(difference.std(ddof=1))
    return Agreement(bias, bias - spread, bias + spread, len(a))


def icc(first: ArrayLike, second: ArrayLike) -> float:
    """Intraclass correlation of two measurements: absolute agreement of single ones, ICC(A,1).

    The share of all variance that lies between eyes; a bias lowers it. 1: the two agree, 0: an eye
    tells no more about its second measurement than any other eye. It depends on how different the
    eyes are: alike eyes have a low one at the same error.
    Source: McGraw and Wong 1996, two-way model; Shrout and Fleiss 1979 call it ICC(2,1).

    Parameters
    ----------
    first, second : sequence of float
        See `bland_altman`.

    Returns
    -------
    float
        At most 1; not a number where nothing varies.

    Raises
    ------
    ValueError
        See `bland_altman`.

    Examples
    --------
    >>> round(icc([1, 2, 3, 4], [1.1, 2.0, 3.1, 3.9]), 2)
    1.0
    >>> round(icc([1, 2, 3, 4], [3, 4, 5, 6]), 2)  # correlated perfectly, with a bias
    0.45
    """
    a, b = _pairs(first, second)
    both = np.column_stack([a, b])
    n, k = both.shape
    mean = both.mean()
    rows = k * ((both.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    columns = n * ((both.mean(axis=0) - mean) ** 2).sum() / (k - 1)
    rest = both - both.mean(axis=1, keepdims=True) - both.mean(axis=0, keepdims=True) + mean
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / below) if below > 0 else float("nan")


def icc_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    patients: ArrayLike | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """`icc` with its 95 % bootstrap interval over patients.

    Parameters
    ----------
    first, second : sequence of float
        See `bland_altman`; every value a number.
    patients : sequence, optional
        The patient of each pair, see `intervals.bootstrap`.
    samples : int, default 2000
        Number of draws.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Interval
        The ICC and its ends.

    Raises
    ------
    ValueError
        See `bland_altman` and `intervals.bootstrap`.

    Examples
    --------
    >>> found = icc_interval([1, 2, 3, 4, 5], [1.2, 1.9, 3.3, 3.8, 5.1], samples=200)
    >>> bool(found.low <= found.value <= found.high)
    True
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)

    def statistic(chosen: NDArray[Any]) -> float:
        value = icc(a[chosen], b[chosen])
        return value if np.isfinite(value) else 0.0  # a draw of one patient alone does not vary

    return bootstrap(statistic, len(a), patients=patients, samples=samples, seed=seed)


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pairs whose values are both numbers."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"Expected as many first as second values, got {a.shape} and {b.shape}.")
    good = np.isfinite(a) & np.isfinite(b)
    if good.sum() < 2:
        raise ValueError(f"Agreement needs at least two pairs of numbers, got {good.sum()}.")
    return a[good], b[good]
