"""Losses for segmentation. They take LOGITS, and compute in float32 whatever the autocast.

One output channel: logits `(N, 1, H, W)` against a float target `(N, 1, H, W)` of zeros and ones.
Several: logits `(N, C, H, W)` against an int64 target `(N, H, W)` of classes 0..C-1.

Only shapes and types are checked here: looking at the values would stall a GPU at every step, so
mask values are checked once, where data enter (`retina_course.data.datasets`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTH = 1e-6  # the documented constant


class DiceLoss(nn.Module):
    """Soft Dice over the whole batch, in the documented form: returns `(score, loss)`.

    `score = (2 sum(p t) + s) / (sum p + sum t + s)`, `loss = 1 - score`, with probabilities p
    (sigmoid of the logits), target t and s = 1e-6. With several outputs: softmax, one score a
    class, averaged. A batch without any vessel scores about 0, unless the probabilities sum to
    less than about s.
    Source: V-Net, arXiv 1606.04797, with linear instead of squared denominators.

    Raises
    ------
    TypeError, ValueError : logits and target that do not belong together; see the module.
    """

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = _probabilities(logits, target)
        overlap, total = _sums(p, t)
        score = ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()
        return score, 1 - score


class IoU(nn.Module):
    """Soft intersection over union (Jaccard), in the documented form: returns `(score, loss)`.

    `score = (sum(p t) + s) / (sum p + sum t - sum(p t) + s)`, `loss = 1 - score`. Since
    `IoU = D / (2 - D)`, its gradient is parallel to that of `DiceLoss`. Otherwise as `DiceLoss`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = _probabilities(logits, target)
        overlap, total = _sums(p, t)
        score = ((overlap + SMOOTH) / (total - overlap + SMOOTH)).mean()
        return score, 1 - score


class DiceCELoss(nn.Module):
    """Cross-entropy plus soft Dice: the sum that trains best here. Returns the scalar loss.

    One output: binary cross-entropy, several: cross-entropy, each the mean over pixels. The
    cross-entropy calibrates the probabilities (good AUC), Dice weighs the rare class.
    Source: nnU-Net, arXiv 1904.08128.
    """

    def __init__(self):
        super().__init__()
        self.dice = DiceLoss()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        _, dice = self.dice(logits, target)
        logits = logits.float()
        if logits.shape[1] == 1:
            return dice + F.binary_cross_entropy_with_logits(logits, target.float())
        return dice + F.cross_entropy(logits, target)


def _sums(p: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Per channel, over batch and pixels: `sum(p t)` and `sum p + sum t`, each `(C,)`."""
    return (p * t).sum(dim=(0, 2, 3)), p.sum(dim=(0, 2, 3)) + t.sum(dim=(0, 2, 3))


def _probabilities(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Float32 probabilities and target, both `(N, C, H, W)`."""
    _check(logits, target)
    # Float32: a float16 sum over a mask passes 65,504, turns infinite, and learning stops.
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.sigmoid(logits), target.float()
    one_hot = F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    return torch.softmax(logits, dim=1), one_hot.float()


def _check(logits: Tensor, target: Tensor) -> None:
    if logits.dim() != 4 or not torch.is_floating_point(logits):
        raise ValueError(
            "Expected floating-point logits (N, C, H, W), "
            f"got {tuple(logits.shape)} of {logits.dtype}."
        )
    n, channels, height, width = logits.shape
    if channels == 1:
        expected, right_type = (n, 1, height, width), target.is_floating_point()
        kind = "a float target of zeros and ones; convert with target.float()"
    else:
        expected, right_type = (n, height, width), target.dtype == torch.int64
        kind = "an int64 target of class numbers; convert with target.long()"
    if tuple(target.shape) != expected:
        raise ValueError(
            f"Logits {tuple(logits.shape)} need a target of shape {expected}, "
            f"got {tuple(target.shape)}."
        )
    if not right_type:
        raise TypeError(f"Logits {tuple(logits.shape)} need {kind}. Got {target.dtype}.")
