"""The detectors' losses against their formulas in NumPy and float64, gradients included."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.models.detection.losses import (
    box_loss,
    focal_loss,
    hard_negative_loss,
    segmentation_loss,
)
from retina_course.training.losses import FocalLoss


def synthetic(seed, anchors=12, columns=3, largest=None, kinds=(-1, 0, 0, 0)):
    """Logits and what the anchors have to learn: ignored, negative, or a label."""
    rng = np.random.default_rng(seed)
    labels = [*kinds, *range(1, (largest or columns) + 1)]
    logits = torch.from_numpy(rng.normal(0, 4, (anchors, columns)).astype(np.float32))
    return logits, torch.from_numpy(rng.choice(labels, anchors))


def slope(function, x, step=1e-5):
    """The gradient of a function of a float64 array, by central differences."""
    result = np.empty_like(x)
    for i in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[i] += step
        low[i] -= step
        result[i] = (function(high) - function(low)) / (2 * step)
    return result


def same_with_its_gradient(loss, formula, logits):
    """`loss` of torch float32 logits against `formula` of NumPy float64 ones."""
    logits = logits.clone().requires_grad_()
    value = loss(logits)
    assert value.dtype == torch.float32 and value.shape == ()
    value.backward()
    x = logits.detach().double().numpy()
    assert value.item() == pytest.approx(formula(x), rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(logits.grad.numpy(), slope(formula, x), rtol=2e-3, atol=2e-5)


seeds = st.integers(0, 10_000)


# --- focal loss ---------------------------------------------------------------------------------


def focal_formula(x, classes, gamma, alpha):
    total = 0.0
    for row, label in zip(x, classes.tolist(), strict=True):
        for k, logit in enumerate(row, start=1):
            if label < 0:
                continue
            p = 1 / (1 + np.exp(-logit))
            q, weight = (p, alpha) if k == label else (1 - p, 1 - alpha)
            total -= weight * (1 - q) ** gamma * np.log(q)
    return total / max(1, sum(label > 0 for label in classes.tolist()))


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 3), st.sampled_from([0.0, 1.0, 2.0, 3.5]), st.floats(0.05, 0.95))
def test_focal_loss_is_its_formula(seed, columns, gamma, alpha):
    logits, classes = synthetic(seed, anchors=6, columns=columns)
    same_with_its_gradient(
        lambda x: focal_loss(x, classes, gamma, alpha),
        lambda x: focal_formula(x, classes, gamma, alpha),
        logits,
    )


def test_the_defaults_are_the_papers():
    logits, classes = synthetic(0)
    expected = focal_formula(logits.double().numpy(), classes, gamma=2, alpha=0.25)
    assert focal_loss(logits, classes).item() == pytest.approx(expected, rel=1e-5)


def test_without_focus_it_is_half_the_cross_entropy():
    logits, classes = synthetic(1)
    used = classes >= 0
    target = (classes[:, None] == torch.arange(1, 4)).float()[used]
    cross_entropy = torch.nn.BCEWithLogitsLoss(reduction="sum")(logits[used], target)
    expected = 0.5 * cross_entropy / (classes > 0).sum()
    torch.testing.assert_close(focal_loss(logits, classes, gamma=0, alpha=0.5), expected)


def test_with_one_class_it_is_the_segmentation_loss_of_chapter_3():
    """That one is compared with three libraries in test_loss_peers."""
    logits, classes = synthetic(2, anchors=40, columns=1, kinds=(0, 0))
    mean = FocalLoss(gamma=2.0, alpha=0.25)(
        logits.T[None, :, None], classes[None, None, None].float()
    )
    expected = mean * 40 / (classes > 0).sum()
    torch.testing.assert_close(focal_loss(logits, classes), expected)


def test_what_is_right_already_fades_out():
    """A hundred thousand sure negatives weigh less than one positive that is missed."""
    logits = torch.full((100_001, 1), -6.0)
    classes = torch.zeros(100_001, dtype=torch.int64)
    classes[0] = 1
    missed = focal_loss(logits[:1], classes[:1])
    assert focal_loss(logits, classes) < 1.01 * missed
    assert focal_loss(logits, classes, gamma=0) > 100 * missed


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_extreme_logits_give_finite_losses_and_gradients(gamma):
    logits = torch.tensor([[200.0, -200.0], [3e4, -3e4], [-200.0, 0.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1, 0, 1]), gamma)
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    assert logits.grad[1, 0] > 0 > logits.grad[2, 0]  # the two large mistakes are pushed back


# --- hard negatives -----------------------------------------------------------------------------


def hard_formula(x, classes, ratio):
    positive, negative = [], []
    for row, label in zip(x, classes.tolist(), strict=True):
        if label >= 0:
            loss = np.log(np.exp(row).sum()) - row[label]
            (positive if label else negative).append(loss)
    hardest = sorted(negative, reverse=True)[: ratio * max(1, len(positive))]
    means = [np.mean(part) for part in (positive, hardest) if part]
    return np.mean(means) if means else 0.0


@settings(deadline=None, max_examples=25)
@given(
    seeds,
    st.integers(1, 10),
    st.integers(1, 4),
    st.sampled_from([(-1, 0, 0, 0), (0,) * 20, (-1,), (-1,) * 20]),
)
def test_hard_negative_loss_is_its_loop(seed, anchors, ratio, kinds):
    logits, classes = synthetic(seed, anchors=anchors, columns=3, largest=2, kinds=kinds)
    same_with_its_gradient(
        lambda x: hard_negative_loss(x, classes, ratio),
        lambda x: hard_formula(x, classes, ratio),
        logits,
    )


def test_only_the_most_mistaken_negatives_are_asked():
    logits = torch.stack([torch.zeros(50), torch.linspace(-3, 3, 50)], dim=1).requires_grad_()
    classes = torch.zeros(50, dtype=torch.int64)
    classes[:2] = 1
    hard_negative_loss(logits, classes).backward()
    assert logits.grad.any(dim=1).nonzero().flatten().tolist() == [0, 1, *range(44, 50)]


# --- both ---------------------------------------------------------------------------------------

both = pytest.mark.parametrize("loss", [focal_loss, hard_negative_loss])


@both
@settings(deadline=None, max_examples=15)
@given(seed=seeds)
def test_ignored_anchors_do_not_count(loss, seed):
    logits, classes = synthetic(seed, columns=3, largest=2)
    logits.requires_grad_()
    value = loss(logits, classes)
    (gradient,) = torch.autograd.grad(value, logits)
    assert not gradient[classes < 0].any()
    torch.testing.assert_close(value, loss(logits[classes >= 0], classes[classes >= 0]))


@both
@pytest.mark.parametrize("label", [-1, 0, 1])
def test_all_anchors_of_one_kind(loss, label):
    """No positives, no negatives, nothing at all: a finite loss that can be back-propagated."""
    logits = synthetic(3, columns=2)[0].requires_grad_()
    value = loss(logits, torch.full((12,), label))
    value.backward()
    assert value.isfinite() and logits.grad.isfinite().all()
    assert bool(value > 0) == bool(logits.grad.any()) == (label >= 0)


# --- boxes --------------------------------------------------------------------------------------


def test_box_loss_is_quadratic_and_then_linear():
    target = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0]])
    offsets = target + torch.tensor([[0.5, -0.5, 1, -3], [0, 0, 0, 10]])
    expected = (0.125 + 0.125 + 0.5 + 2.5 + 9.5) / 8
    assert box_loss(offsets, target).item() == pytest.approx(expected)
    assert box_loss(target, target) == 0


def test_box_loss_of_nothing_is_zero_and_has_a_gradient():
    nothing = torch.zeros(0, 4, requires_grad=True)
    loss = box_loss(nothing, torch.zeros(0, 4))
    loss.backward()
    assert loss == 0 and loss.dtype == torch.float32


# --- segmentation -------------------------------------------------------------------------------


def segmentation_formula(x, target):
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    cross_entropy, scores = [], []
    for n, y, column in np.ndindex(target.shape):
        cross_entropy.append(-np.log(p[n, target[n, y, column], y, column]))
    for k in range(1, x.shape[1]):
        t = target == k
        if t.any():
            scores.append(2 * (p[:, k] * t).sum() / (p[:, k].sum() + t.sum()))
    dice = 1 - np.mean(scores) if scores else 0
    return (dice + np.mean(cross_entropy)) / 2


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(2, 4), st.sets(st.integers(0, 3), min_size=1))
def test_segmentation_loss_is_its_formula(seed, columns, shown):
    rng = np.random.default_rng(seed)
    target = rng.choice([k for k in shown if k < columns] or [0], (2, 3, 2))
    logits = torch.from_numpy(rng.normal(0, 2, (2, columns, 3, 2)).astype(np.float32))
    same_with_its_gradient(
        lambda x: segmentation_loss(x, torch.from_numpy(target)),
        lambda x: segmentation_formula(x, target),
        logits,
    )


def test_perfect_and_empty_segmentations():
    target = torch.zeros(2, 8, 8, dtype=torch.int64)
    target[0, 2:5, 2:5] = 1
    perfect = 60.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert segmentation_loss(perfect, target) < 1e-6
    nothing = 60.0 * torch.nn.functional.one_hot(0 * target, 3).movedim(-1, 1)
    assert segmentation_loss(nothing, 0 * target) < 1e-6
    # All background where an object is: a Dice loss of 1, and 60 for each of its 9 pixels.
    expected = (1 + 60 * 9 / 128) / 2
    assert segmentation_loss(nothing, target).item() == pytest.approx(expected, abs=1e-4)
    wrong = nothing.clone().requires_grad_()
    segmentation_loss(wrong, target).backward()
    assert wrong.grad.isfinite().all()


# --- precision ----------------------------------------------------------------------------------


def test_losses_are_float32_under_bfloat16():
    logits, classes = synthetic(4, anchors=300)
    two = classes.clamp(max=2)
    target = classes.clamp(min=0).reshape(1, 30, 10)
    maps = torch.cat([logits, logits[:, :1]], dim=1).T.reshape(1, 4, 30, 10)
    cases = [
        (focal_loss, logits, classes),
        (hard_negative_loss, logits, two),
        (box_loss, logits, torch.zeros_like(logits)),
        (segmentation_loss, maps, target),
    ]
    for loss, x, t in cases:
        x = x.bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            low = loss(x, t)
        assert low.dtype == torch.float32, loss.__name__
        torch.testing.assert_close(low, loss(x.float(), t), atol=1e-5, rtol=1e-5)
