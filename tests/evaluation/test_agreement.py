"""Agreement of two measurements: worked examples, and what a bias does to each number."""

import numpy as np
import pytest

from retina_course.evaluation.agreement import bland_altman, icc, icc_interval


def test_icc_is_that_of_the_analysis_of_variance():
    """The six targets and first two judges of Shrout and Fleiss 1979, table 2, by hand."""
    a, b = np.array([9, 6, 8, 7, 10, 6.0]), np.array([2, 1, 4, 1, 5, 2.0])
    means, total = (a + b) / 2, np.concatenate([a, b]).mean()
    between = 2 * ((means - total) ** 2).sum() / 5
    judges = 6 * ((a.mean() - total) ** 2 + (b.mean() - total) ** 2)
    error = ((np.concatenate([a, b]) - total) ** 2).sum() - 5 * between - judges
    error /= 5
    expected = (between - error) / (between + error + 2 * (judges - error) / 6)
    assert icc(a, b) == pytest.approx(expected)


def test_a_bias_lowers_icc_and_moves_the_limits():
    a = np.arange(10.0)
    assert icc(a, a) == pytest.approx(1)
    assert icc(a, a + 3) < 0.7
    found = bland_altman(a + 1, 1.1 * (a + 1), percent=True)
    assert found.bias == pytest.approx(10) and found.high - found.low == pytest.approx(0, abs=1e-9)


def test_values_that_are_not_numbers_are_left_out():
    assert bland_altman([1, np.nan, 3, 4], [2, 5, 4, 5]).n == 3


def test_interval_draws_patients():
    rng = np.random.default_rng(0)
    person = rng.normal(size=10).repeat(2)
    a, b = (person + 0.3 * rng.normal(size=20) for _ in range(2))
    found = icc_interval(a, b, patients=np.arange(10).repeat(2), samples=300)
    assert found.low < found.value < found.high <= 1


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1]), ([1, np.nan], [1, 2])])
def test_too_few_pairs_are_an_error(a, b):
    with pytest.raises(ValueError, match="Expected as many|at least two"):
        bland_altman(a, b)


def test_percentages_of_nothing_are_an_error():
    with pytest.raises(ValueError, match="first measurement is 0"):
        bland_altman([0, 1, 2], [1, 1, 2], percent=True)
    assert bland_altman([0, 1, 2], [1, 1, 2]).n == 3
