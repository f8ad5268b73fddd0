"""Scores of binary maps against scikit-learn, MONAI and exact fractions."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from retina_course.evaluation import metrics

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


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda b: metrics.binary_scores(b[:2], b), "one shape"),
        (lambda b: metrics.binary_scores(b[:, :1], b), "one shape"),  # would broadcast
        (lambda b: metrics.binary_scores(0.4 * b, b), "Probabilities need a threshold"),
        (lambda b: metrics.binary_scores(255 * b.astype(int), b), "bool or 0 and 1"),
        (lambda b: metrics.binary_scores(b[:0], b[:0]), "not counts"),
        (lambda b: metrics.cldice(b[:2], b), "one shape"),
        (lambda b: metrics.cldice(b[0], b[0]), r"shape \(H, W\), got shape"),
        (lambda b: metrics.cldice(b[None], b[None]), r"shape \(H, W\), got shape"),
        (lambda b: metrics.cldice(0.4 * b, b), "Probabilities need a threshold"),
        (lambda b: metrics.confusion_curve(b[1:] * 1.0, b, [0.5]), "as many probabilities"),
        (lambda b: metrics.confusion_scores([1, 2, 3]), "four numbers"),
        (lambda b: metrics.confusion_scores([1, 2, 3, -1]), "not counts"),
    ],
)
def test_bad_input_of_the_scores_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call(np.eye(4, dtype=bool))
