"""From logits and offsets to boxes: thresholds, suppression, the border."""

import math

import pytest
import torch
from small_detectors import batch, build, lively

from retina_course.models.detection.boxes import encode, iou
from retina_course.models.detection.pyramid import Raw


class Says(torch.nn.Module):
    """A network that answers what it is told, whatever the images."""

    def __init__(self, classes, offsets):
        super().__init__()
        self.raw = Raw(classes, offsets, None)

    def forward(self, images, segment=True):
        return self.raw


def silent(model, n=1, size=(64, 96), columns=1):
    """Logits that say "nothing" of every anchor, and offsets of zero."""
    anchors = model.anchors(size)
    return torch.full((n, len(anchors), columns), -20.0), torch.zeros(n, len(anchors), 4), anchors


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
def test_detections_are_boxes_in_the_image_best_first(class_loss):
    model = lively(build(num_classes=3, class_loss=class_loss, score_threshold=0.02, max_boxes=20))
    results = model(batch(3)[0])
    assert len(results) == 3
    for found in results:
        boxes, scores, labels = found["boxes"], found["scores"], found["labels"]
        assert found.keys() == {"boxes", "scores", "labels"}
        assert (boxes.dtype, scores.dtype, labels.dtype) == (*[torch.float32] * 2, torch.int64)
        assert boxes.shape == (20, 4) and scores.shape == labels.shape == (20,)
        assert scores.min() >= 0.02 and scores.max() <= 1 and (scores.diff() <= 0).all()
        assert set(labels.tolist()) <= {1, 2, 3} and len(set(labels.tolist())) > 1
        assert boxes.min() >= 0 and boxes[:, 2].max() <= 96 and boxes[:, 3].max() <= 64
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 1).all()
        same = labels[:, None] == labels
        assert iou(boxes, boxes)[same & ~torch.eye(20, dtype=torch.bool)].max() <= 0.5


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
@pytest.mark.parametrize("k", [0, 2])
def test_what_the_network_says_of_an_anchor_becomes_its_box(class_loss, k):
    """One anchor that is sure of class k + 1, with the offsets of a known box."""
    model = build(num_classes=3, class_loss=class_loss).eval()
    first = class_loss == "hard_negatives"
    classes, offsets, anchors = silent(model, n=2, columns=3 + first)
    if first:
        classes[..., 0] = 20.0
    box = torch.tensor([[20.0, 10, 44, 31]])
    best = int(iou(anchors, box).argmax())
    classes[1, best] = torch.tensor([-20.0] * first + [2.0 if i == k else -20.0 for i in range(3)])
    offsets[1, best] = encode(anchors[best : best + 1], box)[0]
    model.network = Says(classes, offsets)
    empty, found = model(torch.rand(2, 3, 64, 96))
    assert len(empty["boxes"]) == 0
    torch.testing.assert_close(found["boxes"], box, atol=1e-3, rtol=0)
    assert found["labels"].tolist() == [k + 1]
    # The other logits are as good as absent.
    expected = 1.0 if first else 1 / (1 + math.exp(-2))
    assert found["scores"].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("level, stride", [(0, 4), (1, 8), (2, 16), (3, 32)])
def test_a_cell_of_a_level_speaks_of_its_place_in_the_picture(level, stride):
    """The heads run on P2 to P5; a mark in one cell must come out around that cell's centre."""
    model = build().eval()
    row, column, anchor = 1, 2, 4  # square, the middle octave
    calls = []

    def mark(module, inputs, output):
        output = torch.full_like(output, -20.0)
        if len(calls) == level:
            output[0, anchor, row, column] = 3.0
        calls.append(output.shape[2:])
        return output

    model.network.class_head.register_forward_hook(mark)
    torch.nn.init.zeros_(model.network.box_head[-1].weight)
    (found,) = model(torch.rand(1, 3, 64, 96))
    assert calls == [(64 // s, 96 // s) for s in (4, 8, 16, 32)]
    ((x1, y1, x2, y2),) = found["boxes"].tolist()
    half = stride * 2 ** (1 / 3)  # of 2 strides times the octave
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    expected = [max(0, x - half), max(0, y - half), min(96, x + half), min(64, y + half)]
    assert [x1, y1, x2, y2] == pytest.approx(expected, abs=1e-3)


def test_doubles_are_suppressed_by_label_and_thresholds_hold():
    options = {"num_classes": 2, "score_threshold": 0.5, "nms_iou": 0.4, "max_boxes": 3}
    model = build(**options).eval()
    classes, offsets, anchors = silent(model, columns=2)
    boxes = torch.tensor(
        [[10.0, 10, 30, 30], [12, 10, 32, 30], [20, 10, 40, 30], [60, 30, 80, 50], [0, 40, 20, 60]]
    )
    logits = [[3.0, 2.9], [2.0, -9], [1.0, -9], [0.5, -9], [-0.1, -9]]
    offsets[0, :5] = encode(anchors[:5], boxes)
    classes[0, :5] = torch.tensor(logits)
    model.network = Says(classes, offsets)
    (found,) = model(torch.rand(1, 3, 64, 96))
    # 1: double of 0; 2: IoU 1/3 with 0; 3: the fourth best; 4: below one half.
    torch.testing.assert_close(found["boxes"], boxes[[0, 0, 2]], atol=1e-3, rtol=0)
    assert found["labels"].tolist() == [1, 2, 1]


def test_boxes_outside_narrow_or_not_finite_are_no_detections():
    model = build().eval()
    classes, offsets, anchors = silent(model)
    boxes = torch.tensor(
        [[-30.0, 10, -5, 30], [100, 0, 130, 9], [5, 5, 5.9, 30], [90, 50, 120, 80]]
    )
    offsets[0, :4] = encode(anchors[:4], boxes)
    offsets[0, 4], offsets[0, 5] = torch.nan, torch.inf
    classes[0, :6] = 4.0
    classes[0, 6] = torch.nan
    model.network = Says(classes, offsets)
    (found,) = model(torch.rand(1, 3, 64, 96))
    torch.testing.assert_close(found["boxes"], torch.tensor([[90.0, 50, 96, 64]]))
