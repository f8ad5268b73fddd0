"""Dice, IoU and Tversky losses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_losses import batch
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from retina_course.training.losses import DiceLoss, IoU, TverskyLoss


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0.02, 0.98))
def test_on_hard_maps_the_scores_are_those_of_torchmetrics(seed, n, share):
    logits, target = batch(seed, n, share=share)
    target[0, 0, 0, 0] = 1
    hard = torch.where(logits > 0, 1e4, -1e4)
    dice, _ = DiceLoss()(hard, target)
    iou, _ = IoU()(hard, target)
    flat, ground_truth = (hard > 0).int(), target.int()
    assert dice == pytest.approx(BinaryF1Score()(flat, ground_truth).item(), abs=1e-5)
    assert iou == pytest.approx(BinaryJaccardIndex()(flat, ground_truth).item(), abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_iou_is_a_function_of_dice_and_their_gradients_are_parallel(seed):
    logits, target = batch(seed)
    gradients = []
    for loss in (DiceLoss(), IoU()):
        x = logits.clone().requires_grad_()
        score, value = loss(x, target)
        assert value.item() == pytest.approx(1 - score.item())
        value.backward()
        gradients.append(x.grad.flatten())
    dice, iou = DiceLoss()(logits, target)[0], IoU()(logits, target)[0]
    assert iou.item() == pytest.approx((dice / (2 - dice)).item(), abs=1e-4)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9999


def test_the_losses_take_logits_a_perfect_probability_map_scores_poorly():
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0, :] = 1  # 10 % prevalence
    assert DiceLoss()(target, target)[0].item() == pytest.approx(0.23, abs=0.005)
    assert DiceLoss()(200 * target - 100, target)[0].item() == pytest.approx(1)


def test_an_empty_target_scores_about_zero_but_an_empty_prediction_of_it_one():
    target = torch.zeros(1, 1, 64, 64)
    assert DiceLoss()(torch.full_like(target, -5), target)[0] < 1e-3
    assert DiceLoss()(torch.full_like(target, -200), target)[0] == 1


@pytest.mark.parametrize("loss", [DiceLoss(), IoU()])
def test_several_classes_average_the_scores_of_each(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(3, (2, 8, 8), generator=generator)
    p = logits.softmax(1)
    single = []
    for k in range(3):
        q, t = p[:, k : k + 1], (target == k).float()[:, None]
        single.append(loss(torch.logit(q), t)[0])
    assert loss(logits, target)[0].item() == pytest.approx(sum(single).item() / 3, abs=1e-5)


def test_dice_per_image_is_the_mean_of_the_images_and_not_that_of_the_batch():
    logits, target = batch(5, n=3)
    target[0] = (torch.rand(1, 16, 16) < 0.01).float()
    loss = DiceLoss(per_image=True)
    alone = [DiceLoss()(x[None], t[None])[0] for x, t in zip(logits, target, strict=True)]
    score, _ = loss(logits, target)
    torch.testing.assert_close(score, torch.stack(alone).mean())
    assert abs(score - DiceLoss()(logits, target)[0]) > 0.01


def test_tversky_weighs_misses_more_than_false_alarms():
    target = torch.zeros(1, 1, 10, 10)
    target[..., :5] = 1
    missed, extra = target.clone(), target.clone()
    missed[..., 4], extra[..., 5] = 0, 1  # ten pixels each
    for weights, sign in (((0.3, 0.7), 1), ((0.5, 0.5), None), ((0.7, 0.3), -1)):
        values = [TverskyLoss(*weights)(200 * m - 100, target) for m in (missed, extra)]
        if sign:
            assert sign * (values[0] - values[1]) > 0.01
    assert TverskyLoss(0, 1)(200 * extra - 100, target).item() == pytest.approx(0, abs=1e-6)
