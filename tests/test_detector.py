"""RetinaNet and Retina U-Net as detectors: one network, its losses, its boxes, its training."""

import math

import pytest
import torch
import torch.nn.functional as F

from retina_course import create_model, list_models, shapes, weights
from retina_course.data.detection import RandomAffine
from retina_course.models import DETECTORS, RetinaNet, RetinaUNetDetector
from retina_course.models.detection.anchors import NEGATIVE, match
from retina_course.models.detection.boxes import encode, iou
from retina_course.models.detection.losses import focal_loss, hard_negative_loss, segmentation_loss
from retina_course.models.detection.pyramid import Raw, by_anchor
from retina_course.training import batch_generator, fit, seed_everything

TINY = {"width": 8, "pyramid_channels": 16, "head_channels": 16}
UNSEGMENTED = ("lateral1", "lateral0", "smooth0", "segmentation_head")


def build(name="retina_unet_detector", seed=0, **options):
    torch.manual_seed(seed)
    return create_model(name, **TINY | options)


def batch(n=2, classes=2, size=(64, 96), seed=0):
    """Noise with bright rectangles, one an image and class, and their targets."""
    generator = torch.Generator().manual_seed(seed)
    images, targets = 0.2 * torch.rand(n, 3, *size, generator=generator), []
    for image in images:
        segmentation, boxes = torch.zeros(size, dtype=torch.int64), []
        for label in range(1, classes + 1):
            x, y = (int(v) for v in torch.randint(2, size[0] // 2 - 2, (2,), generator=generator))
            x += (label - 1) * size[1] // 2
            boxes.append([x, y, x + 12, y + 8 * label])
            segmentation[y : y + 8 * label, x : x + 12] = label
            image[:, y : y + 8 * label, x : x + 12] += 0.6
        boxes, labels = torch.tensor(boxes, dtype=torch.float32), torch.arange(1, classes + 1)
        targets.append({"boxes": boxes, "labels": labels, "segmentation": segmentation})
    return images, targets


def nothing(size=(64, 96)):
    return {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "segmentation": torch.zeros(size, dtype=torch.int64),
    }


def lively(model):
    """An untrained network that says something: spread of the logits, statistics of one batch."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network = model.network
    torch.nn.init.normal_(network.class_head[-1].weight, std=0.05)
    torch.nn.init.normal_(network.box_head[-1].weight, std=0.1)
    with torch.no_grad():
        network(batch(classes=1)[0])
    return model.eval()


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


# --- the network --------------------------------------------------------------------------------


def test_both_detectors_are_tested_here():
    assert set(DETECTORS) == {"retina_net", "retina_unet_detector"} <= set(list_models())
    assert type(create_model("retina_net", **TINY)) is RetinaNet
    assert type(create_model("retina_unet_detector", **TINY)) is RetinaUNetDetector


PUBLISHED = {"in_channels": 1, "num_classes": 2, "class_loss": "hard_negatives"}
PUBLISHED |= {"encoder": "resnet50"}


@pytest.mark.parametrize(
    "sizes, total",
    [
        ({}, 3_395_919),
        (PUBLISHED | dict(width=48, pyramid_channels=192, head_channels=512), 31_814_866),
        (PUBLISHED | dict(width=32, pyramid_channels=128, head_channels=128), 8_194_082),
    ],
)
def test_parameters(sizes, total):
    with torch.device("meta"):
        for name in DETECTORS:
            model = create_model(name, **sizes)
            assert sum(p.numel() for p in model.parameters()) == total


def test_every_row_is_that_of_the_documented_table():
    network = create_model("retina_unet_detector", num_classes=3).network
    traced = shapes.trace(network, (1, 3, 512, 512))
    assert shapes.compare(traced, shapes.read("retina_unet_detector_3cls_3x512x512")) > 100


@pytest.mark.parametrize("class_loss, more", [("focal", 0), ("hard_negatives", 1)])
@pytest.mark.parametrize("encoder", ["resnet18", "resnet50"])
def test_one_row_an_anchor_and_one_logit_a_class(class_loss, more, encoder):
    model = build(in_channels=1, num_classes=4, class_loss=class_loss, encoder=encoder)
    raw = model.network(torch.rand(2, 1, 64, 96))
    anchors = len(model.anchors((64, 96)))
    assert raw.classes.shape == (2, anchors, 4 + more) and raw.offsets.shape == (2, anchors, 4)
    assert raw.segmentation.shape == (2, 5, 64, 96)
    torch.testing.assert_close(
        model.eval().segment(torch.ones(1, 1, 64, 96)),
        model.network(torch.ones(1, 1, 64, 96)).segmentation,
    )
    assert model.network(torch.rand(1, 1, 64, 96), segment=False).segmentation is None


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


def seen_by(network, x, *names):
    seen = {}
    for name in names:
        getattr(network, name).register_forward_hook(
            lambda m, i, o, name=name: seen.__setitem__(name, (i[0].clone(), o.clone()))
        )
    network(x)
    return seen


def test_joins_are_additions_nearest_down_to_p2_and_bilinear_below():
    model = lively(build())
    names = [f"lateral{i}" for i in range(6)] + [f"smooth{i}" for i in (0, 2, 3, 4, 5)]
    seen = seen_by(model.network, batch(classes=1)[0], *names)
    p = seen["lateral5"][1]
    for level in (4, 3, 2, 1, 0):
        mode = "nearest" if level >= 2 else "bilinear"
        p = seen[f"lateral{level}"][1] + F.interpolate(p, scale_factor=2, mode=mode)
        if level != 1:
            torch.testing.assert_close(seen[f"smooth{level}"][0], p)
    torch.testing.assert_close(seen["smooth5"][0], seen["lateral5"][1])


@pytest.mark.parametrize("level", [5, 4, 3, 2, 1, 0])
def test_every_level_takes_its_own_map_of_the_encoder(level):
    seen = seen_by(build().network, torch.rand(2, 3, 64, 64), f"c{level}", f"lateral{level}")
    assert torch.equal(seen[f"c{level}"][1], seen[f"lateral{level}"][0])
    assert seen[f"c{level}"][1].shape[2] == 64 // 2**level


# --- training mode ------------------------------------------------------------------------------


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


def test_retina_net_is_the_detector_without_segmentation():
    images, targets = batch(classes=1)
    other, whole = build(segmentation_weight=0.0), build()
    net = build("retina_net")
    for twin in (other, whole):
        state = twin.state_dict()
        assert list(net.state_dict()) == list(state)
        assert all(torch.equal(t, state[k]) for k, t in net.state_dict().items())
    unsegmented = [{k: t[k] for k in ("boxes", "labels")} for t in targets]
    losses = net(images, unsegmented)
    assert losses.keys() == {"classes", "boxes"}
    assert losses == other(images, targets)
    assert losses.items() <= whole(images, targets).items()
    lively(net), lively(other)
    other.load_state_dict(net.state_dict())
    for a, b in zip(net(images), other(images), strict=True):
        assert len(a["boxes"]) and all(torch.equal(a[key], b[key]) for key in a)
    with pytest.raises(TypeError, match="segmentation_weight"):
        create_model("retina_net", segmentation_weight=1.0)


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


# --- eval mode ----------------------------------------------------------------------------------


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


def test_images_do_not_mix():
    model, images = lively(build()), batch(classes=1)[0]
    with torch.no_grad():
        both, alone = model.network(images), model.network(images[1:])
    for a, b in zip(both, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-4, rtol=1e-4)
    assert (both.classes[0] - both.classes[1]).abs().max() > 0.1
    again = model(images), model(images)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(*again, strict=True) for k in a)


# --- bad input ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"boxes": torch.zeros(1, 5)}, ValueError, r"Target 1: boxes .*\(1, 4\), got \(1, 5\)"),
        ({"boxes": torch.zeros(4)}, ValueError, r"boxes must have shape \(1, 4\), got \(4,\)"),
        ({"labels": torch.ones(2).long()}, ValueError, r"boxes must have shape \(2, 4\)"),
        ({"labels": torch.ones(1)}, TypeError, "labels must be int64, got torch.float32"),
        ({"labels": torch.ones(1, 1).long()}, ValueError, r"labels .*\(1,\), got \(1, 1\)"),
        ({"segmentation": torch.zeros(64, 64).long()}, ValueError, r"\(64, 96\), got \(64, 64\)"),
        ({"segmentation": torch.zeros(64, 96)}, TypeError, "segmentation must be int64"),
        ({"segmentation": None}, ValueError, "Target 1 lacks segmentation; it has boxes, labels"),
        ({"boxes": None, "labels": None}, ValueError, "lacks boxes and labels"),
    ],
)
def test_targets_that_do_not_fit_are_named(changes, error, message):
    images, targets = batch(classes=1)
    targets[1] = {k: v for k, v in (targets[1] | changes).items() if v is not None}
    with pytest.raises(error, match=message):
        build()(images, targets)


def test_training_mode_needs_a_target_an_image():
    images, targets = batch(classes=1)
    with pytest.raises(ValueError, match="2 images, got none.*model.eval"):
        build()(images)
    with pytest.raises(ValueError, match="2 images, got 1"):
        build()(images, targets[:1])


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


# --- as other networks of the course ------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return lively(build()).network


@pytest.fixture(scope="module")
def x():
    return batch(classes=1)[0]


def same(found, expected, atol=1e-5, rtol=1e-4):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=rtol)


def test_bfloat16_autocast_stays_near_float32(network, x):
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            low = network(x)
    for a, b in zip(low, expected, strict=True):
        assert (a.float() - b).abs().max() < 0.05 * b.abs().max() + 0.05


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


def test_channels_last_gives_the_same(x):
    network = lively(build()).network
    with torch.no_grad():
        expected = network(x)
        network.to(memory_format=torch.channels_last)
        same(network(x.to(memory_format=torch.channels_last)), expected)


def test_compiles(network, x):
    with torch.no_grad():
        same(torch.compile(network, backend="aot_eager", fullgraph=True)(x), network(x))


def test_exports(network, x):
    program = torch.export.export(network, (x,))
    same(program.module()(x), network(x))


def test_weights_go_through_a_file_with_a_card(tmp_path):
    options = TINY | {"num_classes": 2, "class_loss": "hard_negatives"}
    for name in DETECTORS:
        model = lively(build(name, **options))
        weights.save(tmp_path / f"{name}.safetensors", model, {"model": name, "options": options})
        loaded, card = weights.load(tmp_path / f"{name}.safetensors")
        assert type(loaded) is type(model) and not loaded.training and card["model"] == name
        images = batch()[0]
        for a, b in zip(loaded(images), model(images), strict=True):
            assert len(a["boxes"]) and all(torch.equal(a[key], b[key]) for key in a)
    # RetinaNet's file fits Retina U-Net and the other way round: the names are the same.
    whole = build(**options)
    whole.load_state_dict(loaded.state_dict())


# --- learning -----------------------------------------------------------------------------------

STEPS = 60


def train(name, steps=STEPS, **options):
    seed_everything(0)
    model = create_model(name, **TINY)
    views = RandomAffine(*batch(classes=1, size=(64, 64)), batch_size=2, scale=(1, 1), jitter=0)
    sample = options.pop("sample", views)
    return model, fit(model, sample, steps, lr=3e-3, progress=False, **options)


def test_a_short_run_finds_and_outlines_the_rectangles():
    model, history = train("retina_unet_detector")
    assert len(history.loss) == STEPS and not model.training
    assert sum(history.loss[-10:]) < 0.3 * sum(history.loss[:10])
    images, targets = batch(classes=1, size=(64, 64))
    for found, target in zip(model(images), targets, strict=True):
        assert found["scores"][0] > 0.5
        assert iou(found["boxes"][:1], target["boxes"]).item() > 0.6
    p = model.segment(images).softmax(dim=1)[:, 1]
    inside = torch.stack([target["segmentation"] for target in targets]) == 1
    assert p[inside].mean() > 0.6 and p[~inside].mean() < 0.2


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path):
    views = RandomAffine(*batch(classes=1, size=(64, 64)), batch_size=2, scale=(0.8, 1.2))
    stop = batch_generator(0, 8).initial_seed()

    def stopped(generator):
        if generator.initial_seed() == stop:
            raise KeyboardInterrupt
        return views(generator)

    name, file = "retina_unet_detector", tmp_path / "run.pt"
    expected, history = train(name, 12, sample=views, every=5)
    with pytest.raises(KeyboardInterrupt):
        train(name, 12, sample=stopped, every=5, checkpoint=file)
    assert torch.load(file, weights_only=True)["step"] == 5
    model, resumed = train(name, 12, sample=views, every=5, checkpoint=file)
    assert resumed.loss == history.loss
    state = expected.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in model.state_dict().items())


def test_heads_are_shared_by_all_levels_and_read_by_row_column_and_anchor(network, x):
    maps = []
    hook = network.box_head.register_forward_hook(lambda m, i, o: maps.append(o))
    with torch.no_grad():
        raw = network(x)
    hook.remove()
    assert [m.shape[2:] for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert torch.equal(raw.offsets, torch.cat([by_anchor(m) for m in maps], dim=1))
