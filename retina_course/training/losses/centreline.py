"""The loss of the centrelines, clDice, and the soft skeleton that it needs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.training.losses.inputs import BATCH, SMOOTH, probabilities_and_target


class ClDiceLoss(nn.Module):
    """Soft centreline Dice: do the two skeletons lie inside the masks? Returns the scalar loss.

    `1 - 2 P S / (P + S)`, with P the fraction of the prediction's soft skeleton inside the target
    and S the fraction of the target's soft skeleton inside the prediction, summed over the batch.
    It does not see the width of a vessel, so it is added to another loss. With several outputs it
    is the mean over the classes without class 0, the background.

    The call takes logits `(N, 1, H, W)` and a float target of the same shape, or logits
    `(N, C, H, W)` and an int64 target `(N, H, W)`.
    Source: arXiv 2003.07311, algorithms 1 and 2.

    Parameters
    ----------
    iterations : int, default 5
        Erosions of the soft skeleton, at least the radius of the widest vessel in pixels. See
        `soft_skeleton`.

    Raises
    ------
    ValueError
        If `iterations` is negative, or if the shapes of logits and target do not belong together.
    TypeError
        If the type of the target does not belong to the logits.

    Examples
    --------
    A vessel five pixels wide, of which only the centreline was found: clDice is content, Dice is
    not.

    >>> import torch
    >>> from retina_course import ClDiceLoss, DiceLoss
    >>> target, thin = torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    >>> target[..., 2:7, :] = 1
    >>> thin[..., 4, :] = 1
    >>> logits = 40 * thin - 20
    >>> print(f"{ClDiceLoss()(logits, target).abs():.2f} {DiceLoss()(logits, target)[1]:.2f}")
    0.00 0.67
    """

    def __init__(self, iterations: int = 5) -> None:
        super().__init__()
        _check_iterations(iterations)
        self.iterations = iterations

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        p, t = probabilities_and_target(logits, target)
        if p.shape[1] > 1:
            p, t = p[:, 1:], t[:, 1:]
        precision = _fraction_inside(soft_skeleton(p, self.iterations), t)
        sensitivity = _fraction_inside(soft_skeleton(t, self.iterations), p)
        return 1 - (2 * precision * sensitivity / (precision + sensitivity)).mean()


def soft_skeleton(p: Tensor, iterations: int) -> Tensor:
    """The centrelines of soft masks, differentiable.

    An opening is a minimum, then a maximum over neighbours. What it takes away is thinner than
    its window: collected at each erosion, that is the skeleton. Regions that survive all erosions
    have none. The minimum runs over the four neighbours, the maximum over eight, both without
    looking beyond the border.
    Source: arXiv 2003.07311, algorithm 1; windows as in its authors' program.

    Parameters
    ----------
    p : Tensor
        Masks `(N, C, H, W)` with values in [0, 1].
    iterations : int
        Number of erosions, 0 or more.

    Returns
    -------
    Tensor
        The skeletons, of the shape of `p`, with values in [0, 1].

    Raises
    ------
    ValueError
        If `iterations` is negative.

    Examples
    --------
    A horizontal vessel three pixels wide, and the first column of its skeleton:

    >>> import torch
    >>> mask = torch.zeros(1, 1, 5, 7)
    >>> mask[..., 1:4, :] = 1
    >>> soft_skeleton(mask, iterations=1)[0, 0, :, 0].tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0]
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
    """The minimum over each pixel and its four neighbours."""
    columns = F.max_pool2d(-p, (3, 1), stride=1, padding=(1, 0))
    rows = F.max_pool2d(-p, (1, 3), stride=1, padding=(0, 1))
    return -torch.maximum(columns, rows)


def _fraction_inside(skeleton: Tensor, mask: Tensor) -> Tensor:
    """The fraction of each class's skeleton inside the mask, `(C,)`."""
    return ((skeleton * mask).sum(BATCH) + SMOOTH) / (skeleton.sum(BATCH) + SMOOTH)
