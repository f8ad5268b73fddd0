"""A mean score, or a difference of two networks, as far as other patients and seeds would move it.

The unit is the patient: the photographs of a person are averaged first. A network trained from
several seeds is scored on the same patients by each of them, so patients and seeds are crossed,
like the cases and the readers of a reading study.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


class Interval(NamedTuple):
    """A value with the ends of its interval.

    Parameters
    ----------
    value : float
        The value on all images.
    low : float
        Lower end of the interval.
    high : float
        Upper end of the interval.

    Examples
    --------
    >>> value, low, high = Interval(0.80, 0.78, 0.82)
    >>> print(f"{value} ({low} to {high})")
    0.8 (0.78 to 0.82)
    """

    value: float
    low: float
    high: float


class Estimate(NamedTuple):
    """A mean with its standard error: intervals and tests follow from it.

    Parameters
    ----------
    value : float
        The mean, or the mean difference.
    error : float
        Its standard error.
    freedom : float
        Degrees of freedom of the standard error, for Student's t.
    with_seeds : bool
        Whether the standard error covers other seeds, too, and not other patients alone.

    Examples
    --------
    >>> found = Estimate(value=0.01, error=0.004, freedom=9, with_seeds=False)
    >>> low, high = found.interval()[1:]
    >>> print(f"{low:.3f} to {high:.3f}, p = {found.p_value:.3f}")
    0.001 to 0.019, p = 0.034
    """

    value: float
    error: float
    freedom: float
    with_seeds: bool

    @property
    def covers(self) -> str:
        """The words "patients" or "patients and seeds", whichever the interval is about."""
        return "patients and seeds" if self.with_seeds else "patients"

    @property
    def p_value(self) -> float:
        """Two-sided t-test of a true value of 0."""
        if not self.error:
            return float(self.value == 0)
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))

    def interval(self, level: float = 0.95) -> Interval:
        """Student's interval.

        Parameters
        ----------
        level : float, default 0.95
            How often such an interval holds the true value.

        Returns
        -------
        Interval
            The value and the ends.

        Raises
        ------
        ValueError
            If `level` does not lie between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"Expected a level between 0 and 1, got {level}.")
        half = float(stats.t.isf((1 - level) / 2, self.freedom) * self.error)
        return Interval(self.value, self.value - half, self.value + half)


def estimate(
    scores: ArrayLike, *, minus: ArrayLike | None = None, patients: ArrayLike | None = None
) -> Estimate:
    """The mean over patients and seeds, or the mean difference of two networks.

    With one seed, the standard error is that of the patients' means, with n - 1 degrees of freedom:
    Student's interval, about these weights. With several, the variance of the seeds is added: the
    scores are a patient's effect, a seed's effect and a rest, and the seed's variance is what is
    left of the variance of the seeds' means when the rest is taken off (0 where that is negative).
    A difference has the seeds of both networks. The degrees of freedom are Satterthwaite's, and at
    least those of the seeds. Seeds count only where both networks have several of them.

    In simulations with ten patients and three seeds such intervals of 95 % hold the true value in
    93 to 98 % of cases. With two seeds whose spread outweighs that of the patients, the interval
    of one network holds it in 90 % only.
    Source: Satterthwaite 1946, doi:10.2307/3002019; patients and readers crossed in the same way:
    Hillis 2014, doi:10.1002/sim.5926; one seed: Student 1908, doi:10.1093/biomet/6.1.1.

    Parameters
    ----------
    scores : array of float
        `(M,)`, or `(S, M)` with a row for each seed: the score of each of M images.
    minus : array of float, optional
        Those of another network on the same images, `(M,)` or `(T, M)`, to be taken off.
    patients : sequence, optional
        The patient of each image. The default takes each image as a patient.

    Returns
    -------
    Estimate
        Positive for a difference where the first network has the higher scores.

    Raises
    ------
    ValueError
        If there are fewer than two patients, if shapes do not belong together, or if a score is not
        finite.

    Examples
    --------
    Three children, one photograph each, by two seeds:

    >>> found = estimate([[0.79, 0.77, 0.81], [0.80, 0.76, 0.83]])
    >>> print(f"{found.value:.3f} ± {found.error:.3f}, covers {found.covers}")
    0.793 ± 0.016, covers patients and seeds
    """
    groups = [_by_patient(scores, patients)]
    if minus is not None:
        groups.append(_by_patient(minus, patients))
        if groups[0].shape[1] != groups[1].shape[1]:
            shapes = f"{np.shape(scores)} and {np.shape(minus)}"
            raise ValueError(f"Expected the scores of the same images, got {shapes}.")
    means = [group.mean(axis=0) for group in groups]
    of_patients = means[0] - means[1] if len(means) > 1 else means[0]
    n = of_patients.size
    variance = float(of_patients.var(ddof=1)) / n
    # Each mean square of the sum, squared, over its degrees of freedom.
    spread = variance**2 / (n - 1)
    fewest = min(len(group) for group in groups)
    with_seeds = fewest > 1
    for group in groups if with_seeds else ():
        seeds, rest = _mean_squares(group)
        if seeds > rest:
            variance += seeds - rest
            k = len(group)
            spread += seeds**2 / (k - 1) + rest**2 / ((k - 1) * (n - 1))
    freedom = variance**2 / spread if spread else n - 1
    if with_seeds:
        freedom = max(freedom, min(fewest, n) - 1)
    return Estimate(float(of_patients.mean()), math.sqrt(variance), float(freedom), with_seeds)


def _by_patient(scores: ArrayLike, patients: ArrayLike | None) -> NDArray[np.float64]:
    """The mean of each patient's images, `(seeds, patients)`, by name."""
    given = np.atleast_2d(np.asarray(scores, dtype=float))
    names = np.arange(given.shape[-1]) if patients is None else np.asarray(patients)
    if given.ndim != 2 or names.shape != given.shape[1:]:
        raise ValueError(
            f"Expected one score, and one patient, for each image, got {np.shape(scores)} and "
            f"{names.shape}."
        )
    columns: Sequence[NDArray[Any]] = [
        given[:, names == name].mean(axis=1) for name in np.unique(names)
    ]
    if len(columns) < 2 or not np.isfinite(columns).all():
        raise ValueError(
            "Expected finite scores of at least two patients, got "
            f"{len(columns)} patients with means {np.mean(columns, axis=1).tolist()}."
        )
    return np.stack(columns, axis=1)


def _mean_squares(group: NDArray[np.float64]) -> tuple[float, float]:
    """Of the seeds' means and of the rest, both as parts of the variance of the whole mean."""
    k, n = group.shape
    of_seeds, of_patients = group.mean(axis=1, keepdims=True), group.mean(axis=0)
    rest = group - of_seeds - of_patients + group.mean()
    return (
        float(of_seeds.var(ddof=1)) / k,
        float((rest**2).sum()) / ((n - 1) * (k - 1)) / (n * k),
    )
