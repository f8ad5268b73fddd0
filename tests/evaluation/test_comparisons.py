"""Holm's correction, equivalence and power, against statsmodels, scipy and simulations.

The values of statsmodels 0.15 (`multipletests` with "holm", `TTestPower().solve_power`) are typed
here: the course does not install it.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retina_course.evaluation import Estimate, estimate, student
from retina_course.evaluation.comparisons import (
    detectable_difference,
    equivalence,
    holm,
    needed_patients,
)


@pytest.mark.parametrize(
    ("given_values", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.012, 0.02, 0.9, 0.001, 0.02], [1, 0.06, 0.08, 1, 0.006, 0.08]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm_against_statsmodels(given_values, corrected):
    assert holm(given_values) == pytest.approx(corrected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_step_by_step(p):
    """As Holm wrote it: from the smallest p-value on, until one is above 0.05 / (those left)."""
    rejected = set()
    for left, i in zip(range(len(p), 0, -1), np.argsort(p), strict=True):
        if p[i] * left > 0.05:
            break
        rejected.add(int(i))
    assert set(np.flatnonzero(holm(p) <= 0.05).tolist()) == rejected
    assert (holm(p) <= np.minimum(1, len(p) * np.array(p))).all()  # never worse than Bonferroni


def test_holm_keeps_false_claims_rare():
    """Fifteen comparisons that share their data, no true difference."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(2000, 1, 10)), rng.normal(size=(2000, 15, 10))
    p = stats.ttest_1samp(shared + own, 0, axis=2).pvalue
    assert np.mean((p <= 0.05).any(axis=1)) > 0.25
    assert np.mean([(holm(row) <= 0.05).any() for row in p]) < 0.06


@given(st.integers(0, 1000), st.floats(0.001, 0.03))
def test_equivalence_is_two_one_sided_tests_of_scipy(seed, margin):
    rng = np.random.default_rng(seed)
    first = rng.normal(0.8, 0.03, (10, 2))
    second = first + rng.normal(0.002, 0.01, (10, 2))
    children = np.repeat(np.arange(10), 2)
    found = estimate(second.ravel(), minus=first.ravel(), patients=children)
    gaps = (second - first).mean(axis=1)
    above = stats.ttest_1samp(gaps, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(gaps, margin, alternative="less").pvalue
    p = equivalence(found, margin)
    assert p == pytest.approx(max(above, below), abs=1e-12)
    back = estimate(first.ravel(), minus=second.ravel(), patients=children)
    assert equivalence(back, margin) == pytest.approx(p)
    _, low, high = found.interval(0.9)
    assert (p < 0.05) == (-margin < low and high < margin)


def test_equivalence_is_claimed_falsely_in_one_of_twenty():
    """At a true difference of just the margin; with less, it is claimed mostly."""
    rng = np.random.default_rng(0)
    claimed = {
        true: np.mean(
            [equivalence(estimate(rng.normal(true, 0.01, 10)), 0.01) < 0.05 for _ in range(2000)]
        )
        for true in (0.01, 0.0)
    }
    assert claimed[0.01] == pytest.approx(0.05, abs=0.012)
    assert claimed[0.0] > 0.7


def test_equivalence_without_any_spread():
    same = Estimate(0.004, 0.0, 9, False)
    assert (equivalence(same, 0.005), equivalence(same, 0.004)) == (0, 1)


@pytest.mark.parametrize(
    ("n", "power", "alpha", "effect"),
    [
        (10, 0.8, 0.05, 0.9960019107624178),
        (10, 0.8, 0.05 / 15, 1.5761195887996307),
        (20, 0.9, 0.01, 0.9472370750283202),
    ],
)
def test_detectable_difference_against_statsmodels(n, power, alpha, effect):
    found = detectable_difference(0.02, n, power=power, alpha=alpha)
    assert found == pytest.approx(0.02 * effect, rel=1e-5)  # that of its solver


@pytest.mark.parametrize(
    ("effect", "n"), [(0.2, 198.15), (0.5, 33.367), (0.8, 14.303), (0.357, 63.53)]
)
def test_needed_patients_against_statsmodels(effect, n):
    assert needed_patients(1, effect) == needed_patients(0.01, -0.01 * effect) == np.ceil(n)


def test_the_power_is_that_of_simulated_tests():
    sd, n = 0.01, 8
    difference = detectable_difference(sd, n)
    draws = np.random.default_rng(0).normal(difference, sd, (20_000, n))
    assert np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05) == pytest.approx(
        0.8, abs=0.01
    )


@pytest.mark.parametrize("n", [2, 3, 14, 66, 1000])
def test_the_two_questions_answer_each_other(n):
    difference = detectable_difference(0.01, n)
    assert needed_patients(0.01, difference * 1.0001) == n
    assert needed_patients(0.01, difference * 0.9999) == n + 1


def test_wrong_input():
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.2, 1.2])
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.2, float("nan")])
    for margin in (0, -0.01, float("nan")):
        with pytest.raises(ValueError, match=f"margin above 0, got {margin}"):
            equivalence(estimate([0.1, 0.2]), margin)
    with pytest.raises(ValueError, match="above 0, got 0"):
        detectable_difference(0, 10)
    with pytest.raises(ValueError, match="two patients, got 1"):
        detectable_difference(1, 1)
    with pytest.raises(ValueError, match="alpha 0.05 and power 0.04"):
        needed_patients(1, 1, power=0.04)
    for difference in (0, 1e-9, float("nan")):
        with pytest.raises(ValueError, match="more than 10,000,000 patients"):
            needed_patients(1, difference)


def test_students_interval_is_that_of_scipy():
    scores = np.random.default_rng(2).normal(0.8, 0.03, 10)
    theirs = stats.ttest_1samp(scores, 0).confidence_interval(0.9)
    assert student(scores, level=0.9) == pytest.approx((scores.mean(), theirs.low, theirs.high))


def test_students_interval_takes_two_eyes_as_one_child():
    one = np.random.default_rng(2).normal(0.8, 0.03, 10)
    eyes, children = np.concatenate([one - 0.01, one + 0.01]), np.tile(np.arange(10), 2)
    assert student(eyes, patients=children) == pytest.approx(student(one))
    assert student([1.0, 3.0, 9.0], patients=["a", "a", "b"]).value == 5.5  # each child counts once


def test_students_interval_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(3).normal(0.8, 0.03, (2000, 5))
    hits = [low <= 0.8 <= high for _, low, high in map(student, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_wrong_input_to_student():
    with pytest.raises(ValueError, match="two patients"):
        student([0.1, 0.2], patients=["a", "a"])
    with pytest.raises(ValueError, match="finite"):
        student([0.1, float("nan")])
    with pytest.raises(ValueError, match="level between 0 and 1, got 1.5"):
        student([0.1, 0.2], level=1.5)
    with pytest.raises(ValueError, match=r"got \(3,\) and \(2,\)"):
        student([0.1, 0.2, 0.3], patients=[1, 2])
