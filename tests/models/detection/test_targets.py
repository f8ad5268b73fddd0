"""Targets that a detector cannot learn from are named."""

import pytest
import torch
from small_detectors import batch, build


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"boxes": torch.zeros(1, 5)}, ValueError, r"Target 1: boxes .*\(1, 4\), got \(1, 5\)"),
        ({"boxes": torch.zeros(4)}, ValueError, r"boxes must have shape \(1, 4\), got \(4,\)"),
        ({"labels": torch.ones(2).long()}, ValueError, r"boxes must have shape \(2, 4\)"),
        ({"labels": torch.ones(1)}, TypeError, "labels must be int64, got torch.float32"),
        ({"labels": torch.ones(1, 1).long()}, ValueError, r"labels .*\(1,\), got \(1, 1\)"),
        ({"segmentation": torch.zeros(64, 64).long()}, ValueError, r"\(64, 96\), got \(64, 64\)"),
        ({"segmentation": torch.zeros(64, 96)}, TypeError, "segmentation must be int64"),
        ({"segmentation": None}, ValueError, "Target 1 lacks segmentation; it has boxes, labels"),
        ({"boxes": None, "labels": None}, ValueError, "lacks boxes and labels"),
    ],
)
def test_targets_that_do_not_fit_are_named(changes, error, message):
    images, targets = batch(classes=1)
    targets[1] = {k: v for k, v in (targets[1] | changes).items() if v is not None}
    with pytest.raises(error, match=message):
        build()(images, targets)


def test_training_mode_needs_a_target_an_image():
    images, targets = batch(classes=1)
    with pytest.raises(ValueError, match="2 images, got none.*model.eval"):
        build()(images)
    with pytest.raises(ValueError, match="2 images, got 1"):
        build()(images, targets[:1])
