"""Boxes against references that count pixels and write the loops out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.models.detection.boxes import area, clip, cluster, decode, encode, iou, nms

SIDE = 16  # integer boxes lie in a picture of this side
tick = st.integers(0, SIDE)
any_box = st.tuples(tick, tick, tick, tick)  # most of them inverted or without area
usual_box = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(4, 10)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
thresholds = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def tensor(boxes):
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def pixels(box):
    x1, y1, x2, y2 = box
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


@st.composite
def scored(draw, most=14):
    """Boxes of which many overlap, with scores of which many are equal, and two labels."""
    boxes = draw(st.lists(usual_box | any_box, max_size=most))
    n = len(boxes)
    scores = draw(st.lists(st.integers(1, 5), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(1, 2), min_size=n, max_size=n))
    return tensor(boxes), torch.tensor(scores) / 8, torch.tensor(labels, dtype=torch.int64)


# --- overlap ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.lists(usual_box | any_box, max_size=5), st.lists(usual_box | any_box, max_size=4))
def test_iou_is_that_of_counted_pixels(a, b):
    found = iou(tensor(a), tensor(b))
    assert found.shape == (len(a), len(b))
    assert torch.equal(found, iou(tensor(b), tensor(a)).T)
    for i, one in enumerate(map(pixels, a)):
        assert area(tensor(a))[i] == len(one)
        for j, other in enumerate(map(pixels, b)):
            expected = len(one & other) / max(1, len(one | other))
            assert found[i, j].item() == pytest.approx(expected, abs=1e-6)


def test_iou_counts_fractions_of_pixels_and_nothing_that_only_touches():
    box = tensor([[0, 0, 4, 4]])
    assert iou(box, tensor([[0.5, 0, 4.5, 4]])).item() == pytest.approx(3.5 / 4.5)
    assert iou(box, tensor([[4, 0, 8, 4], [4, 4, 8, 8], [2, 2, 2, 3], [3, 3, 1, 1]])).sum() == 0
    assert iou(box, box).item() == 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.integers(-9, SIDE + 9)] * 4), max_size=6), tick, tick)
def test_clip_leaves_the_pixels_that_lie_in_the_picture(boxes, height, width):
    found = clip(tensor(boxes), (height, width))
    for box, part in zip(boxes, found.tolist(), strict=True):
        inside = {(x, y) for x, y in pixels(box) if 0 <= x < width and 0 <= y < height}
        assert pixels(map(int, part)) == inside
        assert min(part) >= 0 and max(part[0::2]) <= width and max(part[1::2]) <= height


# --- offsets ------------------------------------------------------------------------------------


def test_offsets_by_hand():
    anchor, box = tensor([[0, 0, 10, 20]]), tensor([[5, 10, 25, 20]])
    # Centres (5, 10) and (15, 15): one side and a quarter; twice as wide, half as high.
    expected = [[1 / 0.1, 0.25 / 0.1, 0.6931472 / 0.2, -0.6931472 / 0.2]]
    torch.testing.assert_close(encode(anchor, box), tensor(expected))
    torch.testing.assert_close(encode(anchor, anchor), torch.zeros(1, 4))


corner, side = st.floats(-50, 400, width=32), st.floats(2, 100, width=32)
real_box = st.tuples(corner, corner, side, side).map(lambda b: (*b[:2], b[0] + b[2], b[1] + b[3]))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(real_box, real_box), max_size=5))
def test_decode_is_the_inverse_of_encode(pairs):
    anchors, boxes = tensor([a for a, _ in pairs]), tensor([b for _, b in pairs])
    torch.testing.assert_close(decode(anchors, encode(anchors, boxes)), boxes, atol=5e-3, rtol=1e-4)


def test_a_wild_offset_gives_a_large_box_and_no_infinity():
    anchors = tensor([[10, 10, 20, 14]] * 3)
    wild = tensor([[0, 0, 1e9, 1e9], [0, 0, -1e9, 0], [0, 0, 20.6, 20.7]])
    decoded = decode(anchors, wild)
    assert decoded.isfinite().all()
    sides = decoded[:, 2:] - decoded[:, :2]
    torch.testing.assert_close(sides[0], torch.tensor([625.0, 250.0]))
    assert sides[1, 0] == 0 and area(decoded[1:2]) == 0
    # exp(0.2 x 20.6) is 61.6, still free; exp(0.2 x 20.7) is 62.8, cut.
    torch.testing.assert_close(sides[2], torch.tensor([615.6, 250.0]), atol=0.1, rtol=0)


# --- suppression --------------------------------------------------------------------------------


def greedy(boxes, scores, labels, threshold):
    overlaps, kept = iou(boxes, boxes).tolist(), []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        if all(overlaps[i][j] <= threshold or labels[i] != labels[j] for j in kept):
            kept.append(i)
    return kept


@settings(deadline=None, max_examples=60)
@given(scored(), thresholds)
def test_nms_is_the_greedy_loop(found, threshold):
    kept = nms(*found, threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == greedy(*found, threshold)


@pytest.mark.parametrize("n", [2, 3, 60, 61])
def test_nms_of_a_long_chain_keeps_every_second(n):
    """Each box suppresses the next one only, if it is not itself suppressed."""
    x = 3.0 * torch.arange(n)
    boxes = torch.stack([x, 0 * x, x + 10, 0 * x + 10], dim=1)  # IoU 7/13, then 4/16
    label, order = torch.ones(n, dtype=torch.int64), torch.randperm(n)
    scores = torch.linspace(0.9, 0.1, n)
    kept = order[nms(boxes[order], scores[order], label, 0.5)]
    assert kept.tolist() == list(range(0, n, 2))


def test_nms_of_nothing_and_at_the_ends():
    none = nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5)
    assert none.tolist() == [] and none.dtype == torch.int64
    boxes, scores = tensor([[0, 0, 9, 9]] * 2 + [[8, 8, 12, 12]]), torch.tensor([0.5, 0.5, 0.9])
    same = torch.ones(3, dtype=torch.int64)
    assert nms(boxes, scores, same, 1).tolist() == [2, 0, 1]  # no overlap is larger than 1
    assert nms(boxes, scores, same, 0).tolist() == [2]
    assert nms(boxes, scores, torch.tensor([1, 2, 3]), 0).tolist() == [2, 0, 1]


# --- clusters of views --------------------------------------------------------------------------


def clusters(boxes, scores, labels, views, threshold):
    """Weighted box clustering from its definition, in Python's floats."""
    origin = [view for view, n in enumerate(views) for _ in range(n)]
    overlaps, areas = iou(boxes, boxes).tolist(), area(boxes).tolist()
    left = [i for i in range(len(boxes)) if areas[i] > 0]
    left.sort(key=lambda i: -scores[i].item())
    found = []
    while left:
        best = left[0]
        mine = [
            i
            for i in left
            if i == best or (overlaps[best][i] > threshold and labels[i] == labels[best])
        ]
        left = [i for i in left if i not in mine]
        w = [overlaps[best][i] * areas[i] for i in mine]
        s = [scores[i].item() for i in mine]
        ws = [a * b for a, b in zip(w, s, strict=True)]
        missing = len(views) - len({origin[i] for i in mine})
        score = sum(ws) / (sum(w) + missing * sum(w) / len(w))
        box = [
            sum(a * boxes[i, c].item() for a, i in zip(ws, mine, strict=True)) / sum(ws)
            for c in range(4)
        ]
        found.append([labels[best].item(), score, *box])
    return found


@settings(deadline=None, max_examples=50)
@given(scored(), thresholds, st.data())
def test_clusters_are_those_of_the_definition(found, threshold, data):
    cuts = data.draw(st.lists(st.integers(0, len(found[0])), min_size=3, max_size=3).map(sorted))
    views = [b - a for a, b in zip([0, *cuts], [*cuts, len(found[0])], strict=True)]
    boxes, scores, labels = cluster(*found, torch.tensor(views), threshold)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    rows = [
        [la, s, *b]
        for la, s, b in zip(labels.tolist(), scores.tolist(), boxes.tolist(), strict=True)
    ]
    expected = clusters(*found, views, threshold)
    assert len(rows) == len(expected)
    for row in rows:  # equal scores may come in another order
        near = [e for e in expected if e == pytest.approx(row, abs=1e-3)]
        assert near, row
        expected.remove(near[0])


def test_two_views_by_hand():
    boxes, scores = tensor([[0, 0, 10, 10], [2, 0, 12, 10]]), torch.tensor([0.8, 0.4])
    same = torch.ones(2, dtype=torch.int64)
    # Weights 100 and 2/3 x 100: (80 + 26.7) / 166.7; x1 = 2 x 26.7 / 106.7.
    box, score, label = cluster(boxes, scores, same, torch.tensor([1, 1]), 0.5)
    torch.testing.assert_close(box, tensor([[0.5, 0, 10.5, 10]]))
    assert score.item() == pytest.approx(0.64) and label.tolist() == [1]
    # A third and a fourth view that saw nothing: (80 + 26.7) / (166.7 + 2 x 83.3).
    _, score, _ = cluster(boxes, scores, same, torch.tensor([0, 1, 0, 1]), 0.5)
    assert score.item() == pytest.approx(0.32)
    # Both boxes from one of two views: the other saw nothing.
    _, score, _ = cluster(boxes, scores, same, torch.tensor([2, 0]), 0.5)
    assert score.item() == pytest.approx(106.667 / 250, abs=1e-4)
    # Another label is another object.
    box, score, label = cluster(boxes, scores, torch.tensor([2, 1]), torch.tensor([1, 1]), 0.5)
    assert label.tolist() == [2, 1] and torch.equal(box, boxes)
    torch.testing.assert_close(score, scores / 2)


def test_a_box_is_in_one_cluster_only():
    """A chain: the second belongs to the first, and the third is left alone."""
    boxes = tensor([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])
    scores, same = torch.tensor([0.9, 0.5, 0.6]), torch.ones(3, dtype=torch.int64)
    box, score, _ = cluster(boxes, scores, same, torch.tensor([3]), 0.5)
    assert len(box) == 2 and 0 < box[0, 0] < 3
    assert box[1].tolist() == pytest.approx([6, 0, 16, 10])
    assert score[1].item() == pytest.approx(0.6)


@settings(deadline=None, max_examples=50)
@given(scored(), thresholds)
def test_one_view_alone_keeps_its_boxes(found, threshold):
    boxes, scores, labels = (part[nms(*found, threshold)] for part in found)
    real = area(boxes) > 0
    expected = boxes[real], scores[real], labels[real]
    result = cluster(boxes, scores, labels, torch.tensor([len(boxes)]), threshold)
    # Dividing by the weight that it was multiplied with may round, and so reorder equal scores.
    rows, wanted = (
        sorted(map(tuple, torch.cat([b, la[:, None], s[:, None]], 1).round(decimals=4).tolist()))
        for b, s, la in (result, expected)
    )
    assert rows == wanted


def test_no_box_and_boxes_without_area_make_no_cluster():
    for boxes in (torch.zeros(0, 4), tensor([[3, 3, 3, 9], [5, 5, 4, 9]])):
        n = len(boxes)
        found = cluster(boxes, torch.ones(n), torch.ones(n).long(), torch.tensor([n, 0]), 0.5)
        assert [tuple(part.shape) for part in found] == [(0, 4), (0,), (0,)]
        assert found[2].dtype == torch.int64


def test_scores_of_zero_leave_a_box():
    box, score, _ = cluster(
        tensor([[2, 2, 8, 9]]), torch.zeros(1), torch.ones(1).long(), torch.tensor([1]), 0.5
    )
    assert box.tolist() == [[2, 2, 8, 9]] and score.item() == 0
