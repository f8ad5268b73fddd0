"""Anchors, the boxes that a detector starts from, and their matching with the ground truth.

Source: arXiv 1708.02002, section 4. Boxes are x1, y1, x2, y2 in pixels, see `boxes`.
"""

import torch
from torch import Tensor

from retina_course.models.detection.boxes import iou

RATIOS = (0.5, 1.0, 2.0)  # height / width, at the same area
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # three sizes between one level and the next
PER_CELL = len(RATIOS) * len(OCTAVES)
NEGATIVE, IGNORED = 0, -1
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4


def make_anchors(size: tuple[int, int], strides: tuple[int, ...], scale: float) -> Tensor:
    """All anchors of an image, in order of level, row, column, ratio and octave.

    A level of stride s has a cell for every s x s pixels. Each cell has nine anchors around its
    centre: three shapes of each area (scale s octave)^2. Anchors may reach beyond the image.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image, multiples of every stride.
    strides : tuple of int
        Pixels per cell, e.g. `(4, 8, 16, 32)` for P2 to P5.
    scale : float
        Side of a level's smallest square anchor, in strides.

    Returns
    -------
    Tensor
        Boxes, float32 `(A, 4)`.

    Examples
    --------
    Nine anchors for each of the 4 x 8 + 2 x 4 cells; the fourth is a square of 2 x 8 pixels
    around the centre (4, 4) of the first cell:

    >>> anchors = make_anchors((32, 64), strides=(8, 16), scale=2.0)
    >>> anchors.shape
    torch.Size([360, 4])
    >>> anchors[3].tolist()
    [-4.0, -4.0, 12.0, 12.0]
    """
    height, width = size
    levels = []
    for stride in strides:
        side = scale * stride * torch.tensor(OCTAVES)
        root = torch.tensor(RATIOS).sqrt()[:, None]
        half = torch.stack([side / root, side * root], dim=-1).reshape(-1, 2) / 2  # (9, 2): x, y
        y = (torch.arange(height // stride) + 0.5) * stride
        x = (torch.arange(width // stride) + 0.5) * stride
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[:, :, None]
        levels.append(torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4))
    return torch.cat(levels)


def match(anchors: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Match anchors with the true boxes: the class and the box that each anchor has to learn.

    1. An anchor whose largest IoU with a box is at least 0.5 belongs to that box.
    2. An anchor whose largest IoU is below 0.4 is background.
    3. An anchor between the two is ignored: the loss leaves it out.
    4. Before all this, each box claims the one anchor that it overlaps most, whatever the IoU, if
       it overlaps any; else small objects would never be learned. If several boxes claim one
       anchor, the box with the largest IoU gets it, and the others get no second choice.

    At equal IoU the first box, or the first anchor, is taken. A box without area has no anchor.

    Parameters
    ----------
    anchors : Tensor
        Boxes `(A, 4)`.
    boxes : Tensor
        True boxes `(M, 4)`, cut at the image's border; M may be 0.
    labels : Tensor
        Their classes, int64 `(M,)`, 1 or more.

    Returns
    -------
    classes : Tensor
        int64 `(A,)`, the label, or `NEGATIVE` (0), or `IGNORED` (-1).
    chosen : Tensor
        int64 `(A,)`, the index of the box, where `classes` is positive.

    Examples
    --------
    >>> import torch
    >>> anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 22], [30, 30, 40, 40]])
    >>> boxes, labels = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([2])
    >>> classes, chosen = match(anchors, boxes, labels)  # the IoUs are 1, 0.45 and 0
    >>> classes.tolist()
    [2, -1, 0]
    """
    if len(boxes) == 0:
        zeros = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
        return zeros, zeros
    overlaps = iou(anchors, boxes)
    largest, chosen = overlaps.max(dim=1)
    classes = torch.full_like(chosen, IGNORED)
    classes[largest < NEGATIVE_IOU] = NEGATIVE
    positive = largest >= POSITIVE_IOU

    claims = torch.zeros_like(overlaps)
    best = overlaps.argmax(dim=0, keepdim=True)  # one anchor for each box
    claims.scatter_(0, best, overlaps.gather(0, best))
    claim, claimant = claims.max(dim=1)
    claimed = claim > 0
    chosen = torch.where(claimed, claimant, chosen)
    return torch.where(positive | claimed, labels[chosen], classes), chosen
