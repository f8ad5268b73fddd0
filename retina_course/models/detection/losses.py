"""The losses of RetinaNet and of Retina U-Net, for one image each; float32 whatever the autocast.

`classes` is what `anchors.match` says of each of the A anchors: a label 1..K, or negative, or
ignored. All but the segmentation loss leave ignored anchors out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from retina_course.models.detection.anchors import NEGATIVE


def focal_loss(logits: Tensor, classes: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Cross-entropy that fades out where the answer is right already: all anchors take part.

    With q = sigmoid(logit) for the true class and 1 - sigmoid for every other, the sum over
    anchors and classes of `-alpha_t (1 - q)^gamma log q`, where alpha_t is `alpha` for the true
    class and `1 - alpha` else, divided by the number of positive anchors, at least 1.
    Source: arXiv 1708.02002, equation 5 and section 4.1.

    Parameters
    ----------
    logits : `(A, K)`, one sigmoid for each class.
    classes : int64 `(A,)`.
    """
    used = classes >= NEGATIVE
    logits, classes = logits[used].float(), classes[used]
    target = F.one_hot(classes, logits.shape[1] + 1)[:, 1:].float()
    # Logarithms of q and 1 - q, not q itself: no power and no gradient of a rounded zero.
    signed = (2 * target - 1) * logits
    log_q, log_rest = F.logsigmoid(signed), F.logsigmoid(-signed)
    weight = alpha * target + (1 - alpha) * (1 - target)
    total = -(weight * torch.exp(gamma * log_rest) * log_q).sum()
    return total / (classes > NEGATIVE).sum().clamp(min=1)


def hard_negative_loss(logits: Tensor, classes: Tensor, ratio: int = 3) -> Tensor:
    """Softmax cross-entropy of all positive anchors and of the most mistaken negative ones.

    Of P positive anchors, the P x `ratio` negatives (at least `ratio`) of the largest loss are
    used; the result is the mean of the two means, or the negatives' where there is no positive.
    Mining: arXiv 1512.02325, section 2.2; the mean of means: arXiv 1811.08661's own program, which
    draws as many negatives as positives, at random from the most mistaken.

    Parameters
    ----------
    logits : `(A, K + 1)`, background first.
    classes : int64 `(A,)`.
    """
    used = classes >= NEGATIVE
    logits, classes = logits[used].float(), classes[used]
    each = F.cross_entropy(logits, classes, reduction="none")
    positive, negative = each[classes > NEGATIVE], each[classes == NEGATIVE]
    hardest = negative.topk(min(ratio * max(1, len(positive)), len(negative))).values
    parts = [part.mean() for part in (positive, hardest) if len(part)]
    return torch.stack(parts).mean() if parts else logits.sum()


def box_loss(offsets: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 of the positive anchors' offsets `(P, 4)`, their mean; 0 where there is none.

    A difference d gives d^2 / 2 below 1, and d - 1/2 beyond. Source: arXiv 1504.08083, equation 3.
    """
    return F.smooth_l1_loss(offsets.float(), target, reduction="sum") / max(1, target.numel())


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Half of soft Dice plus cross-entropy. Source: arXiv 1811.08661; the half: its program.

    Dice is summed over the batch, for each class of the target but the background, and averaged
    over the classes that the batch shows; cross-entropy is the mean over pixels.

    Parameters
    ----------
    logits : `(N, K + 1, H, W)`, background first.
    target : int64 `(N, H, W)`.
    """
    logits = logits.float()
    cross_entropy = F.cross_entropy(logits, target)
    p = logits.softmax(dim=1)[:, 1:]
    t = F.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:].to(p.dtype)
    over = (0, 2, 3)
    shown = t.sum(over)
    score = 2 * (p * t).sum(over) / (p.sum(over) + shown).clamp(min=1e-6)
    present = (shown > 0).float()
    dice = (present * (1 - score)).sum() / present.sum().clamp(min=1)
    return (dice + cross_entropy) / 2
