"""Do probabilities mean what they say? Reliability, calibration error, Brier score, temperature.

Of the pixels with probability 0.8, about 80 % should show a vessel. AUC and F1 do not see whether
that is so: they depend on the order of the pixels alone. All functions take pooled pixels inside
the fields of view, from `metrics.pool`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from retina_course.evaluation.binary_maps import as_binary

EPSILON = 1e-7  # float32 rounds to 0 and 1, whose log-odds are infinite
TEMPERATURES = (0.01, 100.0)


def reliability(
    probabilities: NDArray[Any], target: NDArray[Any], bins: int = 10
) -> dict[str, Any]:
    """What a reliability diagram shows: per bin, the probability and the fraction of vessels.

    Source: arXiv 1706.04599, equation 3; the probability is that of a vessel, not that of the
    likelier of two classes.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1].
    target : ndarray of bool
        `(P,)`.
    bins : int, default 10
        Number of bins of equal width.

    Returns
    -------
    dict
        For each bin `count`, mean `probability` and `fraction` of vessels (None where empty);
        `expected_error`, the mean distance of probability and fraction over pixels, and `brier`,
        the mean of (p - t)^2.

    Raises
    ------
    ValueError
        If there is no bin, no pixel, not one target per probability, or a value is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> found = reliability(np.array([0.25, 0.25, 0.75]), np.array([False, True, True]), bins=2)
    >>> found["probability"], found["fraction"]
    ([0.25, 0.75], [0.5, 1.0])
    """
    if bins < 1:
        raise ValueError(f"Expected at least one bin, got {bins}.")
    p, t = _pixels(probabilities, target)
    which = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    sums = (np.bincount(which, weights=w, minlength=bins) for w in (p, t))
    mean, fraction = (total / np.maximum(count, 1) for total in sums)
    return {
        "count": count.tolist(),
        "probability": [float(v) if n else None for v, n in zip(mean, count, strict=True)],
        "fraction": [float(v) if n else None for v, n in zip(fraction, count, strict=True)],
        "expected_error": float((count * abs(mean - fraction)).sum() / count.sum()),
        "brier": brier(p, t),
    }


def ece(probabilities: NDArray[Any], target: NDArray[Any], bins: int = 10) -> float:
    """Expected calibration error: the mean distance of probability and fraction of vessels.

    It depends on the bins, so compare values of one number of bins. On retinal photographs it is
    small for any network: most pixels are background, and surely so.
    Source: arXiv 1706.04599, equation 3; see `reliability`.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1].
    target : ndarray of bool
        `(P,)`.
    bins : int, default 10
        Number of bins of equal width.

    Returns
    -------
    float
        In [0, 1]; 0 is best.

    Raises
    ------
    ValueError
        As `reliability`.

    Examples
    --------
    Pixels of 0.9 of which half are vessels:

    >>> import numpy as np
    >>> round(ece(np.array([0.9, 0.9]), np.array([True, False])), 3)
    0.4
    """
    return float(reliability(probabilities, target, bins)["expected_error"])


def brier(probabilities: NDArray[Any], target: NDArray[Any]) -> float:
    """Brier score: the mean of (p - t)^2. It has no bins, and is best for the true probabilities.

    Source: Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, halved as is usual
    for two classes.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1].
    target : ndarray of bool
        `(P,)`.

    Returns
    -------
    float
        In [0, 1]; 0 is best.

    Raises
    ------
    ValueError
        If there is no pixel, not one target per probability, or a value is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> brier(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    p, t = _pixels(probabilities, target)
    return float(((p - t) ** 2).mean())


def fit_temperature(probabilities: NDArray[Any], target: NDArray[Any]) -> float:
    """The temperature by which log-odds are divided so that the log loss is least.

    Above 1 the network was too sure of itself, below 1 not sure enough. Fit it on pixels of
    held-out training patients, then use `apply_temperature`.
    Source: arXiv 1706.04599, section 4.2, for two classes.

    Parameters
    ----------
    probabilities : ndarray of float
        `(P,)` in [0, 1]. Those nearer than 1e-7 to 0 or 1 count as 1e-7 away.
    target : ndarray of bool
        `(P,)`, with pixels of both classes.

    Returns
    -------
    float
        Between 0.01 and 100.

    Raises
    ------
    ValueError
        If the target holds one class only, there is not one target per probability, or a value
        is not allowed.

    Examples
    --------
    Of four pixels with probability 0.9, three are vessels; that is over-confident:

    >>> import numpy as np
    >>> p, t = np.full(4, 0.9), np.array([True, True, True, False])
    >>> temperature = fit_temperature(p, t)
    >>> print(f"{temperature:.2f}, then {apply_temperature(p, temperature)[0]:.2f}")
    2.00, then 0.75
    """
    p, t = _pixels(probabilities, target)
    if t.min() == t.max():
        raise ValueError(
            f"All {t.size} pixels are of one class: no temperature is best. Expected vessels and "
            "background."
        )
    against = np.where(t, -1.0, 1.0) * _log_odds(p)  # log-odds of the wrong class

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, against / np.exp(log_temperature)).mean())

    found = optimize.minimize_scalar(log_loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def apply_temperature(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Divide log-odds by a temperature: the order of the pixels stays, and so does the AUC.

    A threshold has to be moved in the same way, `apply_temperature(threshold, temperature)`, to
    give the same map.

    Parameters
    ----------
    probabilities : ndarray of float
        In [0, 1], of any shape.
    temperature : float
        From `fit_temperature`.

    Returns
    -------
    ndarray of float64
        Likewise, at least 0 and at most 1.

    Raises
    ------
    ValueError
        If the temperature is not above 0, or a probability lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> apply_temperature(np.array([0.5, 0.9]), 2.0).round(2).tolist()
    [0.5, 0.75]
    """
    if not temperature > 0:
        raise ValueError(f"Expected a temperature above 0, got {temperature}.")
    p = np.asarray(probabilities, dtype=np.float64)
    if p.size:
        _check_range(p)
    return special.expit(_log_odds(p) / temperature)


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return special.logit(np.clip(p, EPSILON, 1 - EPSILON))


def _pixels(
    probabilities: NDArray[Any], target: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and targets as float64, checked."""
    p = np.asarray(probabilities, dtype=np.float64)
    t = as_binary(target, "target").astype(np.float64)
    if p.ndim != 1 or p.shape != t.shape or not p.size:
        raise ValueError(
            f"Expected one target for each of P pixels, got {p.shape} and {t.shape}: "
            "metrics.pool makes them of maps."
        )
    _check_range(p)
    return p, t


def _check_range(p: NDArray[np.float64]) -> None:
    if not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"Probabilities must lie in [0, 1], got {p.min()} to {p.max()}.")
