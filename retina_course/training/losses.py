"""Losses for segmentation. They take LOGITS, and compute in float32 whatever the autocast.

One output channel: logits `(N, 1, H, W)` against a float target `(N, 1, H, W)` of zeros and ones.
Several: logits `(N, C, H, W)` against an int64 target `(N, H, W)` of classes 0..C-1.

`DiceLoss` and `IoU` return `(score, loss)`, as the document that they come from calls them. All
others return the scalar loss alone: what `training.fit` takes, and what can be added.

Only shapes and types are checked here: looking at the values would stall a GPU at every step, so
mask values are checked once, where data enter (`retina_course.data.datasets`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMOOTH = 1e-6  # the documented constant
BATCH = (0, 2, 3)  # sums run over images and pixels, channel by channel


class DiceLoss(nn.Module):
    """Soft Dice over the whole batch, in the documented form: returns `(score, loss)`.

    `score = (2 sum(p t) + s) / (sum p + sum t + s)`, `loss = 1 - score`, with probabilities p
    (sigmoid of the logits), target t and s = 1e-6. With several outputs: softmax, one score a
    class, averaged. A batch without any vessel scores about 0, unless the probabilities sum to
    less than about s.
    Source: V-Net, arXiv 1606.04797, whose denominators are squared.

    Parameters
    ----------
    squared : V-Net's `sum p^2 + sum t^2` instead of `sum p + sum t`.
    per_image : one score for each image (and class), then their mean, so that an image counts as
        much as any other. An image without vessels scores about 0 and passes hardly any gradient.

    Raises
    ------
    TypeError, ValueError : logits and target that do not belong together; see the module.
    """

    def __init__(self, squared: bool = False, per_image: bool = False):
        super().__init__()
        self.squared, self.per_image = squared, per_image

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = _probabilities(logits, target)
        over = (2, 3) if self.per_image else BATCH
        overlap, total = _sums(p, t, over)
        if self.squared:
            total = p.square().sum(over) + t.square().sum(over)
        score = ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()
        return score, 1 - score


class IoU(nn.Module):
    """Soft intersection over union (Jaccard), in the documented form: returns `(score, loss)`.

    `score = (sum(p t) + s) / (sum p + sum t - sum(p t) + s)`, `loss = 1 - score`. Since
    `IoU = D / (2 - D)`, its gradient is parallel to that of `DiceLoss`. Otherwise as `DiceLoss()`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        p, t = _probabilities(logits, target)
        overlap, total = _sums(p, t)
        score = ((overlap + SMOOTH) / (total - overlap + SMOOTH)).mean()
        return score, 1 - score


class CrossEntropyLoss(nn.Module):
    """Cross-entropy, the mean over all pixels: `-log` of the probability of the true class.

    One output: `max(x, 0) - x t + log(1 + exp(-|x|))` of the logit x, which never overflows.
    Several: the logarithm of the softmax. Its minimum in each pixel is the true probability.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        _check(logits, target)
        logits = logits.float()
        if logits.shape[1] == 1:
            return F.binary_cross_entropy_with_logits(logits, target.float())
        return F.cross_entropy(logits, target)


class DiceCELoss(nn.Module):
    """Cross-entropy plus soft Dice: the course's default. Returns the scalar loss.

    One output: binary cross-entropy, several: cross-entropy, each the mean over pixels. The
    cross-entropy calibrates the probabilities (good AUC), Dice weighs the rare class.
    Source: nnU-Net, arXiv 1904.08128.
    """

    def __init__(self):
        super().__init__()
        self.dice, self.cross_entropy = DiceLoss(), CrossEntropyLoss()

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.dice(logits, target)[1] + self.cross_entropy(logits, target)


class FocalLoss(nn.Module):
    """Cross-entropy with a factor that fades out pixels which are already right.

    The mean over all pixels of `-(1 - q)^gamma log q`, q being the probability of the pixel's true
    class. `gamma = 0` is `CrossEntropyLoss`.
    Source: arXiv 1708.02002, equations 4 and 5, which divides by the number of matched anchors.

    Parameters
    ----------
    gamma : 0 or more.
    alpha : weight of the pixels of 1, those of 0 get `1 - alpha`; one output only. The paper's 0.25
        weighs the rare class DOWN, against the strong effect of gamma = 2. None: no weights.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None):
        super().__init__()
        if gamma < 0 or alpha is not None and not 0 <= alpha <= 1:
            raise ValueError(f"gamma must be >= 0 and alpha in [0, 1], got {gamma} and {alpha}.")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        _check(logits, target)
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
                    f"alpha needs one output channel, got logits {tuple(logits.shape)}."
                )
            loss = loss * (self.alpha * target + (1 - self.alpha) * (1 - target))
        return loss.mean()


class TverskyLoss(nn.Module):
    """Dice with weights for the two kinds of errors. Returns the scalar loss `1 - score`.

    `score = (TP + s) / (TP + alpha FP + beta FN + s)`, with `TP = sum(p t)`, `FP = sum(p (1 - t))`,
    `FN = sum((1 - p) t)` over the batch and s = 1e-6; several outputs: averaged over the classes.
    `alpha = beta = 0.5` is Dice, `alpha = beta = 1` is `IoU`.
    Source: arXiv 1706.05721; its best weights, 0.3 and 0.7, are the default.

    Parameters
    ----------
    alpha : weight of false positives.
    beta : weight of false negatives; more than `alpha` favours sensitivity.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7):
        super().__init__()
        if min(alpha, beta) < 0 or max(alpha, beta) == 0:
            raise ValueError(
                f"alpha and beta must be >= 0, and not both 0, got {alpha} and {beta}."
            )
        self.alpha, self.beta = alpha, beta

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        p, t = _probabilities(logits, target)
        tp, fp, fn = ((x * y).sum(BATCH) for x, y in ((p, t), (p, 1 - t), (1 - p, t)))
        score = (tp + SMOOTH) / (tp + self.alpha * fp + self.beta * fn + SMOOTH)
        return 1 - score.mean()


class ClDiceLoss(nn.Module):
    """Soft centreline Dice: do the two skeletons lie inside the masks? Returns the scalar loss.

    `1 - 2 P S / (P + S)`, with P the share of the prediction's soft skeleton inside the target and
    S the share of the target's soft skeleton inside the prediction, summed over the batch. It does
    not see the width of a vessel, so it is added to another loss. With several outputs: averaged
    over the classes without class 0, the background.
    Source: arXiv 2003.07311, algorithms 1 and 2.

    Parameters
    ----------
    iterations : see `soft_skeleton`; at least the radius of the widest vessel in pixels.
    """

    def __init__(self, iterations: int = 5):
        super().__init__()
        _check_iterations(iterations)
        self.iterations = iterations

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        p, t = _probabilities(logits, target)
        if p.shape[1] > 1:
            p, t = p[:, 1:], t[:, 1:]
        precision = _share_inside(soft_skeleton(p, self.iterations), t)
        sensitivity = _share_inside(soft_skeleton(t, self.iterations), p)
        return 1 - (2 * precision * sensitivity / (precision + sensitivity)).mean()


def soft_skeleton(p: Tensor, iterations: int) -> Tensor:
    """The centrelines of soft masks `(N, C, H, W)` in [0, 1], the same shape, differentiable.

    What an opening (a minimum, then a maximum over neighbours) takes away is thinner than its
    window: collected at each of `iterations` erosions, that is the skeleton. Regions that survive
    all erosions have none. The minimum runs over the four neighbours, the maximum over eight, both
    without looking beyond the border.
    Source: arXiv 2003.07311, algorithm 1; windows as in its authors' program.
    """
    _check_iterations(iterations)
    skeleton = torch.zeros_like(p)
    for _ in range(iterations + 1):
        eroded = _erode(p)
        thin = F.relu(p - F.max_pool2d(eroded, 3, stride=1, padding=1))
        skeleton = skeleton + (1 - skeleton) * thin
        p = eroded
    return skeleton


def _check_iterations(iterations: int) -> None:
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, got {iterations}.")


def _erode(p: Tensor) -> Tensor:
    columns = F.max_pool2d(-p, (3, 1), stride=1, padding=(1, 0))
    rows = F.max_pool2d(-p, (1, 3), stride=1, padding=(0, 1))
    return -torch.maximum(columns, rows)


def _share_inside(skeleton: Tensor, mask: Tensor) -> Tensor:
    return ((skeleton * mask).sum(BATCH) + SMOOTH) / (skeleton.sum(BATCH) + SMOOTH)


def _sums(p: Tensor, t: Tensor, over: tuple[int, ...] = BATCH) -> tuple[Tensor, Tensor]:
    """`sum(p t)` and `sum p + sum t`, each `(C,)`, or `(N, C)` over pixels alone."""
    return (p * t).sum(over), p.sum(over) + t.sum(over)


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
