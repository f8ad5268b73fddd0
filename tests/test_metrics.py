import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from torchmetrics.functional import classification as tm

from retina_course.evaluation import bootstrap, metrics, paired_difference

KINDS = ("empty", "full", "few", "half", "one pixel")


@st.composite
def masks(draw, shapes=((7,), (5, 9), (1, 1), (3, 4, 5))):
    """A prediction and a target of one shape: empty, full or mixed, in any dtype for 0 and 1."""
    shape, pair = draw(st.sampled_from(shapes)), []
    for _ in range(2):
        kind, rng = draw(st.sampled_from(KINDS)), np.random.default_rng(draw(st.integers(0, 999)))
        share = {"empty": 0, "full": 1, "few": 0.1, "half": 0.5, "one pixel": 0}[kind]
        mask = rng.random(shape) < share
        if kind == "one pixel":
            mask.flat[0] = True
        dtype = draw(st.sampled_from([bool, np.uint8, np.int64, np.float16, np.float32]))
        pair.append(mask.astype(dtype))
    return pair


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


def test_cldice_follows_centrelines_not_widths():
    thick, thin = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    thick[18:23, 2:38] = True
    thin[20, 2:38] = True
    shifted = np.roll(thin, 8, axis=0)
    assert metrics.cldice(thin, thick) > 0.9
    assert metrics.cldice(shifted, thick) == 0
    broken = thin & (np.arange(40) % 12 > 5)
    assert metrics.cldice(broken, thin) == pytest.approx(2 * 0.5 / 1.5, abs=0.06)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_cldice_is_symmetric_and_perfect_on_itself(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((2, 12, 12)) < 0.4).astype(bool)
    assert metrics.cldice(a, a) == 1
    assert metrics.cldice(a, b) == pytest.approx(metrics.cldice(b, a))
    assert 0 <= metrics.cldice(a, b) <= 1


@settings(deadline=None, max_examples=60)
@given(masks())
def test_binary_scores_agree_with_scikit_learn(pair):
    ours = metrics.binary_scores(*pair)
    p, t = (mask.astype(bool).ravel() for mask in pair)
    with warnings.catch_warnings():  # scikit-learn warns where a class is missing
        warnings.simplefilter("ignore")
        expected = {
            "f1": sk.f1_score(t, p, zero_division=1.0),
            "mcc": sk.matthews_corrcoef(t, p),
            "accuracy": sk.accuracy_score(t, p),
            "sensitivity": sk.recall_score(t, p, zero_division=np.nan),
            "specificity": sk.recall_score(~t, ~p, zero_division=np.nan),
            "iou": sk.jaccard_score(t, p, zero_division=1.0),
        }
    assert ours == pytest.approx(expected, nan_ok=True)
    assert metrics.confusion(*pair).sum() == t.size


@settings(deadline=None, max_examples=30)
@given(masks(shapes=((9, 7), (16, 16), (2, 2), (1, 5))))
def test_per_image_scores_agree_with_monai(pair):
    monai = pytest.importorskip("monai.metrics")
    p, t = (torch.from_numpy(mask.astype(bool))[None, None] for mask in pair)
    ours = metrics.binary_scores(*pair)
    assert ours["f1"] == pytest.approx(monai.compute_dice(p, t, ignore_empty=False).item())
    assert ours["iou"] == pytest.approx(monai.compute_iou(p, t, ignore_empty=False).item())


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


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(0, 10**12)] * 4).filter(any))
def test_scores_of_large_counts_are_exact(counts):
    tp, fp, fn, tn = counts
    ours = metrics.confusion_scores(np.array(counts))
    assert ours["accuracy"] == pytest.approx(float(Fraction(tp + tn, sum(counts))))
    if 2 * tp + fp + fn:
        assert ours["f1"] == pytest.approx(float(Fraction(2 * tp, 2 * tp + fp + fn)))
        assert ours["iou"] == pytest.approx(ours["f1"] / (2 - ours["f1"]))
    squares = [Fraction(tp + fp), Fraction(tp + fn), Fraction(tn + fp), Fraction(tn + fn)]
    if all(squares):
        square = Fraction(tp * tn - fp * fn) ** 2 / np.prod(squares)
        assert ours["mcc"] ** 2 == pytest.approx(float(square))
        assert np.sign(ours["mcc"]) == np.sign(tp * tn - fp * fn)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([np.float16, np.float32, np.float64]))
def test_curve_is_the_confusion_at_each_threshold(seed, dtype):
    rng = np.random.default_rng(seed)
    p, t = rng.integers(0, 11, (6, 8)) / np.array(10, dtype), rng.random((6, 8)) < 0.3
    p = p.astype(dtype)
    thresholds = [0, 0.05, 0.1, 0.3, float(p[0, 0]), 0.7, 1, 1.1]
    curve = metrics.confusion_curve(p, t, thresholds)
    for threshold, counts in zip(thresholds, curve, strict=True):
        found = p.astype(np.float32) >= np.float32(threshold)
        assert counts.tolist() == metrics.confusion(found, t).tolist()
        assert (
            metrics.scores(p.ravel().astype(np.float32), t.ravel(), threshold)["f1"]
            == (metrics.confusion_scores(counts)["f1"])
        )


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


def test_bootstrap_agrees_with_scipy():
    scores = np.random.default_rng(3).normal(0.8, 0.03, 20)
    ours = bootstrap(lambda drawn: scores[drawn].mean(), 20, samples=4000)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=4000, method="percentile", random_state=1
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(scores.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(150):
        scores = rng.normal(0.8, 0.03, 20)
        _, low, high = bootstrap(
            lambda drawn, scores=scores: scores[drawn].mean(), 20, samples=200, seed=seed
        )
        hits += low <= 0.8 <= high
    assert 0.85 * 150 <= hits <= 149


def test_bootstrap_of_patients_keeps_both_eyes_together():
    one_eye = np.random.default_rng(0).normal(size=10)
    scores, patients = np.repeat(one_eye, 2), np.repeat([f"{i:02d}" for i in range(10)], 2)

    def mean(drawn):
        assert len(drawn) == 20
        assert (np.bincount(drawn, minlength=20).reshape(10, 2).std(axis=1) == 0).all()
        return scores[drawn].mean()

    _, low, high = bootstrap(mean, 20, patients=patients)
    apart = bootstrap(lambda drawn: scores[drawn].mean(), 20)
    # Twenty eyes that are ten twice: half the information, the interval wider by the root of two.
    assert 1.2 < (high - low) / (apart.high - apart.low) < 1.65


def test_bootstrap_is_a_function_of_its_seed():
    def run(seed):
        return bootstrap(lambda drawn: float(drawn.mean()), 12, seed=seed, samples=100)

    assert run(1) == run(1)
    assert run(1) != run(2)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_paired_difference(seed):
    rng = np.random.default_rng(seed)
    first, hard = rng.normal(0.8, 0.002, 12), rng.normal(0, 0.05, 12)
    second = first + rng.normal(0.003, 0.002, 12)
    found = paired_difference(first + hard, second + hard, samples=300)
    assert found.value == pytest.approx((second - first).mean())
    assert found == pytest.approx(paired_difference(first, second, samples=300))
    back = paired_difference(second, first, samples=300)
    assert back.low == pytest.approx(-found.high) and back.high == pytest.approx(-found.low)
    assert found.low <= found.value <= found.high


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


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda b: metrics.binary_scores(b[:2], b), "one shape"),
        (lambda b: metrics.binary_scores(b[:, :1], b), "one shape"),  # would broadcast
        (lambda b: metrics.binary_scores(0.4 * b, b), "Probabilities need a threshold"),
        (lambda b: metrics.binary_scores(255 * b.astype(int), b), "bool or 0 and 1"),
        (lambda b: metrics.binary_scores(b[:0], b[:0]), "not counts"),
        (lambda b: metrics.cldice(b[:2], b), "one shape"),
        (lambda b: metrics.cldice(0.4 * b, b), "Probabilities need a threshold"),
        (lambda b: metrics.scores(b.ravel()[1:] * 1.0, b.ravel(), 0.5), "as many probabilities"),
        (lambda b: metrics.confusion_curve(b[1:] * 1.0, b, [0.5]), "as many probabilities"),
        (lambda b: metrics.confusion_scores([1, 2, 3]), "four numbers"),
        (lambda b: metrics.confusion_scores([1, 2, 3, -1]), "not counts"),
        (lambda b: bootstrap(np.mean, 1), "at least two"),
        (lambda b: bootstrap(np.mean, 4, patients=["a"] * 4), "at least two"),
        (lambda b: bootstrap(np.mean, 4, patients=["a"] * 3), "each of 4 images"),
        (lambda b: bootstrap(np.mean, 4, level=95), "between 0 and 1"),
        (lambda b: bootstrap(lambda drawn: np.nan, 4), "not finite"),
        (lambda b: paired_difference([0.1, 0.2], [0.1]), "same images"),
    ],
)
def test_bad_input_of_the_scores_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call(np.eye(4, dtype=bool))
