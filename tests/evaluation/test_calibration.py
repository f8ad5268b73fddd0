"""Calibration against loops, scikit-learn and networks whose temperature is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from retina_course.evaluation.calibration import (
    apply_temperature,
    brier,
    ece,
    fit_temperature,
    reliability,
)


def test_reliability_of_probabilities_that_are_right():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    row = reliability(p, rng.random(p.size) < p)
    assert row["expected_error"] < 0.01 and abs(row["brier"] - 1 / 6) < 0.005
    squeezed = reliability(p**3, rng.random(p.size) < p)
    assert abs(squeezed["expected_error"] - 0.25) < 0.02  # the mean of p - p^3


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)), st.integers(1, 20))
def test_reliability_against_a_loop(p, bins):
    t = p > 0.4
    row = reliability(p, t, bins)
    total = 0.0
    for i in range(bins):
        mine = [k for k, v in enumerate(p) if min(int(v * bins), bins - 1) == i]
        assert row["count"][i] == len(mine)
        if mine:
            total += len(mine) * abs(np.mean(p[mine]) - np.mean(t[mine]))
    assert row["expected_error"] == pytest.approx(total / len(p), abs=1e-9)
    assert ece(p, t, bins) == row["expected_error"]


def test_reliability_by_hand():
    p, t = np.array([0.0, 0.5, 0.5, 0.7, 1.0]), np.array([False, True, False, True, True])
    found = reliability(p, t, bins=4)
    assert found["count"] == [1, 0, 3, 1]
    assert found["probability"] == pytest.approx([0, None, 1.7 / 3, 1])
    assert found["fraction"] == pytest.approx([0, None, 2 / 3, 1])
    assert found["expected_error"] == pytest.approx(3 * (2 / 3 - 1.7 / 3) / 5)
    assert found["brier"] == pytest.approx((0.25 + 0.25 + 0.09) / 5)
    numbers = [*found["probability"], *found["fraction"], found["expected_error"], found["brier"]]
    assert {type(v) for v in numbers} == {float, type(None)}  # as JSON has them
    assert len(reliability(p, t)["count"]) == 10


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, st.integers(2, 50), elements=st.floats(0, 1)), st.integers(0, 99))
def test_brier_against_scikit_learn(p, seed):
    t = np.random.default_rng(seed).random(p.size) < 0.5
    assert brier(p, t) == pytest.approx(brier_score_loss(t, p, pos_label=True))
    assert reliability(p, t)["brier"] == brier(p, t)


def calibrated(n=40_000):
    """Log-odds whose probabilities are right, with targets drawn by them."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-1, 2, n)
    return log_odds, rng.random(n) < special.expit(log_odds)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_a_network_that_is_too_sure_or_not_sure_enough(temperature):
    log_odds, t = calibrated()
    p = special.expit(log_odds * temperature)
    fitted = fit_temperature(p, t)
    assert fitted == pytest.approx(temperature, rel=0.03)
    assert ece(apply_temperature(p, fitted), t) < 0.01
    if temperature != 1:
        assert ece(p, t) > 0.05


def test_no_other_temperature_has_a_smaller_log_loss_and_the_order_of_pixels_stays():
    rng = np.random.default_rng(1)
    p = rng.beta(0.5, 2, 2000).astype(np.float32)
    t = rng.random(p.size) < 0.6 * p + 0.1
    fitted = fit_temperature(p, t)
    least = log_loss(t, apply_temperature(p, fitted))
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2):
        assert log_loss(t, apply_temperature(p, fitted * factor)) > least
    after = apply_temperature(p, fitted)
    assert roc_auc_score(t, after) == pytest.approx(roc_auc_score(t, p), abs=1e-4)
    moved = apply_temperature(np.float32(0.3), fitted)
    assert ((after >= moved) == (p >= np.float32(0.3))).all()


def test_probabilities_of_exactly_0_and_1_have_a_temperature():
    p, t = np.array([0.0, 1.0, 1.0, 0.0]), np.array([False, True, False, True])
    assert fit_temperature(p, t) == pytest.approx(100, rel=0.01)  # they know nothing: all to 0.5
    assert np.isfinite(apply_temperature(p, 2.0)).all()


@pytest.mark.parametrize("score", [reliability, ece, brier, fit_temperature])
def test_wrong_input(score):
    p, t = np.array([0.1, 0.9]), np.array([False, True])
    with pytest.raises(ValueError, match="each of P pixels"):
        score(p, t[:1])
    with pytest.raises(ValueError, match="each of P pixels"):
        score(p[:0], t[:0])
    with pytest.raises(ValueError, match=r"in \[0, 1\], got -2.0 to 3.0"):
        score(np.array([-2.0, 3.0]), t)
    with pytest.raises(ValueError, match="got nan"):
        score(np.array([np.nan, 0.5]), t)
    with pytest.raises(ValueError, match="Expected target to be bool"):
        score(p, p)


def test_wrong_input_of_one_function():
    p, t = np.array([0.1, 0.9]), np.array([False, True])
    with pytest.raises(ValueError, match="one class"):
        fit_temperature(p, t | True)
    with pytest.raises(ValueError, match="above 0, got 0"):
        apply_temperature(p, 0)
    with pytest.raises(ValueError, match="lie in .0, 1., got -1.0 to 2.3"):
        apply_temperature(np.array([2.3, -1.0]), 2.0)  # logits
    with pytest.raises(ValueError, match="at least one bin, got 0"):
        ece(p, t, 0)
