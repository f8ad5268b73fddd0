"""Losses that are a mean over the pixels: cross-entropy and focal loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.training.losses.inputs import check_inputs


class CrossEntropyLoss(nn.Module):
    """Cross-entropy, the mean over all pixels: `-log` of the probability of the true class.

    One output: `max(x, 0) - x t + log(1 + exp(-|x|))` of the logit x, which never overflows.
    Several: the logarithm of the softmax. Its minimum in each pixel is the true probability.

    The call takes logits `(N, 1, H, W)` and a float target of the same shape, or logits
    `(N, C, H, W)` and an int64 target `(N, H, W)`. It returns the scalar loss.

    Raises
    ------
    ValueError, TypeError
        If the shapes or types of logits and target do not belong together.

    Examples
    --------
    A logit of 0 is a probability of 0.5, and the loss is log 2:

    >>> import torch
    >>> from retina_course import CrossEntropyLoss
    >>> loss = CrossEntropyLoss()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    >>> print(f"{loss:.4f}")
    0.6931
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        check_inputs(logits, target)
        logits = logits.float()
        if logits.shape[1] == 1:
            return F.binary_cross_entropy_with_logits(logits, target.float())
        return F.cross_entropy(logits, target)


class FocalLoss(nn.Module):
    """Cross-entropy with a factor that fades out pixels which are already right.

    The mean over all pixels of `-(1 - q)^gamma log q`, with q the probability of the pixel's true
    class. `gamma = 0` is `CrossEntropyLoss`. The call takes logits and target of the shapes that
    `CrossEntropyLoss` takes, and returns the scalar loss.
    Source: arXiv 1708.02002, equations 4 and 5, which divides by the number of matched anchors.

    Parameters
    ----------
    gamma : float, default 2.0
        Exponent, 0 or more. The larger, the less a pixel counts that is already right.
    alpha : float or None, optional
        Weight of the pixels of 1; those of 0 get `1 - alpha`. For one output only. The paper's
        0.25 gives LESS weight to the rare class, against the strong effect of gamma = 2. None:
        no weights.

    Raises
    ------
    ValueError
        If gamma is negative, if alpha lies outside [0, 1] or is given for several outputs, or if
        the shapes of logits and target do not belong together.
    TypeError
        If the type of the target does not belong to the logits.

    Examples
    --------
    At a probability of 0.5 the factor is `(1 - 0.5)^2`, a quarter:

    >>> import torch
    >>> from retina_course import CrossEntropyLoss, FocalLoss
    >>> logits, target = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> print(f"{FocalLoss()(logits, target) / CrossEntropyLoss()(logits, target):.2f}")
    0.25
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        if gamma < 0 or alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"gamma must be >= 0 and alpha in [0, 1], got {gamma} and {alpha}.")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        check_inputs(logits, target)
        logits = logits.float()
        # Logarithms of q and 1 - q, not q itself: no power and no gradient of a rounded zero.
        if logits.shape[1] == 1:
            target = target.float()
            signed = (2 * target - 1) * logits
            log_q, log_rest = F.logsigmoid(signed), F.logsigmoid(-signed)
        else:
            total = logits.logsumexp(dim=1)
            true = F.one_hot(target, logits.shape[1]).movedim(-1, 1).bool()
            log_q = logits.gather(1, target[:, None])[:, 0] - total
            log_rest = logits.masked_fill(true, -torch.inf).logsumexp(dim=1) - total
        loss = -torch.exp(self.gamma * log_rest) * log_q
        if self.alpha is not None:
            if logits.shape[1] > 1:
                raise ValueError(
                    f"alpha needs one output channel, got logits {tuple(logits.shape)}. "
                    "Leave alpha out."
                )
            loss = loss * (self.alpha * target + (1 - self.alpha) * (1 - target))
        return loss.mean()
