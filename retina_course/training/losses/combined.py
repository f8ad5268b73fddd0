"""Sums of losses: cross-entropy plus Dice."""

from torch import Tensor, nn

from retina_course.training.losses.overlap import DiceLoss
from retina_course.training.losses.pixelwise import CrossEntropyLoss


class DiceCELoss(nn.Module):
    """Cross-entropy plus soft Dice: the course's default. Returns the scalar loss.

    One output: binary cross-entropy, several: cross-entropy, each the mean over pixels. The
    cross-entropy calibrates the probabilities (good AUC), Dice gives weight to the rare class.

    The call takes logits `(N, 1, H, W)` and a float target of the same shape, or logits
    `(N, C, H, W)` and an int64 target `(N, H, W)`.
    Source: nnU-Net, arXiv 1904.08128.

    Raises
    ------
    ValueError, TypeError
        If the shapes or types of logits and target do not belong together.

    Examples
    --------
    Logits of 0: log 2 of the cross-entropy, and 0.5 of the Dice loss.

    >>> import torch
    >>> from retina_course import DiceCELoss
    >>> target = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 1, 4)
    >>> print(f"{DiceCELoss()(torch.zeros(1, 1, 1, 4), target):.4f}")
    1.1931
    """

    def __init__(self) -> None:
        super().__init__()
        self.dice, self.cross_entropy = DiceLoss(), CrossEntropyLoss()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.dice(logits, target)[1] + self.cross_entropy(logits, target)
