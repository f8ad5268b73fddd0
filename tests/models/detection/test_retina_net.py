"""RetinaNet is Retina U-Net without segmentation; what both have in common."""

import pytest
import torch
from small_detectors import TINY, batch, build, lively

from retina_course import create_model, list_models, weights
from retina_course.models import DETECTORS, RetinaNet, RetinaUNetDetector


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
