"""The settings of a detector: documented defaults, and each limit at its edge."""

import inspect

import pytest
import torch
from small_detectors import TINY, batch, build
from torch import nn

from retina_course import create_model
from retina_course.models.detection import losses
from retina_course.models.detection.anchors import NEGATIVE, match
from retina_course.models.detection.boxes import decode, encode
from retina_course.models.detection.pyramid import Raw, head, twice

DEFAULTS = {
    "in_channels": 3,
    "num_classes": 1,
    "segmentation_weight": 1.0,
    "class_loss": "focal",
    "encoder": "resnet18",
    "width": 32,
    "pyramid_channels": 64,
    "head_channels": 64,
    "anchor_scale": 2.0,
    "score_threshold": 0.05,
    "nms_iou": 0.5,
    "max_boxes": 100,
}

SETTINGS = {
    "class_loss": "hard_negatives",
    "width": 8,
    "pyramid_channels": 16,
    "head_channels": 24,
    "anchor_scale": 3.0,
    "score_threshold": 0.1,
    "nms_iou": 0.25,
    "max_boxes": 7,
}


def test_defaults_are_the_documented_ones_and_each_reaches_the_network():
    with torch.device("meta"):
        model = create_model("retina_unet_detector")
        net = create_model("retina_net")
        other = create_model("retina_net", **SETTINGS)
    signature = inspect.signature(type(model)).parameters
    assert {name: p.default for name, p in signature.items()} == DEFAULTS
    for name in ("anchor_scale", "score_threshold", "nms_iou", "max_boxes", "class_loss"):
        assert getattr(model, name) == getattr(net, name) == DEFAULTS[name]
        assert getattr(other, name) == SETTINGS[name]
    assert (model.segmentation_weight, net.segmentation_weight) == (1.0, 0.0)
    for one, sizes in ((model, (32, 64, 64)), (other, (8, 16, 24))):
        network = one.network
        found = network.c1[0].out_channels, network.smooth2.out_channels
        assert (*found, network.class_head[0].out_channels) == sizes
    expected = [name for name in DEFAULTS if name != "segmentation_weight"]
    assert list(inspect.signature(type(net)).parameters) == expected


class Says(nn.Module):
    """A network that answers what it is told, whatever the images."""

    def __init__(self, classes, offsets):
        super().__init__()
        self.raw = Raw(classes, offsets, None)

    def forward(self, images, segment=True):
        return self.raw


def found_by(logits, offsets=None, kind=torch.float32, size=(64, 96), **options):
    """What a detector finds that says `logits` of the first anchors and "no" of all others."""
    model = build(num_classes=logits.shape[1], **options).eval()
    anchors = model.anchors(size)
    classes = torch.full((1, len(anchors), logits.shape[1]), -20.0)
    classes[0, : len(logits)] = logits
    moved = torch.zeros(1, len(anchors), 4)
    if offsets is not None:
        moved[0, : len(offsets)] = offsets
    model.network = Says(classes.to(kind), moved.to(kind))
    (found,) = model(torch.rand(1, 3, *size))
    return found, anchors


def test_a_score_at_the_threshold_is_found():
    logits = torch.tensor([[0.0], [-1e-3]])
    found, _ = found_by(logits, score_threshold=0.5, nms_iou=1.0)
    assert found["scores"].tolist() == [0.5]
    assert len(found_by(logits, score_threshold=0.499, nms_iou=1.0)[0]["scores"]) == 2
    assert len(found_by(torch.zeros(3, 1) - 20, score_threshold=0.0, max_boxes=3)[0]["scores"]) == 3


def at(boxes):
    """Logits and offsets that put boxes (x1, y1, x2, y2) on the first anchors."""
    boxes = torch.tensor(boxes)
    anchors = build().anchors((64, 96))[: len(boxes)]
    return torch.linspace(4, 3, len(boxes))[:, None], encode(anchors, boxes)


def test_a_box_of_one_pixel_is_the_smallest():
    boxes = [[90.0, 9, 100, 20], [95.01, 30, 110, 40], [40, 62, 50, 70], [60, 63.1, 70, 80]]
    found, _ = found_by(*at(boxes))
    expected = torch.tensor([[90.0, 9, 96, 20], [40, 62, 50, 64]])  # the others are narrower
    torch.testing.assert_close(found["boxes"], expected, atol=1e-3, rtol=0)
    model = build().eval()
    model.network = Says(torch.tensor([[[4.0], [3.0]]]), torch.zeros(1, 2, 4))
    for side, number in ((1.0, 2), (0.999, 0)):
        anchors = torch.tensor([[3.0, 3, 3 + side, 5], [20, 20, 22, 20 + side]])
        model.anchors = lambda size, anchors=anchors: anchors
        assert len(model(torch.rand(1, 3, 64, 96))[0]["boxes"]) == number


def test_the_thousand_best_scores_are_looked_at():
    logits = torch.linspace(3, 0, 1200)[:, None]
    found, anchors = found_by(logits, nms_iou=1.0, max_boxes=5000)
    torch.testing.assert_close(found["scores"], logits[:1000, 0].sigmoid())
    few, _ = found_by(logits, nms_iou=1.0, max_boxes=3)
    assert torch.equal(few["boxes"], found["boxes"][:3])


def test_the_class_of_a_score_and_the_overlap_that_is_allowed():
    # Three boxes of 10 x 10, shifted by 0, 3 and 6: IoUs of 7/13 and 4/16.
    boxes = [[10.0, 10, 20, 20], [13, 10, 23, 20], [16, 10, 26, 20]]
    logits, offsets = at(boxes)
    for limit, kept in ((0.54, [10, 13, 16]), (0.53, [10, 16]), (0.24, [10])):
        found, _ = found_by(logits, offsets, nms_iou=limit)
        assert found["boxes"][:, 0].tolist() == pytest.approx(kept, abs=1e-3)
    classes = torch.full((3, 3), -20.0)
    classes[0, 2], classes[1, 0], classes[2, 1] = 1.0, 3.0, 2.0
    found, _ = found_by(classes, offsets)
    assert found["labels"].tolist() == [1, 2, 3]
    assert found["boxes"][:, 0].tolist() == pytest.approx([13, 16, 10], abs=1e-3)


def test_boxes_and_scores_are_computed_in_float32_from_bfloat16():
    logits, offsets = torch.tensor([[1.2345]]), torch.tensor([[0.123, 0.456, 0.789, -0.321]])
    found, anchors = found_by(logits, offsets, torch.bfloat16, nms_iou=0.0)
    rough = offsets.bfloat16().float()
    expected = decode(anchors[:1], rough).clamp(min=0)
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert torch.equal(found["boxes"], expected)
    assert torch.equal(found["scores"], logits[0].bfloat16().float().sigmoid())


@pytest.mark.parametrize(
    "options, told",
    [
        ({"anchor_scale": float("nan")}, "anchor_scale must be positive, got nan"),
        ({"segmentation_weight": float("nan")}, "segmentation_weight must be 0 or more, got nan"),
        ({"score_threshold": -0.1}, "got -0.1 and 0.5"),
        ({"score_threshold": 1.1}, "got 1.1 and 0.5"),
        ({"nms_iou": -0.1}, "got 0.05 and -0.1"),
        ({"pyramid_channels": 0}, "pyramid_channels must be a positive integer, got 0"),
        ({"head_channels": 2.0}, "head_channels must be a positive integer, got 2.0"),
    ],
)
def test_settings_outside_their_range(options, told):
    with pytest.raises(ValueError, match=told):
        create_model("retina_unet_detector", **options)


def test_settings_at_the_ends_of_their_range():
    for value in (0, 1):
        build(score_threshold=value, nms_iou=value, segmentation_weight=value, anchor_scale=1e-3)


def test_hard_negatives_are_three_for_each_positive():
    """Losses are log(1 + exp(x)): the two positives, and the six worst of nine negatives."""
    x = torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    logits = torch.stack([torch.zeros(11), x], dim=1)
    classes = torch.tensor([1, 1] + [0] * 9)
    each = torch.log1p(torch.exp(torch.where(classes == 1, -x, x)))
    expected = (each[:2].mean() + each[5:].mean()) / 2
    torch.testing.assert_close(losses.hard_negative_loss(logits, classes), expected)
    torch.testing.assert_close(losses.hard_negative_loss(logits[2:], classes[2:]), each[8:].mean())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_losses_of_low_precision_are_computed_in_float32(kind):
    generator = torch.Generator().manual_seed(0)
    logits = (9 * torch.randn(40, 3, generator=generator)).to(kind)
    classes = torch.randint(-1, 3, (40,), generator=generator)
    maps = logits.T.reshape(1, 3, 5, 8)
    for loss, low, target in (
        (losses.focal_loss, logits, classes),
        (losses.hard_negative_loss, logits, classes),
        (losses.box_loss, logits, logits.flip(0).float()),
        (losses.segmentation_loss, maps, classes.clamp(min=0).view(1, 5, 8)),
    ):
        found = loss(low, target)
        assert found.dtype == torch.float32 and torch.equal(found, loss(low.float(), target))


def test_anchors_without_objects_are_background_where_the_anchors_are():
    for device in ("cpu", "meta"):
        labels = torch.zeros(0, dtype=torch.int64, device=device)
        classes, chosen = match(torch.zeros(5, 4, device=device), labels.view(0, 4), labels)
        for found in (classes, chosen):
            assert (found.device.type, found.dtype, found.shape) == (device, torch.int64, (5,))
    assert match(torch.zeros(5, 4), torch.zeros(0, 4), labels)[0].tolist() == [NEGATIVE] * 5


def test_a_head_is_four_convolutions_with_relu_and_a_fifth():
    layers = head(2, 3, 5)
    kinds = [nn.Conv2d, nn.ReLU] * 4 + [nn.Conv2d]
    assert [type(layer) for layer in layers] == kinds
    channels = [(layer.in_channels, layer.out_channels) for layer in layers[::2]]
    assert channels == [(2, 3), (3, 3), (3, 3), (3, 3), (3, 5)]
    assert layers(torch.rand(1, 2, 4, 6)).shape == (1, 5, 4, 6)


def test_maps_are_doubled_without_new_values_or_between_them():
    x = torch.tensor([[[[0.0, 4.0]]]])
    assert twice(x)[0, 0].tolist() == [[0, 0, 4, 4]] * 2
    assert twice(x, "bilinear")[0, 0].tolist() == [[0, 1, 3, 4]] * 2


def test_only_what_needs_them_computes_segmentations_and_every_weight_counts():
    images, targets = batch(classes=1)
    values = []
    for weight in (1.0, 0.25):
        model = build(segmentation_weight=weight)
        values.append(model(images, targets)["segmentation"])
    torch.testing.assert_close(values[1], values[0] / 4)
    model = create_model("retina_net", **TINY)
    assert model(images, targets).keys() == {"classes", "boxes"}
    assert model.segment(images).shape == (2, 2, 64, 96)
