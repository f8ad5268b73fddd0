"""Means over patients and seeds: against scipy, against sums by hand, and their coverage."""

import numpy as np
import pytest
from scipy import stats

from retina_course.evaluation import Estimate, estimate, student

RNG = np.random.default_rng(0)
ONE_SEED = RNG.normal(0.8, 0.03, 10)


def test_one_seed_is_the_paired_t_test_of_scipy():
    other = ONE_SEED + RNG.normal(0.004, 0.005, 10)
    found = estimate(other, minus=ONE_SEED)
    theirs = stats.ttest_rel(other, ONE_SEED)
    ends = theirs.confidence_interval(0.9)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.interval(0.9) == pytest.approx((np.mean(other - ONE_SEED), ends.low, ends.high))
    assert (found.freedom, found.covers) == (9, "patients")
    assert estimate(other).interval() == pytest.approx(student(other))


def by_loops(scores):
    """The three mean squares of patients and seeds, as in a table of variances."""
    k, n = scores.shape
    total = scores.mean()
    patients = k * sum((scores[:, j].mean() - total) ** 2 for j in range(n)) / (n - 1)
    seeds = n * sum((scores[i].mean() - total) ** 2 for i in range(k)) / (k - 1)
    rest = sum(
        (scores[i, j] - scores[i].mean() - scores[:, j].mean() + total) ** 2
        for i in range(k)
        for j in range(n)
    ) / ((k - 1) * (n - 1))
    return patients, seeds, rest


def test_the_error_of_one_network_is_that_of_the_table_of_variances():
    scores = 0.8 + RNG.normal(0, 0.02, (1, 6)) + RNG.normal(0, 0.01, (3, 1))
    scores = scores + RNG.normal(0, 0.002, (3, 6))
    patients, seeds, rest = by_loops(scores)
    assert seeds > rest
    found = estimate(scores)
    assert found.value == pytest.approx(scores.mean())
    variance = (patients + seeds - rest) / 18  # as for readers and cases, Hillis 2014
    assert found.error**2 == pytest.approx(variance)
    parts = patients**2 / 5 + seeds**2 / 2 + rest**2 / 10
    assert found.freedom == pytest.approx((patients + seeds - rest) ** 2 / parts)
    assert found.covers == "patients and seeds"


def test_seeds_that_differ_less_than_the_rest_add_nothing():
    rest = np.array([[1, -1, 1, -1], [-1, 1, -1, 1.0]]) / 100
    scores = ONE_SEED[:4] + rest  # the seeds' means are equal
    assert estimate(scores)[:3] == pytest.approx(estimate(scores.mean(axis=0))[:3])


def test_degrees_of_freedom_are_at_least_those_of_the_seeds():
    """Where seeds hardly differ more than the rest, Satterthwaite's would be near 0."""
    rest = np.array([[1, -1, 1, -1], [-1, 1, -1, 1.0]]) / 100
    scores = 0.8 + rest + np.array([[0.0], [0.016]])
    patients, seeds, rest_square = by_loops(scores)
    parts = patients**2 / 3 + seeds**2 / 1 + rest_square**2 / 3
    assert (patients + seeds - rest_square) ** 2 / parts < 1
    assert estimate(scores).freedom == 1


def test_a_difference_has_the_seeds_of_both_networks():
    first = ONE_SEED + np.array([[0.0], [0.02]])
    second = ONE_SEED + np.array([[0.0], [0.03], [0.06]])
    found = estimate(first, minus=second)
    # No patient differs from another: 0.02² / 2 / 2 and 0.03² / 3 are the means' variances.
    assert found.value == pytest.approx(-0.02)
    assert found.error**2 == pytest.approx(0.0001 + 0.0003)
    assert found.freedom == pytest.approx(0.0004**2 / (0.0001**2 / 1 + 0.0003**2 / 2))
    assert estimate(second, minus=first).value == pytest.approx(0.02)


def test_a_single_seed_of_one_network_leaves_the_seeds_out():
    first, second = ONE_SEED + np.array([[0.0], [0.02]]), ONE_SEED[::-1]
    found = estimate(first, minus=second)
    assert found == estimate(first.mean(axis=0), minus=second) and not found.with_seeds


def test_both_eyes_of_a_patient_are_one_value():
    eyes = np.repeat(ONE_SEED, 2) + np.tile([-0.01, 0.01], 10)
    patients = np.repeat(list("abcdefghij"), 2)
    scores = np.stack([eyes, eyes + 0.01])
    found = estimate(scores, patients=patients)
    assert found == pytest.approx(estimate([ONE_SEED, ONE_SEED + 0.01]))


@pytest.mark.parametrize(
    ("networks", "children", "seeds", "rest"),
    [
        (1, 0.03, 0.002, 0.005),  # about as on CHASE_DB1: one network ...
        (2, 0.01, 0.002, 0.004),  # ... and the difference of two
        (1, 0.003, 0.003, 0.003),  # seeds that matter as much as children
        (2, 0.003, 0.003, 0.003),
    ],
)
def test_intervals_of_ten_children_and_three_seeds_cover_95_percent(
    networks, children, seeds, rest
):
    """`children` is the sd of a difference. One seed alone covers too little where seeds matter."""
    rng = np.random.default_rng(1)
    hits, narrow = [], []
    for _ in range(2000):
        groups = [
            rng.normal(0, children / np.sqrt(networks), (1, 10))
            + rng.normal(0, seeds, (3, 1))
            + rng.normal(0, rest, (3, 10))
            for _ in range(networks)
        ]
        minus = groups[1] if networks == 2 else None
        _, low, high = estimate(groups[0], minus=minus).interval()
        hits.append(low <= 0 <= high)
        narrow.append(estimate(groups[0][0], minus=minus if minus is None else minus[0]).interval())
    assert 0.93 < np.mean(hits) < 0.97
    if seeds == children:
        assert np.mean([low <= 0 <= high for _, low, high in narrow]) < 0.7


def test_scores_that_do_not_vary_have_no_width():
    found = estimate([0.5, 0.5, 0.5])
    assert found.interval() == (0.5, 0.5, 0.5) and found.p_value == 0
    assert estimate([0.5, 0.5], minus=[0.5, 0.5]).p_value == 1


def test_wrong_input():
    with pytest.raises(ValueError, match=r"same images, got \(3,\) and \(2,\)"):
        estimate([1, 2, 3], minus=[1, 2])
    with pytest.raises(ValueError, match=r"got \(2, 2, 2\)"):
        estimate(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="one patient, for each image"):
        estimate([[1, 2, 3]], patients=["a", "b"])
    with pytest.raises(ValueError, match="at least two patients, got 1"):
        estimate([1, 2], patients=["a", "a"])
    with pytest.raises(ValueError, match="finite"):
        estimate([[0.1, 0.2], [0.1, np.nan]])
    with pytest.raises(ValueError, match="level between 0 and 1, got 95"):
        Estimate(0, 1, 9, False).interval(95)
