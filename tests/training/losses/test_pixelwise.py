"""Cross-entropy and focal loss."""

import torch
from reference_losses import batch

from retina_course.training.losses import FocalLoss


def test_alpha_weighs_the_pixels_of_1_and_the_rest_those_of_0():
    logits, target = batch(4)
    ones, zeros = FocalLoss(alpha=1.0)(logits, target), FocalLoss(alpha=0.0)(logits, target)
    alone = target == 1
    mean = FocalLoss()(logits[alone][None, None, None], target[alone][None, None, None])
    torch.testing.assert_close(ones, mean * target.mean())
    weighed = FocalLoss(alpha=0.25)(logits, target)
    torch.testing.assert_close(weighed, 0.25 * ones + 0.75 * zeros)
