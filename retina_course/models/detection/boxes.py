"""Boxes as tensors: overlap, offsets from anchors, suppression of duplicates, clusters of views.

A box is x1, y1, x2, y2 in pixels, x2 and y2 exclusive: the box of one pixel (x, y) is
x, y, x + 1, y + 1. A box without area (x2 <= x1 or y2 <= y1) does not overlap with any other.
"""

import math

import torch
from torch import Tensor

# Offsets are learned in these units, so that all four are of order one. They are those of the
# program published with arXiv 1811.08661.
CENTRE_UNIT, SIZE_UNIT = 0.1, 0.2
LARGEST_GROWTH = math.log(1000 / 16)  # so that exp of a far-off first prediction stays finite


def area(boxes: Tensor) -> Tensor:
    """Area of each box.

    Parameters
    ----------
    boxes : Tensor
        Boxes `(..., 4)`.

    Returns
    -------
    Tensor
        Areas `(...)` in square pixels; 0 for a box without area.
    """
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return width * height


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of `a` with each box of `b`.

    Parameters
    ----------
    a, b : Tensor
        Boxes `(A, 4)` and `(B, 4)`.

    Returns
    -------
    Tensor
        IoU `(A, B)` in [0, 1].

    Examples
    --------
    >>> import torch
    >>> a = torch.tensor([[0.0, 0, 10, 10]])
    >>> b = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
    >>> iou(a, b)
    tensor([[1.0000, 0.5000, 0.0000]])
    """
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    # An empty box between the sides of another has its minimum above its maximum: 0 by the clamp.
    common = width * height
    union = area(a)[:, None] + area(b)[None] - common
    return torch.where(common > 0, common / union, 0.0)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes at the border of the image.

    Parameters
    ----------
    boxes : Tensor
        Boxes `(..., 4)`.
    size : tuple of int
        Height and width of the image.

    Returns
    -------
    Tensor
        The part of each box that lies in the image, `(..., 4)`; it may be empty.
    """
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def encode(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Offsets of boxes from their anchors.

    The shift of the centre in sides of the anchor, divided by 0.1, and the logarithm of the growth
    of each side, divided by 0.2. Source: arXiv 1311.2524, appendix C.

    Parameters
    ----------
    anchors : Tensor
        Boxes `(A, 4)`.
    boxes : Tensor
        One box for each anchor, `(A, 4)`; every box must have an area.

    Returns
    -------
    Tensor
        Offsets `(A, 4)`: shift in x and y, growth of width and height.

    Examples
    --------
    The box's centre lies one side to the right, its width is the same, its height is doubled:

    >>> import torch
    >>> anchors = torch.tensor([[0.0, 0, 10, 10]])
    >>> encode(anchors, torch.tensor([[10.0, -5, 20, 15]]))
    tensor([[10.0000,  0.0000,  0.0000,  3.4657]])
    """
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre, size = _centre_and_size(boxes)
    shift = (centre - anchor_centre) / anchor_size / CENTRE_UNIT
    growth = (size / anchor_size).log() / SIZE_UNIT
    return torch.cat([shift, growth], dim=-1)


def decode(anchors: Tensor, offsets: Tensor) -> Tensor:
    """Boxes from anchors and offsets: the inverse of `encode`.

    A side grows 62.5-fold at most.

    Parameters
    ----------
    anchors : Tensor
        Boxes `(..., 4)`.
    offsets : Tensor
        One row of offsets for each anchor, `(..., 4)`.

    Returns
    -------
    Tensor
        Boxes `(..., 4)`.
    """
    anchor_centre, anchor_size = _centre_and_size(anchors)
    centre = anchor_centre + CENTRE_UNIT * offsets[..., :2] * anchor_size
    growth = (SIZE_UNIT * offsets[..., 2:]).clamp(max=LARGEST_GROWTH)
    half = anchor_size * growth.exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression: which boxes to keep where several lie on one object.

    From the best score down, a box is kept unless its IoU with a kept box of the same label is
    above `threshold`. At equal scores the first in the list goes first.

    All pairs are compared at once, and the decision is repeated until nothing changes: after the
    n-th round the n best boxes are decided; in practice a few rounds decide all.

    Parameters
    ----------
    boxes : Tensor
        Boxes `(B, 4)`.
    scores : Tensor
        Scores `(B,)`.
    labels : Tensor
        Classes, int64 `(B,)`.
    threshold : float
        The IoU above which two boxes are one object.

    Returns
    -------
    Tensor
        Indices of the kept boxes, int64, best score first.

    Examples
    --------
    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]])
    >>> nms(boxes, torch.tensor([0.6, 0.9, 0.7]), torch.tensor([1, 1, 1]), threshold=0.5)
    tensor([1, 2])
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    duplicates = (iou(boxes, boxes) > threshold) & (labels[:, None] == labels)
    duplicates = duplicates.triu(diagonal=1)  # row i: the boxes that i, if it is kept, suppresses
    kept = torch.ones_like(order, dtype=torch.bool)
    while True:
        kept_now = ~(duplicates & kept[:, None]).any(dim=0)
        if torch.equal(kept_now, kept):
            return order[kept]
        kept = kept_now


def cluster(
    boxes: Tensor, scores: Tensor, labels: Tensor, views: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted box clustering: one box for each object that several views of an image show.

    From the best score down, a box that is not in a cluster yet starts one: it takes all such
    boxes of the same label whose IoU with it is above `threshold`. With the weights w_i = IoU with
    the best box x area, the score is sum(s_i w_i) / (sum(w_i) + missing x mean(w)), so that a view
    without a box counts as 0; each coordinate is sum(c_i s_i w_i) / sum(s_i w_i). Source:
    arXiv 1811.08661, section 3 (its third factor, for overlapping patches, is 1 here, because all
    views show the whole image).

    Parameters
    ----------
    boxes : Tensor
        Boxes `(B, 4)` of all views together.
    scores : Tensor
        Scores `(B,)`.
    labels : Tensor
        Classes, int64 `(B,)`.
    views : Tensor
        How many of the B boxes each view gave, in order, int64 `(views,)`.
    threshold : float
        The IoU above which boxes are one object.

    Returns
    -------
    boxes : Tensor
        One box for each cluster, `(clusters, 4)`, best score first; boxes without area are left
        out.
    scores : Tensor
        Scores `(clusters,)`.
    labels : Tensor
        Classes, int64 `(clusters,)`.

    Raises
    ------
    ValueError
        If `views` does not add up to the number of boxes.

    Examples
    --------
    Three views of one object, of which one has missed it:

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10]])
    >>> scores, labels = torch.tensor([0.9, 0.6]), torch.tensor([1, 1])
    >>> cluster(boxes, scores, labels, views=torch.tensor([1, 0, 1]), threshold=0.5)
    (tensor([[ 0.6154,  0.0000, 10.6154, 10.0000]]), tensor([0.5200]), tensor([1]))
    """
    if int(views.sum()) != len(boxes):
        raise ValueError(f"The views gave {int(views.sum())} boxes, but there are {len(boxes)}.")
    view = torch.repeat_interleave(torch.arange(len(views)), views.cpu()).to(boxes.device)
    overlaps, areas = iou(boxes, boxes), area(boxes)
    same = (overlaps > threshold) & (labels[:, None] == labels)
    free = areas > 0
    clusters = []
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
        clusters.append((box, score, labels[best]))
    if not clusters:
        return boxes[:0], scores[:0], labels[:0]
    boxes, scores, labels = (torch.stack(part) for part in zip(*clusters, strict=True))
    order = scores.argsort(descending=True, stable=True)
    return boxes[order], scores[order], labels[order]


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centre and size of boxes, both `(..., 2)`: x and y, width and height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
