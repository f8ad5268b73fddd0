"""Scores of probability maps against torchmetrics and their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import classification as tm

from retina_course.evaluation import metrics


def images(seed, n=3, size=24):
    rng = np.random.default_rng(seed)
    targets = [rng.random((size, size)) < 0.15 for _ in range(n)]
    noise = [rng.normal(0, 0.25, (size, size)) for _ in range(n)]
    p = [
        np.clip(0.2 + 0.5 * t + e, 0, 1).astype(np.float32)
        for t, e in zip(targets, noise, strict=True)
    ]
    fovs = [rng.random((size, size)) < 0.8 for _ in range(n)]
    return p, targets, fovs


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_scores_agree_with_torchmetrics(seed, threshold):
    p, t = metrics.pool(*images(seed))
    ours = metrics.scores(p, t, threshold)
    # torchmetrics takes probability > threshold: hand it the next smaller number.
    below = float(np.nextafter(np.float32(threshold), np.float32(0)))
    threshold = float(np.float32(threshold))
    ours = metrics.scores(p, t, threshold)
    x, y = torch.from_numpy(p), torch.from_numpy(t).int()
    expected = {
        "auc": tm.binary_auroc(x, y),
        "average_precision": tm.binary_average_precision(x, y),
        "f1": tm.binary_f1_score(x, y, below),
        "mcc": tm.binary_matthews_corrcoef(x, y, below),
        "accuracy": tm.binary_accuracy(x, y, below),
        "sensitivity": tm.binary_recall(x, y, below),
        "specificity": tm.binary_specificity(x, y, below),
        "iou": tm.binary_jaccard_index(x, y, below),
    }
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value.item(), abs=1e-4), name


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_no_threshold_beats_the_best(seed):
    p, t = metrics.pool(*images(seed, n=1))
    best = metrics.best_threshold(p, t)
    f1 = metrics.scores(p, t, best)["f1"]
    others = metrics.confusion_curve(p, t, np.unique(p))
    assert all(metrics.confusion_scores(counts)["f1"] <= f1 + 1e-12 for counts in others)


def test_pixels_outside_the_field_of_view_do_not_count():
    p, t, fovs = images(0)
    before = metrics.evaluate(p, t, fovs, 0.5)
    changed = [np.where(fov, a, 1 - a) for a, fov in zip(p, fovs, strict=True)]
    targets = [np.where(fov, a, ~a) for a, fov in zip(t, fovs, strict=True)]
    assert metrics.evaluate(changed, targets, fovs, 0.5) == before


def test_pooled_is_not_the_mean_of_the_images():
    p, t, fovs = images(1)
    t[0][:] = False
    t[0][3, 3] = True
    result = metrics.evaluate(p, t, fovs, 0.5)
    assert len(result["per_image"]) == 3
    mean = np.mean([row["f1"] for row in result["per_image"]])
    assert result["mean"]["f1"] == pytest.approx(mean)
    assert abs(result["pooled"]["f1"] - mean) > 0.05


def test_empty_images_are_counted_and_scored_one_or_zero():
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    one = np.full((8, 8), 0.9, np.float32)
    result = metrics.evaluate([one, 1 - one], [empty, empty], [full, full], 0.5)
    assert result["empty_targets"] == 2
    assert [row["f1"] for row in result["per_image"]] == [0, 1]
    assert [row["cldice"] for row in result["per_image"]] == [0, 1]
    assert np.isnan(result["pooled"]["auc"]) and np.isnan(result["pooled"]["sensitivity"])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(6,), (4, 5), (1, 9)]),
    st.sampled_from([bool, np.uint8, np.float16, np.float32, np.float64]),
)
def test_areas_agree_with_their_definitions(seed, shape, dtype):
    """Every pair of a vessel and a background pixel, and every threshold, by hand."""
    rng = np.random.default_rng(seed)
    target, fov = rng.random(shape) < 0.4, rng.random(shape) < 0.9
    target.flat[:2], fov.flat[:2] = (True, False), True
    levels = 2 if dtype in (bool, np.uint8) else 5  # few levels: ties matter
    probability = (rng.integers(0, levels, shape) / (levels - 1)).astype(dtype)
    ours = metrics.scores(*metrics.pool([probability], [target], [fov]), 0.5)
    p, t = probability[fov].astype(float), target[fov]
    pairs = [(x > y) + (x == y) / 2 for x in p[t] for y in p[~t]]
    area, before = 0.0, 0.0
    for threshold in sorted(set(p), reverse=True):
        found = p >= threshold
        recall = (found & t).sum() / t.sum()
        area, before = area + (recall - before) * (found & t).sum() / found.sum(), recall
    assert ours["auc"] == pytest.approx(np.mean(pairs))
    assert ours["average_precision"] == pytest.approx(area)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.7, np.float64(0.7), np.float32(0.7)])
def test_a_threshold_that_a_pixel_has_counts_as_vessel_whatever_the_types(dtype, threshold):
    # In float64 a hair below the threshold, in float32, in which all scores are computed, not.
    p, t = np.full((8, 8), 0.7 - 1e-12, dtype=dtype), np.zeros((8, 8), bool)
    t[3] = True
    if dtype == np.float16:
        threshold = np.float16(threshold)
    row = metrics.evaluate([p], [t], [np.ones_like(t)], threshold)
    assert row["pooled"]["sensitivity"] == 1
    assert row["per_image"][0]["cldice"] == metrics.cldice(np.ones_like(t), t)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda p, t, f: (p[:1], t, f), "as many"),
        (lambda p, t, f: ([], [], []), "at least one"),
        (lambda p, t, f: ([p[0][:4]], t[:1], f[:1]), "never the target"),
        (lambda p, t, f: (p, [x.astype(int) for x in t], f), "must be bool"),
        (lambda p, t, f: ([3 * x for x in p], t, f), "sigmoid"),
        (lambda p, t, f: ([x * np.nan for x in p], t, f), "finite"),
        (lambda p, t, f: (p, t, [x & False for x in f]), "No pixel"),
    ],
)
def test_bad_input_is_named(change, told):
    with pytest.raises(ValueError, match=told):
        metrics.pool(*change(*images(0)))
    with pytest.raises(ValueError, match="no vessel pixel"):
        metrics.best_threshold(np.ones(3), np.zeros(3, bool))


def test_bad_input_of_the_scores_is_named():
    target = np.eye(4, dtype=bool)
    with pytest.raises(ValueError, match="as many probabilities"):
        metrics.scores(target.ravel()[1:] * 1.0, target.ravel(), 0.5)
    with pytest.raises(ValueError, match="pool makes them of maps"):
        metrics.scores(target * 1.0, target, 0.5)  # an AUC of columns, averaged, without a word
    with pytest.raises(ValueError, match="pool makes them of maps"):
        metrics.best_threshold(target * 1.0, target)


@pytest.mark.parametrize("vessel", [True, False])
def test_where_all_pixels_are_of_one_kind_ranking_scores_are_not_defined(vessel):
    found = metrics.scores(np.array([0.2, 0.7], np.float32), np.array([vessel] * 2), 0.5)
    assert np.isnan(found["auc"]) and np.isnan(found["average_precision"])
    assert found["accuracy"] == 0.5
