"""The training calls of the source document: one epoch of Dice + IoU, by `Train` and `Evaluate`."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


class Train:
    """One training epoch in the documented form; the sum of both losses is back-propagated.

    `Train(dice=DiceLoss(), iou=IoU()).forward(model=, loader=, optimizer=)` returns the mean Dice
    loss and the mean IoU loss over the batches of `loader`, which yields (images, targets).
    """

    def __init__(self, dice: nn.Module, iou: nn.Module):
        self.dice, self.iou = dice, iou

    def forward(
        self, model: nn.Module, loader: Iterable, optimizer: torch.optim.Optimizer
    ) -> tuple[float, float]:
        model.train()
        return _epoch(self, model, loader, optimizer)


class Evaluate:
    """Mean Dice and IoU loss over a loader, in the documented form, without training.

    `Evaluate(dice=DiceLoss(), iou=IoU()).forward(model=, loader=)`. Run it on images that the
    model was not trained on: the documented curves are training losses.
    """

    def __init__(self, dice: nn.Module, iou: nn.Module):
        self.dice, self.iou = dice, iou

    @torch.no_grad()
    def forward(self, model: nn.Module, loader: Iterable) -> tuple[float, float]:
        model.eval()
        return _epoch(self, model, loader)


def _epoch(losses, model, loader, optimizer=None) -> tuple[float, float]:
    device, totals, batches = next(model.parameters()).device, np.zeros(2), 0
    for images, targets in loader:
        logits, targets = model(images.to(device)), targets.to(device)
        _, dice = losses.dice(logits, targets)
        _, iou = losses.iou(logits, targets)
        if optimizer:
            optimizer.zero_grad()
            (dice + iou).backward()
            optimizer.step()
        totals += dice.item(), iou.item()
        batches += 1
    if batches == 0:
        raise ValueError("The loader yields no batch: is its data set empty, or drop_last set?")
    return tuple((totals / batches).tolist())
