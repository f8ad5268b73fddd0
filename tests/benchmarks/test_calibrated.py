"""Calibration from counted pixels agrees with that of the pixels themselves."""

import numpy as np
import pytest
from scipy import special

from benchmarks.common import scales
from benchmarks.common.calibrated import calibrated, pixels, temperature_of
from retina_course.evaluation.calibration import fit_temperature, reliability


def network(seed, sure):
    """Pixels of a network whose log-odds are `sure` times as large as they should be."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-3, 2.5, 200_000)
    vessel = rng.random(log_odds.size) < special.expit(log_odds)
    return special.expit(sure * log_odds).astype(np.float32), vessel


def test_the_pixels_come_back_to_half_a_step():
    p, vessel = network(0, 1.0)
    counted, kind = pixels(scales.by_probability(p, vessel))
    assert kind.sum() == vessel.sum()
    for which in (False, True):
        away = np.sort(p[vessel == which]) - np.sort(counted[kind == which])
        assert abs(away).max() <= 0.5 / scales.BINS + 1e-7


@pytest.mark.parametrize("sure", [0.7, 1.5])
def test_the_temperature_comes_from_the_held_out_children_and_mends_the_test_pixels(sure):
    held_out, test = network(1, sure), network(2, sure)
    temperature = temperature_of(scales.by_probability(*held_out))
    found = calibrated(temperature, scales.by_probability(*test))
    assert found["temperature"] == pytest.approx(fit_temperature(*held_out), rel=0.01)
    assert found["temperature"] == pytest.approx(sure, rel=0.05)
    direct = reliability(*test)
    for score in ("expected_error", "brier"):
        assert found["as_it_is"][score] == pytest.approx(direct[score], abs=0.5 / scales.BINS)
        assert found["scaled"][score] < found["as_it_is"][score]
