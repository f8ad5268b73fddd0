"""Every loss against its formula in NumPy and float64."""

import pytest
import torch
from hypothesis import given, settings
from reference_losses import batch, every_loss, problems, reference, value

from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
    soft_skeleton,
)


@every_loss
@settings(deadline=None, max_examples=40)
@given(problem=problems())
def test_every_loss_is_its_formula_on_any_input(name, problem):
    logits, target = problem
    logits.requires_grad_()
    found = value(name, logits, target)
    assert found.dtype == torch.float32 and found.shape == ()
    plain = target.float() if target.dim() == 4 else target
    expected = reference(name, logits.detach(), plain, rounded=name == "clDice")
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=2e-6)
    found.backward()
    assert logits.grad.isfinite().all()


@every_loss
@settings(deadline=None, max_examples=15)
@given(problem=problems(scales=(1.0,)))
def test_every_gradient_is_the_slope_of_the_formula(name, problem):
    logits, target = problem[0].float(), problem[1]
    target = target.float() if target.dim() == 4 else target
    # Distinct logits and a small step: clDice has a kink where two neighbours are equal.
    logits = logits + 1e-3 * torch.arange(logits.numel()).view(logits.shape).sin()
    logits.requires_grad_()
    value(name, logits, target).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).double()
    step, x = 1e-7, logits.detach().double()
    slope = (
        reference(name, x + step * direction, target)
        - reference(name, x - step * direction, target)
    ) / (2 * step)
    along = (logits.grad.double() * direction).sum().item()
    assert along == pytest.approx(slope, rel=2e-3, abs=1e-5)


@every_loss
@pytest.mark.parametrize("classes", [1, 3])
def test_no_loss_looks_at_values(name, classes):
    """Tensors without values: whatever reads one, and so would stall a GPU, raises here."""
    logits = torch.zeros(2, classes, 8, 8, device="meta")
    target = torch.zeros(2, 1, 8, 8, device="meta")
    if classes > 1:
        target = target[:, 0].long()
    assert value(name, logits, target).shape == ()


@every_loss
@pytest.mark.parametrize("classes", [1, 3])
def test_every_loss_has_the_same_value_and_type_under_autocast(name, classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 9, 7, generator=generator)
    target = torch.randint(max(classes, 2), (2, 9, 7), generator=generator)
    target = target[:, None].float() if classes == 1 else target
    with torch.autocast("cpu", torch.bfloat16):
        inside = value(name, logits, target)
    assert inside.dtype == torch.float32
    assert inside == value(name, logits, target)


@every_loss
def test_float16_logits_of_a_large_full_mask_do_not_overflow(name):
    logits = torch.full((1, 1, 512, 512), 2.0, dtype=torch.float16, requires_grad=True)
    target = torch.ones(1, 1, 512, 512)
    found = value(name, logits, target)
    exact = value(name, logits.detach().float(), target)
    assert found == exact and 0 <= found.item() < 0.5
    # A larger gradient: that of a mean over 262,144 pixels is below the smallest float16.
    (1e4 * found).backward()
    # A full mask has no centreline, and nothing to learn about one.
    assert (logits.grad.abs().sum() > 0) == (name != "clDice")


@pytest.mark.parametrize(
    "build, told",
    [
        (lambda: FocalLoss(-1), "got -1 and None"),
        (lambda: FocalLoss(alpha=1.5), "got 2.0 and 1.5"),
        (lambda: TverskyLoss(-0.1, 1), "got -0.1 and 1"),
        (lambda: TverskyLoss(0, 0), "not both 0"),
        (lambda: ClDiceLoss(-1), "got -1"),
        (lambda: soft_skeleton(torch.zeros(1, 1, 8, 8), -1), "got -1"),
        (
            lambda: FocalLoss(alpha=0.5)(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8).long()),
            r"one output channel, got logits \(2, 3",
        ),
    ],
)
def test_settings_that_make_no_loss(build, told):
    with pytest.raises(ValueError, match=told):
        build()


def test_the_losses_that_are_others_with_special_settings():
    logits, target = batch(3, n=3)

    def same(one, other):
        torch.testing.assert_close(value("", logits, target, one), value("", logits, target, other))

    same(FocalLoss(gamma=0), CrossEntropyLoss())
    same(TverskyLoss(0.5, 0.5), DiceLoss())
    same(TverskyLoss(1, 1), IoU())
    halved = FocalLoss(alpha=0.5)(logits, target)
    torch.testing.assert_close(2 * halved, FocalLoss()(logits, target))
    hard = 100 * logits.sign()
    a, b = DiceLoss()(hard, target)[0], DiceLoss(squared=True)(hard, target)[0]
    torch.testing.assert_close(a, b)
