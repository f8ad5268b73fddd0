"""Anchors one by one, and the matching against its four rules written as loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.models.detection.anchors import (
    IGNORED,
    NEGATIVE,
    OCTAVES,
    PER_CELL,
    RATIOS,
    make_anchors,
    match,
)
from retina_course.models.detection.boxes import iou
from retina_course.models.detection.pyramid import STRIDES, by_anchor


def test_every_anchor_by_level_row_column_ratio_and_octave():
    found = make_anchors((64, 96), STRIDES, 2.0)
    assert found.dtype == torch.float32 and found.shape == (PER_CELL * (384 + 96 + 24 + 6), 4)
    expected = []
    for stride in (4, 8, 16, 32):
        for row in range(64 // stride):
            for column in range(96 // stride):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                for ratio in (0.5, 1, 2):
                    for octave in (1, 2 ** (1 / 3), 2 ** (2 / 3)):
                        area = (2 * stride * octave) ** 2
                        height, width = math.sqrt(area * ratio), math.sqrt(area / ratio)
                        expected.append(
                            [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
                        )
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [1, 4.0])
def test_the_scale_is_the_side_in_strides(scale):
    sides = make_anchors((32, 32), (32,), scale)
    areas = (sides[:, 2:] - sides[:, :2]).prod(dim=1)
    torch.testing.assert_close(areas[0::3], torch.full((3,), (scale * 32.0) ** 2))


@pytest.mark.parametrize("classes", [1, 4])
def test_a_heads_map_comes_in_the_order_of_the_anchors(classes):
    """A mark in one channel of one cell is found at the anchor of that cell, ratio and octave."""
    height, width, stride = 3, 5, 8
    anchors = make_anchors((height * stride, width * stride), (stride,), 2.0)
    for row, column, ratio, octave, k in ((0, 4, 0, 2, 0), (2, 1, 2, 0, classes - 1)):
        heads = torch.zeros(2, PER_CELL * classes, height, width)
        heads[1, (ratio * len(OCTAVES) + octave) * classes + k, row, column] = 1
        rows = by_anchor(heads)
        assert rows.shape == (2, len(anchors), classes)
        ((image, index, channel),) = rows.nonzero().tolist()
        assert (image, channel) == (1, k)
        box = anchors[index]
        centre, (w, h) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).tolist()
        assert centre.tolist() == pytest.approx([(column + 0.5) * stride, (row + 0.5) * stride])
        assert h / w == pytest.approx(RATIOS[ratio])
        assert math.sqrt(h * w) == pytest.approx(2 * stride * OCTAVES[octave])


# --- matching -----------------------------------------------------------------------------------

SMALL = make_anchors((32, 48), (8, 16), 2.0)


def by_the_rules(overlaps, labels):
    """The four rules of `match`, for a table of IoUs as lists; (class, box or None) an anchor."""
    claims = {}  # rule 4
    for k in range(len(labels)):
        column = [row[k] for row in overlaps]
        best = column.index(max(column))
        if column[best] > 0 and (best not in claims or column[best] > claims[best][0]):
            claims[best] = (column[best], k)
    results = []
    for i, row in enumerate(overlaps):
        largest = max(row)
        if i in claims:
            results.append((labels[claims[i][1]], claims[i][1]))
        elif largest >= 0.5:
            results.append((labels[row.index(largest)], row.index(largest)))
        else:
            results.append((0 if largest < 0.4 else -1, None))
    return results


@st.composite
def objects(draw):
    """Boxes of every kind in and around a picture of 48x32 pixels."""
    x, y = st.integers(0, 48), st.integers(0, 32)
    length = st.integers(3, 30)
    usual = st.tuples(x, y, length, length).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    tiny = st.tuples(x, y).map(lambda p: (p[0], p[1], p[0] + 1, p[1] + 1))
    kinds = {
        "usual": usual,
        "crowded": st.tuples(*[st.integers(0, 2)] * 4).map(
            lambda d: (16 + d[0], 8 + d[1], 30 + d[2], 22 + d[3])
        ),
        "identical": st.just((7, 9, 21, 23)),
        "tiny": tiny,
        "an anchor": st.sampled_from(SMALL.tolist()).map(tuple),
        "outside": usual.map(lambda b: (b[0] + 300, b[1], b[2] + 300, b[3])),
        "degenerate": st.sampled_from([(9, 9, 9, 20), (20, 9, 12, 15), (0, 0, 0, 0)]),
    }
    boxes = draw(st.lists(st.sampled_from(sorted(kinds)).flatmap(kinds.get), max_size=9))
    n = len(boxes)
    labels = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return boxes, torch.tensor(labels, dtype=torch.int64)


@settings(deadline=None, max_examples=50)
@given(objects())
def test_matching_follows_its_four_rules(boxes_and_labels):
    boxes, labels = boxes_and_labels
    classes, chosen = match(SMALL, boxes, labels)
    assert classes.dtype == chosen.dtype == torch.int64
    assert classes.shape == chosen.shape == SMALL.shape[:1]
    if len(boxes) == 0:
        assert not classes.any()
        return
    overlaps = iou(SMALL, boxes).tolist()
    expected = by_the_rules(overlaps, labels.tolist())
    assert classes.tolist() == [label for label, _ in expected]
    for index, (_, box) in zip(chosen.tolist(), expected, strict=True):
        assert box is None or index == box


@settings(deadline=None, max_examples=50)
@given(objects())
def test_each_box_has_its_best_anchor_unless_another_fits_it_better(boxes_and_labels):
    boxes, labels = boxes_and_labels
    classes, chosen = match(SMALL, boxes, labels)
    overlaps = iou(SMALL, boxes)
    for k in range(len(boxes)):
        if overlaps[:, k].max() == 0:
            assert not (chosen[classes > NEGATIVE] == k).any()
            continue
        best = int(overlaps[:, k].argmax())
        winner = int(chosen[best])
        assert classes[best] == labels[winner] > NEGATIVE
        if winner != k:
            assert overlaps[best, winner] >= overlaps[best, k]
            assert overlaps[best, winner] == overlaps[:, winner].max()


def test_the_limits_belong_to_the_positive_and_to_the_ignored():
    """A box over 1/2, 2/5 and a little less of three anchors; a fourth is all its own."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 8, 10], [0, 0, 7.9, 10], [0, 0, 20, 10]])
    classes, chosen = match(anchors, anchors[3:], torch.tensor([2]))
    assert classes.tolist() == [2, IGNORED, NEGATIVE, 2]
    assert chosen[0] == chosen[3] == 0


def test_a_tiny_box_takes_its_anchor_from_a_large_one_that_has_others():
    """Rule 4 goes before rule 1: else a small object in a large one would never be learned."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9]])
    boxes = torch.tensor([[0.0, 0, 10, 9], [9, 9, 10, 10]])
    classes, chosen = match(anchors, boxes, torch.tensor([1, 2]))
    assert classes.tolist() == [2, 1] and chosen.tolist() == [1, 0]


def test_two_boxes_that_claim_one_anchor():
    anchor = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.tensor([[0.0, 0, 3, 3], [0, 0, 4, 4], [6, 6, 10, 10]])
    classes, chosen = match(anchor, boxes, torch.tensor([1, 2, 3]))
    assert classes.tolist() == [2] and chosen.tolist() == [1]  # the larger, then the first
    assert match(anchor, boxes[[0, 0]], torch.tensor([3, 1]))[0].tolist() == [3]
