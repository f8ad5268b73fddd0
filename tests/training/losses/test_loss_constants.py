"""Each constant and default of the losses, observed in a value."""

import inspect
import math

import pytest
import torch

from retina_course.training import losses
from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
    soft_skeleton,
)
from retina_course.training.losses.inputs import probabilities_and_target

# Four pixels: probabilities 0.8, 0.6, 0.4 and 0.2, of which the first and the third are vessel.
P = torch.tensor([0.8, 0.6, 0.4, 0.2], dtype=torch.float64)
LOGITS = torch.logit(P).float().view(1, 1, 2, 2)
TARGET = torch.tensor([1.0, 0, 1, 0]).view(1, 1, 2, 2)
TP, FP, FN = 0.8 + 0.4, 0.6 + 0.2, 0.2 + 0.6
Q = (0.8, 0.4, 0.4, 0.8)  # probability of each pixel's true class


def bce():
    return -sum(map(math.log, Q)) / 4


def test_every_default_by_hand():
    dice = 2 * TP / (2 + 2)
    assert DiceLoss()(LOGITS, TARGET)[0].item() == pytest.approx(dice)
    assert DiceLoss()(LOGITS, TARGET)[1].item() == pytest.approx(1 - dice)
    squares = 0.64 + 0.36 + 0.16 + 0.04
    squared = DiceLoss(squared=True)(LOGITS, TARGET)[0].item()
    assert squared == pytest.approx(2 * TP / (squares + 2))
    soft = DiceLoss(squared=True)(LOGITS, TARGET / 2)[0].item()
    assert soft == pytest.approx(TP / (squares + 2 / 4))
    assert IoU()(LOGITS, TARGET)[0].item() == pytest.approx(TP / (2 + 2 - TP))
    tversky = TP / (TP + 0.3 * FP + 0.7 * FN)
    assert TverskyLoss()(LOGITS, TARGET).item() == pytest.approx(1 - tversky)
    uneven = TP / (TP + 0.9 * FP + 0.2 * FN)
    assert TverskyLoss(0.9, 0.2)(LOGITS, TARGET).item() == pytest.approx(1 - uneven)
    assert CrossEntropyLoss()(LOGITS, TARGET).item() == pytest.approx(bce())
    assert DiceCELoss()(LOGITS, TARGET).item() == pytest.approx(bce() + 1 - dice)
    focal = -sum((1 - q) ** 2 * math.log(q) for q in Q) / 4
    assert FocalLoss()(LOGITS, TARGET).item() == pytest.approx(focal)
    weights = (0.25, 0.75, 0.25, 0.75)
    weighed = sum(w * -((1 - q) ** 3) * math.log(q) for w, q in zip(weights, Q, strict=True))
    assert FocalLoss(3.0, alpha=0.25)(LOGITS, TARGET).item() == pytest.approx(weighed / 4)


def test_the_defaults_in_the_signatures():
    defaults = {
        kind.__name__: [p.default for p in inspect.signature(kind).parameters.values()]
        for kind in (DiceLoss, IoU, TverskyLoss, FocalLoss, ClDiceLoss, CrossEntropyLoss)
    }
    assert defaults == {
        "DiceLoss": [False, False],
        "IoU": [],
        "TverskyLoss": [0.3, 0.7],
        "FocalLoss": [2.0, None],
        "ClDiceLoss": [5],
        "CrossEntropyLoss": [],
    }


def test_the_smoothing_is_a_millionth_in_numerator_and_denominator():
    """Logits of -ln(1e7) on 10 pixels: the probabilities sum to s, and no pixel is vessel."""
    assert losses.SMOOTH == 1e-6
    logits, empty = torch.full((1, 1, 2, 5), -math.log(1e7)), torch.zeros(1, 1, 2, 5)
    p, s = 10 / (1 + 1e7), 1e-6
    for loss in (DiceLoss(), IoU()):
        assert loss(logits, empty)[0].item() == pytest.approx(s / (p + s), rel=1e-4)
    assert DiceLoss(squared=True)(logits, empty)[0].item() == pytest.approx(1, rel=1e-4)
    for weights in ((0.3, 0.7), (0.5, 0.9)):
        score = 1 - TverskyLoss(*weights)(logits, empty).item()
        assert score == pytest.approx(s / (weights[0] * p + s), rel=1e-4)


def test_the_smoothing_where_prediction_and_target_are_small():
    """One pixel, p = t = 1e-3: each score keeps its s above and below."""
    p = 1e-3
    logits, t = torch.full((1, 1, 1, 1), math.log(p / (1 - p))), torch.full((1, 1, 1, 1), p)
    s = 1e-6
    dice = (2 * p * p + s) / (2 * p + s)
    assert DiceLoss()(logits, t)[0].item() == pytest.approx(dice, rel=1e-4)
    assert IoU()(logits, t)[0].item() == pytest.approx((p * p + s) / (2 * p - p * p + s), rel=1e-4)
    tversky = (p * p + s) / (p * p + (0.3 + 0.7) * p * (1 - p) + s)
    assert TverskyLoss()(logits, t).item() == pytest.approx(1 - tversky, rel=1e-6)
    # Alone among zeros the pixel is its own skeleton.
    around = torch.full((1, 1, 3, 3), -200.0)
    around[..., 1, 1] = logits
    target = torch.where(around > -200, p, 0.0)
    inside = (p * p + s) / (p + s)  # the fraction, both ways
    assert ClDiceLoss()(around, target).item() == pytest.approx(1 - inside, abs=2e-7)


def test_the_default_skeleton_of_cldice_has_five_erosions():
    """A bar 11 pixels wide has a centreline after five erosions, not after four."""
    target = torch.zeros(1, 1, 15, 40)
    target[..., 2:13, :] = 1
    thin = torch.zeros_like(target)
    thin[..., 7, :] = 1
    logits = 60 * thin - 30
    assert ClDiceLoss()(logits, target).item() == pytest.approx(0, abs=1e-4)
    assert soft_skeleton(target, 5).sum() == 40 and soft_skeleton(target, 4).sum() == 0


def test_cldice_of_several_outputs_is_the_mean_without_the_background():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 3, 12, 12, generator=generator)
    target = torch.randint(3, (2, 12, 12), generator=generator)
    p = logits.softmax(1)
    single = [
        ClDiceLoss(2)(torch.logit(p[:, k : k + 1]), (target == k).float()[:, None]) for k in (1, 2)
    ]
    torch.testing.assert_close(ClDiceLoss(2)(logits, target), sum(single) / 2)


def test_a_score_per_image_is_their_mean():
    both, t = torch.cat([LOGITS, -LOGITS]), torch.cat([TARGET, TARGET])
    scores = [2 * TP / 4, 2 * (0.2 + 0.6) / 4]
    assert DiceLoss(per_image=True)(both, t)[0].item() == pytest.approx(sum(scores) / 2)
    # In the batch the sums come first; here both images have the same sum.
    together = 2 * (TP + 0.8) / 8
    assert DiceLoss()(both, t)[0].item() == pytest.approx(together)


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64])
def test_probabilities_and_target_maps_are_float32(kind):
    logits = torch.tensor([0.5, -0.25, 2.0], dtype=kind).view(1, 3, 1, 1).repeat(1, 1, 1, 2)
    p, t = probabilities_and_target(logits, torch.tensor([[[2, 0]]]))
    assert p.dtype == t.dtype == torch.float32
    assert torch.equal(p, logits.float().softmax(1)) and t[0, :, 0].T.tolist() == [
        [0, 0, 1],
        [1, 0, 0],
    ]
    p, t = probabilities_and_target(logits[:, :1], torch.ones(1, 1, 1, 2, dtype=kind))
    assert p.dtype == t.dtype == torch.float32
    assert torch.equal(p, logits[:, :1].float().sigmoid()) and t.flatten().tolist() == [1, 1]


@pytest.mark.parametrize("gamma, alpha", [(0.0, 0.0), (0.0, 1.0), (5.0, None)])
def test_settings_at_the_ends_of_their_range(gamma, alpha):
    assert FocalLoss(gamma, alpha)(LOGITS, TARGET).isfinite()
    assert TverskyLoss(0.0, 1.0)(LOGITS, TARGET).item() == pytest.approx(1 - TP / (TP + FN))
    assert TverskyLoss(1.0, 0.0)(LOGITS, TARGET).item() == pytest.approx(1 - TP / (TP + FP))
    assert soft_skeleton(TARGET, 0).shape == TARGET.shape


@pytest.mark.parametrize("classes", [2, 3])
def test_alpha_is_for_one_output(classes):
    with pytest.raises(ValueError, match=f"alpha needs one output channel, got .*2, {classes}, 1"):
        FocalLoss(alpha=0.5)(torch.zeros(2, classes, 1, 1), torch.zeros(2, 1, 1).long())


@pytest.mark.parametrize(
    "build", [lambda: FocalLoss(alpha=-0.1), lambda: FocalLoss(-0.1), lambda: TverskyLoss(1, -0.1)]
)
def test_settings_outside_their_range(build):
    with pytest.raises(ValueError, match="-0.1"):
        build()
