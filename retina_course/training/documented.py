"""The training calls of the source document: one epoch of Dice + IoU, by `Train` and `Evaluate`."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn


class Train:
    """One training epoch in the documented form; the sum of both losses is back-propagated.

    Parameters
    ----------
    dice : nn.Module
        Returns `(score, loss)` of logits and targets, as `DiceLoss` does.
    iou : nn.Module
        Returns `(score, loss)` likewise, as `IoU` does.

    Examples
    --------
    >>> import torch
    >>> from retina_course import Train, create_model, synthetic_batch
    >>> from retina_course.training.losses import DiceLoss, IoU
    >>> images, vessels, _ = synthetic_batch(2, size=32)
    >>> model = create_model("unet_small")
    >>> adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    >>> train = Train(dice=DiceLoss(), iou=IoU())
    >>> losses = train.forward(model=model, loader=[(images, vessels)], optimizer=adam)
    >>> len(losses)
    2
    """

    def __init__(self, dice: nn.Module, iou: nn.Module) -> None:
        self.dice, self.iou = dice, iou

    def forward(
        self,
        model: nn.Module,
        loader: Iterable[tuple[Tensor, Tensor]],
        optimizer: torch.optim.Optimizer,
    ) -> tuple[float, float]:
        """Train `model` in place, one step per batch.

        Parameters
        ----------
        model : nn.Module
            On the device to train on.
        loader : iterable of (Tensor, Tensor)
            Yields images `(N, 3, H, W)` and targets `(N, 1, H, W)`.
        optimizer : torch.optim.Optimizer
            Optimizer of the model's parameters.

        Returns
        -------
        dice : float
            Mean Dice loss over the batches.
        iou : float
            Mean IoU loss over the batches.

        Raises
        ------
        ValueError
            If the loader yields no batch.
        """
        model.train()
        return _epoch(self, model, loader, optimizer)


class Evaluate:
    """Mean Dice and IoU loss over a loader, in the documented form, without training.

    Run it on held-out images: the documented curves are training losses.

    Parameters
    ----------
    dice : nn.Module
        Returns `(score, loss)` of logits and targets, as `DiceLoss` does.
    iou : nn.Module
        Returns `(score, loss)` likewise, as `IoU` does.

    Examples
    --------
    >>> from retina_course import Evaluate, create_model, synthetic_batch
    >>> from retina_course.training.losses import DiceLoss, IoU
    >>> images, vessels, _ = synthetic_batch(2, size=32)
    >>> evaluate = Evaluate(dice=DiceLoss(), iou=IoU())
    >>> dice, iou = evaluate.forward(model=create_model("unet_small"), loader=[(images, vessels)])
    >>> 0 < dice < iou < 1
    True
    """

    def __init__(self, dice: nn.Module, iou: nn.Module) -> None:
        self.dice, self.iou = dice, iou

    @torch.no_grad()
    def forward(
        self, model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Evaluate `model`, in eval mode.

        Parameters
        ----------
        model : nn.Module
            On the device to compute on; it stays in eval mode.
        loader : iterable of (Tensor, Tensor)
            Yields images `(N, 3, H, W)` and targets `(N, 1, H, W)`.

        Returns
        -------
        dice : float
            Mean Dice loss over the batches.
        iou : float
            Mean IoU loss over the batches.

        Raises
        ------
        ValueError
            If the loader yields no batch.
        """
        model.eval()
        return _epoch(self, model, loader)


def _epoch(
    losses: Train | Evaluate,
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer | None = None,
) -> tuple[float, float]:
    """The mean of both losses over a loader; each batch is a training step with an optimizer."""
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
        raise ValueError("The loader yields no batch: is its dataset empty, or drop_last set?")
    mean_dice, mean_iou = (totals / batches).tolist()
    return mean_dice, mean_iou
