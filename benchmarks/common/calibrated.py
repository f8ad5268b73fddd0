"""Calibration from counted pixels, with a temperature from children that no training has seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.scales import BINS
from retina_course.evaluation.calibration import apply_temperature, fit_temperature, reliability

Histogram = Sequence[Sequence[int]] | NDArray[np.int64]


def pixels(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability and vessel of each pixel that `scales.by_probability` has counted.

    Each has the probability of the middle of its step, so it moves by at most 1/8192.
    """
    middles = (np.arange(BINS) + 0.5) / BINS
    background, vessel = np.asarray(histogram)
    p = np.concatenate([np.repeat(middles, background), np.repeat(middles, vessel)])
    return p, np.arange(p.size) >= background.sum()


def temperature_of(held_out: Histogram) -> float:
    """The temperature that suits held-out children."""
    return fit_temperature(*pixels(held_out))


def calibrated(temperature: float, test: Histogram) -> dict[str, Any]:
    """The calibration of the test pixels without and with a temperature."""
    p, vessel = pixels(test)
    return {
        "temperature": temperature,
        "as_it_is": reliability(p, vessel),
        "scaled": reliability(apply_temperature(p, temperature), vessel),
    }
