"""Boxes as tensors: overlap, offsets from anchors, suppression of doubles, clusters of views.

A box is x1, y1, x2, y2 in pixels, x2 and y2 exclusive: the box of one pixel (x, y) is
x, y, x + 1, y + 1. A box without area (x2 <= x1 or y2 <= y1) overlaps with nothing.
"""

import math

import torch
from torch import Tensor

# Offsets are learned in these units, so that all four are of order one. They are those of the
# program published with arXiv 1811.08661.
CENTRE_UNIT, SIZE_UNIT = 0.1, 0.2
LARGEST_GROWTH = math.log(1000 / 16)  # exp of a wild first prediction stays finite


def area(boxes: Tensor) -> Tensor:
    """`(..., 4) -> (...)`, pixels; 0 for a box without area."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return width * height


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of `a` with each of `b`: `(A, 4), (B, 4) -> (A, B)`."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    # An empty box between the sides of another has its minimum above its maximum: 0 by the clamp.
    common = width * height
    union = area(a)[:, None] + area(b)[None] - common
    return torch.where(common > 0, common / union, 0.0)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The part of each box that lies in a image of `size` (height, width); it may be empty."""
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def encode(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Where each box lies, seen from its anchor: `(A, 4), (A, 4) -> (A, 4)` offsets.

    The shift of the centre in anchor sides over 0.1, and the logarithm of the growth over 0.2.
    Every box must have an area. Source: arXiv 1311.2524, appendix C.
    """
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre, size = _centre_and_size(boxes)
    shift = (centre - anchor_centre) / anchor_size / CENTRE_UNIT
    growth = (size / anchor_size).log() / SIZE_UNIT
    return torch.cat([shift, growth], dim=-1)


def decode(anchors: Tensor, offsets: Tensor) -> Tensor:
    """The boxes that `offsets` describe: `(A, 4), (A, 4) -> (A, 4)`, the inverse of `encode`.

    Growth is at most 62.5-fold.
    """
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = anchor_centre + CENTRE_UNIT * offsets[..., :2] * anchor_size
    growth = (SIZE_UNIT * offsets[..., 2:]).clamp(max=LARGEST_GROWTH)
    half = anchor_size * growth.exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression: which boxes stay, best first.

    From the best score down, a box stays unless its IoU with a box of the same label that stays
    is above `threshold`. At equal scores the first in the list goes first.

    All pairs are compared at once. "Stays" is then repeated until nothing changes: after the n-th
    round the n best boxes are decided, in practice a few rounds decide all.

    Returns
    -------
    int64 `(kept,)`, indices into `boxes`.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    doubles = (iou(boxes, boxes) > threshold) & (labels[:, None] == labels)
    doubles = doubles.triu(diagonal=1)  # row i: the boxes that i, if it stays, suppresses
    stays = torch.ones_like(order, dtype=torch.bool)
    while True:
        now = ~(doubles & stays[:, None]).any(dim=0)
        if torch.equal(now, stays):
            return order[stays]
        stays = now


def cluster(
    boxes: Tensor, scores: Tensor, labels: Tensor, views: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted box clustering: one box for each object that several views of a image show.

    From the best score down, all boxes of the same label that are in no cluster yet and whose IoU
    with the best is above `threshold` form a cluster. With weight w_i = IoU with the best x area,
    the score is sum(s_i w_i) / (sum(w_i) + missing x mean(w)), so that a view that saw nothing
    counts as 0; each coordinate is sum(c_i s_i w_i) / sum(s_i w_i). Source: arXiv 1811.08661,
    section 3 (its third factor, for overlapping patches, is 1 here: all views show the whole
    image).

    Parameters
    ----------
    boxes, scores, labels : `(B, 4)`, `(B,)`, `(B,)`, all views together.
    views : int64 `(views,)`, how many of the B boxes each view gave, in order.
    threshold : the IoU above which boxes are one object.

    Returns
    -------
    boxes, scores, labels of the clusters, best first; boxes without area are left out.

    Raises
    ------
    ValueError : `views` does not add up to the boxes.
    """
    if int(views.sum()) != len(boxes):
        raise ValueError(f"The views gave {int(views.sum())} boxes, but there are {len(boxes)}.")
    view = torch.repeat_interleave(torch.arange(len(views)), views.cpu()).to(boxes.device)
    overlaps, areas = iou(boxes, boxes), area(boxes)
    same = (overlaps > threshold) & (labels[:, None] == labels)
    free = areas > 0
    found = []
    for best in scores.argsort(descending=True, stable=True).tolist():
        if not free[best]:
            continue
        members = same[best] & free
        members[best] = True
        free = free & ~members
        weight = overlaps[best, members] * areas[members]
        weighted = weight * scores[members]
        missing = len(views) - len(view[members].unique())
        score = weighted.sum() / (weight.sum() + missing * weight.mean())
        weights = weighted if weighted.sum() > 0 else weight  # scores of 0 do not divide
        box = (boxes[members] * weights[:, None]).sum(dim=0) / weights.sum()
        found.append((box, score, labels[best]))
    if not found:
        return boxes[:0], scores[:0], labels[:0]
    boxes, scores, labels = (torch.stack(part) for part in zip(*found, strict=True))
    order = scores.argsort(descending=True, stable=True)
    return boxes[order], scores[order], labels[order]


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
