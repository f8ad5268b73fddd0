"""The losses of RetinaNet and of Retina U-Net, computed in float32 even under autocast.

`focal_loss` and `hard_negative_loss` take the anchors of one image. Their `classes` come from
`anchors.match`: for each of the A anchors a label 1..K, or negative, or ignored. Ignored anchors do
not enter the loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from retina_course.models.detection.anchors import NEGATIVE


def focal_loss(logits: Tensor, classes: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Cross-entropy of all anchors with a smaller weight where the answer is already right.

    With q = sigmoid(logit) for the true class and 1 - sigmoid(logit) for every other class, the
    sum over anchors and classes of `-alpha_t (1 - q)^gamma log q`, divided by the number of
    positive anchors (at least 1). alpha_t is `alpha` for the true class and `1 - alpha` else.
    Source: arXiv 1708.02002, equation 5 and section 4.1.

    Parameters
    ----------
    logits : Tensor
        One sigmoid for each class, `(A, K)`.
    classes : Tensor
        int64 `(A,)`, see `anchors.match`.
    gamma : float, default 2.0
        The larger, the less the easy anchors weigh; 0 is plain cross-entropy.
    alpha : float, default 0.25
        Weight of the true class, in [0, 1].

    Returns
    -------
    Tensor
        The loss, a float32 scalar.

    Examples
    --------
    An anchor on an object and an empty one, both with probability 0.5 for the only class:

    >>> import torch
    >>> logits, classes = torch.zeros(2, 1), torch.tensor([1, 0])
    >>> round(focal_loss(logits, classes).item(), 4)  # log(2) / 4
    0.1733
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
    """Softmax cross-entropy of all positive anchors and of the negative ones with the largest loss.

    For P positive anchors, the P x `ratio` negatives (at least `ratio`) with the largest loss are
    used. The result is the mean of the two means, or the mean of the negatives where there is no
    positive. Mining: arXiv 1512.02325, section 2.2. The mean of means: the program published with
    arXiv 1811.08661, which draws as many negatives as positives, at random from the hardest.

    Parameters
    ----------
    logits : Tensor
        `(A, K + 1)`, background first.
    classes : Tensor
        int64 `(A,)`, see `anchors.match`.
    ratio : int, default 3
        Negatives per positive anchor.

    Returns
    -------
    Tensor
        The loss, a float32 scalar.
    """
    used = classes >= NEGATIVE
    logits, classes = logits[used].float(), classes[used]
    each = F.cross_entropy(logits, classes, reduction="none")
    positive, negative = each[classes > NEGATIVE], each[classes == NEGATIVE]
    hardest = negative.topk(min(ratio * max(1, len(positive)), len(negative))).values
    parts = [part.mean() for part in (positive, hardest) if len(part)]
    return torch.stack(parts).mean() if parts else logits.sum()


def box_loss(offsets: Tensor, target: Tensor) -> Tensor:
    """Mean smooth L1 of the positive anchors' offsets; 0 where there is no positive anchor.

    A difference d gives d^2 / 2 below 1, and d - 1/2 beyond. Source: arXiv 1504.08083, equation 3.

    Parameters
    ----------
    offsets : Tensor
        Predicted offsets `(P, 4)`.
    target : Tensor
        Offsets of the true boxes `(P, 4)`, see `boxes.encode`.

    Returns
    -------
    Tensor
        The loss, a float32 scalar.
    """
    return F.smooth_l1_loss(offsets.float(), target, reduction="sum") / max(1, target.numel())


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Half the sum of soft Dice loss and cross-entropy.

    Dice is summed over the batch for each class but the background, and averaged over the classes
    that occur in the batch's targets; cross-entropy is the mean over pixels.
    Source: arXiv 1811.08661; the half: the program published with it.

    Parameters
    ----------
    logits : Tensor
        `(N, K + 1, H, W)`, background first.
    target : Tensor
        Classes, int64 `(N, H, W)`, 0 the background.

    Returns
    -------
    Tensor
        The loss, a float32 scalar.
    """
    logits = logits.float()
    cross_entropy = F.cross_entropy(logits, target)
    p = logits.softmax(dim=1)[:, 1:]
    t = F.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:].to(p.dtype)
    over = (0, 2, 3)
    target_area = t.sum(over)
    score = 2 * (p * t).sum(over) / (p.sum(over) + target_area).clamp(min=1e-6)
    present = (target_area > 0).float()
    dice = (present * (1 - score)).sum() / present.sum().clamp(min=1)
    return (dice + cross_entropy) / 2
