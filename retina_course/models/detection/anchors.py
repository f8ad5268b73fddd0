"""Anchors, the boxes that a detector starts from, and their matching with the true boxes.

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
    """All anchors of a image, float32 `(A, 4)`: by level, row, column, ratio, octave.

    A level of stride s has a cell for every s x s pixels, and each cell nine anchors around its
    centre, of area (scale s octave)^2 and of three shapes. They may reach beyond the image.

    Parameters
    ----------
    size : height and width of the image, multiples of every stride.
    strides : pixels a cell, e.g. `(4, 8, 16, 32)` for P2 to P5.
    scale : side of a level's smallest square anchor, in strides.
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
    """What each anchor has to learn.

    1. An anchor whose largest IoU with a box is at least 0.5 belongs to that box.
    2. One whose largest IoU is below 0.4 is background.
    3. One between the two is ignored: it is asked neither for an object nor for none.
    4. Above all this, each box claims the one anchor that it overlaps most, whatever the IoU, if it
       overlaps any: else small objects would never be learned. If several boxes claim one anchor,
       the largest IoU has it, and the others get no second choice.

    At equal IoU the first box, or the first anchor, is taken. A box without area has no anchor.

    Parameters
    ----------
    anchors : `(A, 4)`.
    boxes, labels : `(M, 4)`, cut at the border, and int64 `(M,)`, 1 or more; M may be 0.

    Returns
    -------
    classes : int64 `(A,)`, the label, or `NEGATIVE` (0), or `IGNORED` (-1).
    chosen : int64 `(A,)`, the index of the box, where `classes` is positive.
    """
    if len(boxes) == 0:
        nothing = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
        return nothing, nothing
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
