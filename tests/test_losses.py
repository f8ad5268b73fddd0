import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from retina_course.losses import DiceCELoss, DiceLoss, IoU


def batch(seed, n=2, size=16, share=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 1, size, size, generator=generator)
    target = (torch.rand(n, 1, size, size, generator=generator) < share).float()
    return logits, target


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0.02, 0.98))
def test_on_hard_maps_the_scores_are_those_of_torchmetrics(seed, n, share):
    logits, target = batch(seed, n, share=share)
    target[0, 0, 0, 0] = 1
    hard = torch.where(logits > 0, 1e4, -1e4)
    dice, _ = DiceLoss()(hard, target)
    iou, _ = IoU()(hard, target)
    flat, truth = (hard > 0).int(), target.int()
    assert dice == pytest.approx(BinaryF1Score()(flat, truth).item(), abs=1e-5)
    assert iou == pytest.approx(BinaryJaccardIndex()(flat, truth).item(), abs=1e-5)


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
def test_float16_logits_of_a_large_full_mask_do_not_overflow(loss):
    logits = torch.full((1, 1, 512, 512), 2.0, dtype=torch.float16, requires_grad=True)
    target = torch.ones(1, 1, 512, 512)
    with torch.autocast("cpu", torch.bfloat16):
        score, value = loss(logits, target)
    value.backward()
    assert value.dtype == torch.float32 and 0.7 < score.item() < 1
    assert logits.grad.abs().sum() > 0


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


def test_dice_ce_is_the_sum_of_its_parts():
    logits, target = batch(1)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert DiceCELoss()(logits, target) == bce + DiceLoss()(logits, target)[1]
    many, classes = torch.randn(2, 4, 8, 8), torch.randint(4, (2, 8, 8))
    ce = torch.nn.functional.cross_entropy(many, classes)
    assert DiceCELoss()(many, classes) == ce + DiceLoss()(many, classes)[1]


@pytest.mark.parametrize("loss", [DiceLoss(), IoU(), DiceCELoss()])
@pytest.mark.parametrize(
    "logits, target, error, told",
    [
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8), ValueError, r"\(2, 1, 8, 8\), got \(2, 8"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).long(), TypeError, "target.float"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).bool(), TypeError, "target.float"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), ValueError, r"\(2, 8, 8\), got"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), TypeError, "target.long"),
        (torch.zeros(2, 1, 8), torch.zeros(2, 1, 8), ValueError, r"\(N, C, H, W\)"),
    ],
)
def test_shapes_and_types_that_do_not_belong_together(loss, logits, target, error, told):
    with pytest.raises(error, match=told):
        loss(logits, target)
