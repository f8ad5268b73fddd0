"""Scoring one photograph after the other: the same numbers as with all of them in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from retina_course import weights
from retina_course.data.synthetic import make_fundus
from retina_course.evaluation import metrics, streaming
from retina_course.evaluation.streaming import (
    LEVELS,
    PixelCounts,
    evaluate_stream,
    levels,
    ranking_scores,
)
from retina_course.inference import segment


@pytest.fixture(scope="module")
def maps():
    """What the shipped network says of three synthetic photographs, with targets and fields."""
    model, card = weights.load("unet_small")
    found = []
    for seed in range(3):
        fundus = make_fundus(192, seed=seed)
        p, *_ = segment(model, fundus.image, card, flips=False, fov=fundus.fov, field_angle=9)
        p = p.numpy()  # 192 pixels
        found.append((p, fundus.vessel.numpy(), fundus.fov.numpy()))
    return found


def sharpened(p, factor):
    """The map of a network that is surer of each pixel: its logits times `factor`."""
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64) / (1 - p))
    return (1 / (1 + np.exp(-factor * logits))).astype(np.float32)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_it_equals_the_scores_of_all_maps_together(maps, factor):
    maps = [(sharpened(p, factor), t, fov) for p, t, fov in maps]
    expected = metrics.evaluate(*zip(*maps, strict=True), 0.3)
    result = evaluate_stream(iter(maps), 0.3)
    assert result.keys() == expected.keys() and result["empty_targets"] == 0
    for name, value in expected["pooled"].items():
        ranks = name in ("auc", "average_precision")
        assert result["pooled"][name] == (pytest.approx(value, abs=1e-6) if ranks else value), name
    for row, other in zip(result["per_image"], expected["per_image"], strict=True):
        assert row == pytest.approx(other, abs=1e-12)
    for part in ("mean", "sd"):
        assert result[part] == pytest.approx(expected[part], abs=1e-12)


pixels = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=2, max_size=60
).filter(lambda many: len({vessel for _, vessel in many}) == 2)


@given(pixels)
@settings(deadline=None, max_examples=200)
def test_counts_equal_scikit_learn_on_the_levels(many):
    p, t = np.array([p for p, _ in many], np.float32), np.array([t for _, t in many])
    level = levels(p)
    which = np.unique(level, return_inverse=True)[1]  # no counts of levels that no pixel has
    found = ranking_scores(
        *(np.bincount(which[side], minlength=which.max() + 1) for side in (t, ~t))
    )
    assert found["auc"] == pytest.approx(sk.roc_auc_score(t, level), abs=1e-12)
    expected = sk.average_precision_score(t, level)
    assert found["average_precision"] == pytest.approx(expected, abs=1e-12)


@pytest.fixture(scope="module")
def counts():
    return PixelCounts()


@given(pixels)
@settings(deadline=None, max_examples=20)
def test_the_threshold_has_the_best_f1_of_the_levels_and_of_the_probabilities(counts, many):
    counts._counts[:] = 0
    p, t = np.array([p for p, _ in many], np.float32), np.array([t for _, t in many])
    counts.add(p[:1], t[:1])
    counts.add(p[1:], t[1:])
    threshold = counts.best_threshold()
    at = [metrics.binary_scores(levels(p) >= level, t)["f1"] for level in levels(p)]
    found = counts.scores(threshold)
    assert found["f1"] == pytest.approx(max(at), abs=1e-12)
    assert found["f1"] == metrics.binary_scores(p >= threshold, t)["f1"]  # float32: exact


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50))
def test_levels_keep_the_order(many):
    p = np.sort(np.array(many, np.float32))
    level = levels(p)
    assert (np.diff(level) >= 0).all() and 0 <= level[0] and level[-1] < LEVELS


def test_the_lowest_probability_of_a_level_is_the_lowest():
    random = np.random.default_rng(0)
    p = np.concatenate([random.random(2000), random.random(500) ** 20, 1 - random.random(500) ** 9])
    for level in levels(p.astype(np.float32)).tolist():
        lowest = np.float32(streaming._lowest(level))
        below = np.nextafter(lowest, np.float32(-1))
        assert levels(np.array([lowest]))[0] >= level and (
            lowest == 0 or levels(np.array([below]))[0] < level
        )


def test_the_threshold_of_a_training_run_is_that_of_scikit_learns_curve(maps):
    inside, vessel = metrics.pool(*zip(*maps, strict=True))
    counts = PixelCounts()
    counts.add(inside, vessel)
    threshold = counts.best_threshold()
    assert threshold == pytest.approx(metrics.best_threshold(inside, vessel), abs=1e-4)
    expected = metrics.scores(inside, vessel, metrics.best_threshold(inside, vessel))
    assert counts.scores(threshold) == pytest.approx(expected, abs=1e-6)


def test_images_without_a_vessel_are_counted_and_left_out_of_the_means(maps):
    (p, t, fov), *rest = maps
    maps = [(p, np.zeros_like(t), fov), *rest]
    expected = metrics.evaluate(*zip(*maps, strict=True), 0.3)
    result = evaluate_stream(iter(maps), 0.3)
    assert result["empty_targets"] == 1 and np.isnan(result["per_image"][0]["auc"])
    assert result["mean"] == pytest.approx(expected["mean"], abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_probabilities_of_other_types_are_counted_as_float32(dtype):
    p, t = np.array([0.75, 0.5, 0.25], dtype), np.array([True, False, True])
    ours, expected = PixelCounts(), PixelCounts()
    for probability, vessel in zip(p, t, strict=True):  # one pixel: no shape could give it away
        ours.add(np.array([probability]), np.array([vessel]))
        expected.add(np.array([probability], np.float32), np.array([vessel]))
    assert ours.scores(0.5) == expected.scores(0.5)
    assert levels(p).tolist() == levels(p.astype(np.float32)).tolist()


def test_what_cannot_be_scored_is_named(maps):
    with pytest.raises(ValueError, match="no image to score"):
        evaluate_stream(iter([]), 0.5)
    (p, t, fov), *_ = maps
    with pytest.raises(ValueError, match="Logits need a sigmoid"):
        evaluate_stream(iter([(p + 1, t, fov)]), 0.5)
    counts = PixelCounts()
    counts.add(p[fov], np.zeros(fov.sum(), bool))
    with pytest.raises(ValueError, match="no vessel pixel"):
        counts.best_threshold()
    assert np.isnan(counts.ranking()["auc"])
