"""Bootstrap intervals against scipy."""

import numpy as np
import pytest
from scipy import stats

from retina_course.evaluation import bootstrap


def test_bootstrap_agrees_with_scipy():
    scores = np.random.default_rng(3).normal(0.8, 0.03, 20)
    ours = bootstrap(lambda resampled: scores[resampled].mean(), 20, samples=4000)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=4000, method="percentile", random_state=1
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(scores.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_bootstrap_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(150):
        scores = rng.normal(0.8, 0.03, 20)
        _, low, high = bootstrap(
            lambda resampled, scores=scores: scores[resampled].mean(), 20, samples=200, seed=seed
        )
        hits += low <= 0.8 <= high
    assert 0.85 * 150 <= hits <= 149


def test_bootstrap_of_patients_keeps_both_eyes_together():
    one_eye = np.random.default_rng(0).normal(size=10)
    scores, patients = np.repeat(one_eye, 2), np.repeat([f"{i:02d}" for i in range(10)], 2)

    def mean(resampled):
        assert len(resampled) == 20
        assert (np.bincount(resampled, minlength=20).reshape(10, 2).std(axis=1) == 0).all()
        return scores[resampled].mean()

    _, low, high = bootstrap(mean, 20, patients=patients)
    apart = bootstrap(lambda resampled: scores[resampled].mean(), 20)
    # Twenty eyes that are ten twice: half the information, the interval wider by the root of two.
    assert 1.2 < (high - low) / (apart.high - apart.low) < 1.65


def test_bootstrap_is_a_function_of_its_seed():
    def run(seed):
        return bootstrap(lambda resampled: float(resampled.mean()), 12, seed=seed, samples=100)

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda b: bootstrap(np.mean, 1), "at least two"),
        (lambda b: bootstrap(np.mean, 4, patients=["a"] * 4), "at least two"),
        (lambda b: bootstrap(np.mean, 4, patients=["a"] * 3), "each of 4 images"),
        (lambda b: bootstrap(np.mean, 4, patients=[1, 2, np.nan, 3]), "not a number"),
        (lambda b: bootstrap(np.mean, 4, level=95), "between 0 and 1"),
        (lambda b: bootstrap(lambda resampled: np.nan, 4), "not finite"),
    ],
)
def test_bad_input_of_the_scores_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call(np.eye(4, dtype=bool))
