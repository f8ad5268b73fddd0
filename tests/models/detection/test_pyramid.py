"""The network of both detectors: its levels, joins and heads, compiled and exported."""

import pytest
import torch
import torch.nn.functional as F
from small_detectors import batch, build, lively

from retina_course import create_model, shapes
from retina_course.models.detection.pyramid import by_anchor


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


def test_images_do_not_mix():
    model, images = lively(build()), batch(classes=1)[0]
    with torch.no_grad():
        both, alone = model.network(images), model.network(images[1:])
    for a, b in zip(both, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-4, rtol=1e-4)
    assert (both.classes[0] - both.classes[1]).abs().max() > 0.1
    again = model(images), model(images)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(*again, strict=True) for k in a)


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


def test_heads_are_shared_by_all_levels_and_read_by_row_column_and_anchor(network, x):
    maps = []
    hook = network.box_head.register_forward_hook(lambda m, i, o: maps.append(o))
    with torch.no_grad():
        raw = network(x)
    hook.remove()
    assert [m.shape[2:] for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert torch.equal(raw.offsets, torch.cat([by_anchor(m) for m in maps], dim=1))


def test_no_image_has_no_detections(network):
    assert by_anchor(torch.zeros(0, 36, 2, 3)).shape == (0, 54, 4)
    assert build().eval()(torch.zeros(0, 3, 64, 64)) == []
