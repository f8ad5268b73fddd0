"""Comparing two networks, many networks, and how many patients that takes.

The unit is the patient: two eyes of a person are one measurement, their mean. A comparison is a
paired t-test of the patients' differences, whose interval and p-value `estimates.estimate` gives.
That a test finds no difference does not show that there is none: that takes `equivalence`.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from retina_course.evaluation.estimates import Estimate

MOST_PATIENTS = 10**7


def holm(p_values: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    """Correct p-values for the number of comparisons (Holm 1979).

    Of m comparisons, one in twenty finds a difference by chance where there is none. Each
    comparison whose corrected value is below 0.05 may be claimed, and the chance of any false claim
    among them stays below 5 %, whatever the comparisons share. It finds at least what
    Bonferroni's correction (m times p) finds.
    Source: https://www.jstor.org/stable/4615733. The smallest p-value is multiplied by m, the
    next by m - 1, and so on; none is less than the one before.

    Parameters
    ----------
    p_values : sequence of float
        One for each of the m comparisons, all that were made.

    Returns
    -------
    ndarray of float
        `(m,)`, at most 1, in the order of `p_values`.

    Raises
    ------
    ValueError
        If they are not numbers from 0 to 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"Expected p-values from 0 to 1 in one row, got {p_values!r}.")
    order = np.argsort(p)
    rising = np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order])
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(rising, 1)
    return corrected


def equivalence(difference: Estimate, margin: float) -> float:
    """Is the true difference smaller than a margin? Two one-sided t-tests (TOST).

    A difference inside ±`margin` is too small to matter. One test asks whether the true difference
    is above -`margin`, the other whether it is below `margin`; the larger p-value counts. Below
    0.05 the two are equivalent within the margin. That is the case exactly where the 90 % interval
    lies inside ±`margin`. The margin is chosen before the difference is known, by what matters.
    Source: Schuirmann 1987, doi:10.1007/BF01068419.

    Parameters
    ----------
    difference : Estimate
        The mean difference, from `estimates.estimate`.
    margin : float
        Above 0, in the unit of the difference.

    Returns
    -------
    float
        The p-value: how often equal tests would find so small a difference if the true one were
        just `margin`. With m comparisons, correct it by `holm`.

    Raises
    ------
    ValueError
        If the margin is not above 0.

    Examples
    --------
    The F1 of two networks on five children; differences up to 0.01 shall count as none:

    >>> import numpy as np
    >>> from retina_course.evaluation import estimate
    >>> first, second = np.array([[78, 80, 76, 81, 79], [78.4, 79.9, 76.3, 80.8, 79.2]]) / 100
    >>> found = estimate(second, minus=first)
    >>> print(f"{equivalence(found, margin=0.01):.4f}, {equivalence(found, margin=0.002):.4f}")
    0.0008, 0.2638
    """
    if not margin > 0:
        raise ValueError(f"Expected a margin above 0, got {margin}.")
    room = margin - abs(difference.value)
    if not difference.error:
        return float(room <= 0)
    return float(stats.t.sf(room / difference.error, difference.freedom))


def detectable_difference(sd: float, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference of two networks that n patients show with this power.

    A smaller difference may be real, yet such a test mostly misses it: then "not significant" does
    not mean "equal". Paired, two-sided t-test; its statistic has a noncentral t distribution
    with n - 1 degrees of freedom and noncentrality `difference / sd * sqrt(n)`.
    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2.

    Parameters
    ----------
    sd : float
        Standard deviation (n - 1) of the patients' differences.
    n : int
        Number of patients.
    power : float, default 0.8
        How often the test shall find the difference.
    alpha : float, default 0.05
        How often it may find one where there is none; with m comparisons 0.05 / m.

    Returns
    -------
    float
        In the unit of `sd`.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    Ten children whose differences of F1 have an sd of 0.01; one comparison, then fifteen:

    >>> print(f"{detectable_difference(0.01, 10):.4f}")
    0.0100
    >>> print(f"{detectable_difference(0.01, 10, alpha=0.05 / 15):.4f}")
    0.0158
    """
    _check(sd, power, alpha)
    if n < 2:
        raise ValueError(f"Expected at least two patients, got {n}.")
    largest = 1.0
    while _power(largest, n, alpha) < power:
        largest *= 2
    found = optimize.brentq(lambda effect: _power(effect, n, alpha) - power, 0, largest)
    return float(sd * found)


def needed_patients(
    sd: float, difference: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """How many patients a paired t-test needs to find a true difference with this power.

    Source: as `detectable_difference`.

    Parameters
    ----------
    sd : float
        Standard deviation (n - 1) of the patients' differences.
    difference : float
        The true difference that matters, in the same unit. Its sign does not count.
    power : float, default 0.8
        How often the test shall find the difference.
    alpha : float, default 0.05
        How often it may find one where there is none; with m comparisons 0.05 / m.

    Returns
    -------
    int
        At least 2.

    Raises
    ------
    ValueError
        If a number is out of its range, or if it takes more than ten million patients.

    Examples
    --------
    >>> needed_patients(sd=0.01, difference=0.005)
    34
    """
    _check(sd, power, alpha)
    effect = abs(difference) / sd
    if not 0 < effect < math.inf or _power(effect, MOST_PATIENTS, alpha) < power:
        raise ValueError(
            f"A difference of {difference} with sd {sd} takes more than {MOST_PATIENTS:,} "
            "patients: give a larger difference."
        )
    counts = range(2, MOST_PATIENTS)
    return counts[bisect_left(counts, power, key=lambda n: _power(effect, n, alpha))]


def _power(effect: float, n: int, alpha: float) -> float:
    """Power of the paired t-test where the true mean is `effect` standard deviations."""
    critical = stats.t.isf(alpha / 2, n - 1)
    # The square of a noncentral t is a noncentral F; `stats.nct` is NaN for large effects.
    return float(1 - special.ncfdtr(1, n - 1, n * effect**2, critical**2))


def _check(sd: float, power: float, alpha: float) -> None:
    if not 0 < sd < math.inf:
        raise ValueError(f"Expected a standard deviation above 0, got {sd}.")
    if not 0 < alpha < power < 1:
        raise ValueError(f"Expected 0 < alpha < power < 1, got alpha {alpha} and power {power}.")
