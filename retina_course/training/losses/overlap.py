"""Losses of the overlap of prediction and target: Dice, intersection over union, Tversky."""

from torch import Tensor, nn

from retina_course.training.losses.inputs import BATCH, SMOOTH, probabilities_and_target


class DiceLoss(nn.Module):
    """Soft Dice over the whole batch, in the documented form: returns `(score, loss)`.

    `score = (2 sum(p t) + s) / (sum p + sum t + s)` and `loss = 1 - score`, with probabilities p
    (sigmoid of the logits), target t and s = 1e-6. With several outputs p is the softmax, and the
    score is the mean of one score per class. A batch without any vessel scores about 0, unless
    the probabilities sum to less than about s.

    The call takes logits `(N, 1, H, W)` and a float target of the same shape, or logits
    `(N, C, H, W)` and an int64 target `(N, H, W)`. It returns two scalars.
    Source: V-Net, arXiv 1606.04797, whose denominators are squared.

    Parameters
    ----------
    squared : bool, default False
        Whether to take V-Net's `sum p^2 + sum t^2` instead of `sum p + sum t`.
    per_image : bool, default False
        Whether to compute one score per image (and class), and then their mean. Each image then
        counts as much as any other. An image without vessels scores about 0 and passes hardly
        any gradient.

    Raises
    ------
    ValueError, TypeError
        If the shapes or types of logits and target do not belong together.

    Examples
    --------
    Probabilities of 0.5 everywhere, half of the pixels vessel:

    >>> import torch
    >>> from retina_course import DiceLoss
    >>> logits = torch.zeros(1, 1, 1, 4)
    >>> target = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 1, 4)
    >>> score, loss = DiceLoss()(logits, target)
    >>> print(f"{score:.2f} {loss:.2f}")
    0.50 0.50
    """

    def __init__(self, squared: bool = False, per_image: bool = False) -> None:
        super().__init__()
        self.squared, self.per_image = squared, per_image

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = probabilities_and_target(logits, target)
        over = (2, 3) if self.per_image else BATCH
        overlap, total = _sums(p, t, over)
        if self.squared:
            total = p.square().sum(over) + t.square().sum(over)
        score = ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()
        return score, 1 - score


class IoU(nn.Module):
    """Soft intersection over union (Jaccard), in the documented form: returns `(score, loss)`.

    `score = (sum(p t) + s) / (sum p + sum t - sum(p t) + s)` and `loss = 1 - score`, with the
    letters, the shapes and the classes of `DiceLoss()`. Since `IoU = D / (2 - D)`, with the Dice
    score D, its gradient is parallel to that of `DiceLoss`.

    Raises
    ------
    ValueError, TypeError
        If the shapes or types of logits and target do not belong together.

    Examples
    --------
    >>> import torch
    >>> from retina_course import IoU
    >>> logits = torch.zeros(1, 1, 1, 4)
    >>> target = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 1, 4)
    >>> score, loss = IoU()(logits, target)
    >>> print(f"{score:.3f} {loss:.3f}")
    0.333 0.667
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = probabilities_and_target(logits, target)
        overlap, total = _sums(p, t)
        score = ((overlap + SMOOTH) / (total - overlap + SMOOTH)).mean()
        return score, 1 - score


class TverskyLoss(nn.Module):
    """Dice with weights for the two kinds of errors. Returns the scalar loss `1 - score`.

    `score = (TP + s) / (TP + alpha FP + beta FN + s)`, with `TP = sum(p t)`, `FP = sum(p (1 - t))`,
    `FN = sum((1 - p) t)` over the batch and s = 1e-6. With several outputs the score is the mean
    over the classes. The settings `alpha = beta = 0.5` give Dice, `alpha = beta = 1` give `IoU`.
    The call takes logits and target of the shapes that `DiceLoss` takes.
    Source: arXiv 1706.05721; its best weights, 0.3 and 0.7, are the default.

    Parameters
    ----------
    alpha : float, default 0.3
        Weight of false positives.
    beta : float, default 0.7
        Weight of false negatives. More than `alpha` favours sensitivity.

    Raises
    ------
    ValueError
        If a weight is negative or both are 0, or if the shapes of logits and target do not belong
        together.
    TypeError
        If the type of the target does not belong to the logits.

    Examples
    --------
    A missed vessel pixel costs more than a false positive:

    >>> import torch
    >>> from retina_course import TverskyLoss
    >>> target = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 1, 4)
    >>> for prediction in ([1.0, 0, 0, 0], [1.0, 1, 1, 0]):
    ...     logits = 40 * torch.tensor(prediction).reshape(1, 1, 1, 4) - 20
    ...     print(f"{TverskyLoss()(logits, target):.3f}")
    0.412
    0.130
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7) -> None:
        super().__init__()
        if min(alpha, beta) < 0 or max(alpha, beta) == 0:
            raise ValueError(
                f"alpha and beta must be >= 0, and not both 0, got {alpha} and {beta}."
            )
        self.alpha, self.beta = alpha, beta

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        p, t = probabilities_and_target(logits, target)
        tp, fp, fn = ((x * y).sum(BATCH) for x, y in ((p, t), (p, 1 - t), (1 - p, t)))
        score = (tp + SMOOTH) / (tp + self.alpha * fp + self.beta * fn + SMOOTH)
        return 1 - score.mean()


def _sums(p: Tensor, t: Tensor, over: tuple[int, ...] = BATCH) -> tuple[Tensor, Tensor]:
    """`sum(p t)` and `sum p + sum t`, each `(C,)`, or `(N, C)` over pixels alone."""
    return (p * t).sum(over), p.sum(over) + t.sum(over)
