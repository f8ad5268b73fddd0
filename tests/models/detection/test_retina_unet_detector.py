"""Retina U-Net as a detector: its losses in training mode, its options."""

import pytest
import torch
import torch.nn.functional as F
from small_detectors import batch, build, lively

from retina_course import create_model
from retina_course.models import DETECTORS
from retina_course.models.detection.anchors import NEGATIVE, match
from retina_course.models.detection.boxes import encode
from retina_course.models.detection.losses import focal_loss, hard_negative_loss, segmentation_loss

UNSEGMENTED = ("lateral1", "lateral0", "smooth0", "segmentation_head")


def nothing(size=(64, 96)):
    return {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "segmentation": torch.zeros(size, dtype=torch.int64),
    }


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
def test_the_bias_says_one_percent_of_every_anchor_and_so_nothing_is_found(class_loss):
    model = build(num_classes=2, class_loss=class_loss)
    torch.nn.init.zeros_(model.network.class_head[-1].weight)
    logits = model.network(batch()[0]).classes
    p = logits.sigmoid() if class_loss == "focal" else logits.softmax(dim=2)[..., 1:]
    torch.testing.assert_close(p, torch.full_like(p, 0.01), atol=2e-4, rtol=0)
    found = model.eval()(batch()[0])[0]
    assert [tuple(v.shape) for v in found.values()] == [(0, 4), (0,), (0,)]
    assert found["labels"].dtype == torch.int64 and found["boxes"].dtype == torch.float32


def by_hand(model, images, targets, classification):
    """The losses from the network's own answers, image by image."""
    raw, anchors = model.network(images), model.anchors(tuple(images.shape[2:]))
    of_classes, differences = [], []
    for logits, offsets, target in zip(raw.classes, raw.offsets, targets, strict=True):
        classes, chosen = match(anchors, target["boxes"], target["labels"])
        of_classes.append(classification(logits, classes))
        for i in (classes > NEGATIVE).nonzero().flatten().tolist():
            wanted = encode(anchors[i : i + 1], target["boxes"][chosen[i]][None])
            differences.append(F.smooth_l1_loss(offsets[i], wanted[0]))
    segmentation = torch.stack([target["segmentation"] for target in targets])
    return {
        "classes": sum(of_classes) / len(of_classes),
        "boxes": torch.stack(differences).mean(),
        "segmentation": segmentation_loss(raw.segmentation, segmentation),
    }


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
def test_the_losses_are_those_of_the_matched_anchors(class_loss):
    model = build(num_classes=2, class_loss=class_loss, segmentation_weight=0.3)
    images, targets = batch(3)
    targets[1] = {k: v[:1] if k != "segmentation" else v for k, v in targets[1].items()}
    losses = model(images, targets)
    function = focal_loss if class_loss == "focal" else hard_negative_loss
    expected = by_hand(model, images, targets, function)
    expected["segmentation"] *= 0.3
    assert losses.keys() == expected.keys()
    for key, value in expected.items():
        assert losses[key].dtype == torch.float32
        torch.testing.assert_close(losses[key], value, atol=1e-5, rtol=1e-4)


def test_the_segmentation_reaches_every_parameter_and_only_it_the_finest_levels():
    images, targets = batch(classes=1)
    model = build()
    sum(model(images, targets).values()).backward()
    assert [n for n, p in model.network.named_parameters() if not p.grad.any()] == []
    model = build(segmentation_weight=0.0)
    sum(model(images, targets).values()).backward()
    without = {n.split(".")[0] for n, p in model.network.named_parameters() if p.grad is None}
    frozen = {n.split(".")[0] for n, p in model.network.named_parameters() if not p.requires_grad}
    assert without == frozen == set(UNSEGMENTED)
    rest = [p for n, p in model.network.named_parameters() if not n.startswith(UNSEGMENTED)]
    assert all(p.grad.any() for p in rest)


def test_the_segmentation_is_computed_only_where_it_is_asked_for():
    images, targets = batch(classes=1)
    calls = []
    for name in DETECTORS:
        model = build(name)
        head = model.network.segmentation_head
        head.register_forward_hook(lambda m, i, o, name=name: calls.append(name))
        model(images, targets)
        model.eval()(images)
    assert calls == ["retina_unet_detector"]  # in training, not in eval mode


@pytest.mark.parametrize("class_loss", ["focal", "hard_negatives"])
def test_images_without_objects_are_learned_from(class_loss):
    images, targets = batch(classes=1)
    for empty in ([nothing(), nothing()], [targets[0], nothing()]):
        model = build(class_loss=class_loss)
        losses = model(images, empty)
        assert all(loss.isfinite() for loss in losses.values())
        assert bool(losses["boxes"] == 0) == (empty[0] is not targets[0])
        assert losses["classes"] > 0
        sum(losses.values()).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


def test_boxes_are_cut_at_the_border_and_those_without_area_are_not_learned():
    images, targets = batch(classes=1)
    targets[0]["boxes"][0] = torch.tensor([80.0, 40, 96, 64])
    expected = build()(images, targets)
    targets[0]["boxes"][0] = torch.tensor([80.0, 40, 140, 90])
    beyond = torch.tensor([[100.0, 5, 120, 20], [9, 9, 9, 30], [30, 30, 20, 40], [-9, 0, -2, 5]])
    targets[0]["boxes"] = torch.cat([targets[0]["boxes"], beyond]).double()
    targets[0]["labels"] = torch.ones(5, dtype=torch.int64)
    losses = build()(images, targets)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value)


def test_a_crowd_of_tiny_and_identical_boxes_can_be_learned():
    images, targets = batch(classes=1)
    x, y = torch.meshgrid(torch.arange(0, 96, 2.0), torch.arange(0, 64, 2.0), indexing="xy")
    corner = torch.stack([x, y], dim=-1).reshape(-1, 2)
    boxes = torch.cat([corner, corner + 1], dim=1)
    boxes = torch.cat([boxes, boxes[:50]])
    targets[0] |= {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)}
    model = build()
    losses = model(images, targets)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_images_that_do_not_fit_are_named():
    model = build()
    _, targets = batch(1)
    for mode in (model.train(), model.eval()):
        with pytest.raises(ValueError, match="64 or 96 .*32 or 64|multiples of 32"):
            mode(torch.rand(1, 3, 65, 63), targets)
        with pytest.raises(ValueError, match="Expected 3 channels, got 1"):
            mode(torch.rand(1, 1, 64, 96), targets)
        with pytest.raises(TypeError, match="uint8"):
            mode(torch.zeros(1, 3, 64, 96, dtype=torch.uint8), targets)
    with pytest.raises(ValueError, match="unsqueeze"):
        model.segment(torch.rand(3, 64, 96))


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "options, message",
    [
        ({"class_loss": "dice"}, "'focal', 'hard_negatives', got 'dice'"),
        ({"encoder": "resnet34"}, "'resnet18', 'resnet50', got 'resnet34'"),
        ({"anchor_scale": 0}, "anchor_scale must be positive, got 0"),
        ({"max_boxes": -1}, "max_boxes must be a positive integer, got -1"),
        ({"width": 0}, "width must be a positive integer, got 0"),
        ({"nms_iou": 1.5}, "in .0, 1."),
        ({"score_threshold": float("nan")}, "in .0, 1."),
        ({"num_classes": 0}, "num_classes must be a positive integer"),
        ({"in_channels": True}, "in_channels must be a positive integer"),
    ],
)
def test_options_that_do_not_exist_are_answered_with_those_that_do(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **options)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="segmentation_weight must be 0 or more, got -1"):
        create_model("retina_unet_detector", segmentation_weight=-1)


def test_training_and_detecting_under_bfloat16():
    images, targets = batch(classes=1)
    model, twin = build(), build()
    expected = twin(images, targets)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model(images, targets)
        found = lively(model)(images)
    for key, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected[key], atol=0.05, rtol=0.05)
    assert all(one["boxes"].dtype == one["scores"].dtype == torch.float32 for one in found)
