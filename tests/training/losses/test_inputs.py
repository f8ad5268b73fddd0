"""Shapes and types of logits and target."""

import pytest
import torch
from reference_losses import LOSSES, every_loss


@every_loss
@pytest.mark.parametrize(
    "logits, target, error, told",
    [
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8), ValueError, r"\(2, 1, 8, 8\), got \(2, 8"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).long(), TypeError, "target.float"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).bool(), TypeError, "target.float"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), ValueError, r"\(2, 8, 8\), got"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), TypeError, "target.long"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8).int(), TypeError, "target.long"),
        (torch.zeros(2, 1, 8), torch.zeros(2, 1, 8), ValueError, r"\(N, C, H, W\)"),
    ],
)
def test_shapes_and_types_that_do_not_belong_together(name, logits, target, error, told):
    with pytest.raises(error, match=told):
        LOSSES[name](logits, target)
