"""Cross-entropy plus Dice."""

import torch
from reference_losses import batch

from retina_course.training.losses import DiceCELoss, DiceLoss


def test_dice_ce_is_the_sum_of_its_parts():
    logits, target = batch(1)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert DiceCELoss()(logits, target) == bce + DiceLoss()(logits, target)[1]
    many, classes = torch.randn(2, 4, 8, 8), torch.randint(4, (2, 8, 8))
    ce = torch.nn.functional.cross_entropy(many, classes)
    assert DiceCELoss()(many, classes) == ce + DiceLoss()(many, classes)[1]
