"""The steps of a network for another language; tests/project runs them in JavaScript."""

import pytest
from torch import nn

from retina_course import LinkNet, RetinaSegmentor, SegNet, UNetSmall, WNet
from retina_course.models import create_model
from retina_course.weights import layer_plan


def test_every_weight_of_the_network_is_read_once():
    networks = [UNetSmall(), RetinaSegmentor(), create_model("unet_large", fold=4), WNet().eval()]
    for network in networks:
        plan = layer_plan(network)
        layers = [step["to"] for step in plan if step["kind"] in ("conv", "transposed", "norm")]
        norms = [step["norm"] for step in plan if step.get("norm")]
        read = [*layers, *norms]
        expected = [n for n, m in network.named_modules() if [*m.parameters(recurse=False)]]
        assert sorted(read) == sorted(expected)


def test_a_step_reads_maps_that_were_made_before():
    made = {"x"}
    for step in layer_plan(RetinaSegmentor()):
        assert made >= set(step["from"])
        assert step["to"] not in made
        made.add(step["to"])


def test_a_relu_between_belongs_to_its_step():
    plan = {step["to"]: step for step in layer_plan(RetinaSegmentor())}
    assert plan["layer1.conv1"]["relu"] and not plan["layer1.conv2"]["relu"]
    assert not plan["conv1"]["relu"] and not plan["conv1"]["norm"]
    assert plan["conv2"]["relu"] and plan["add"]["relu"]


def test_a_batch_norm_behind_a_relu_is_a_step_of_its_own():
    plan = {step["to"]: step for step in layer_plan(WNet().eval())}
    assert plan["stage1.enc1.0"]["relu"] and not plan["stage1.enc1.0"]["norm"]
    assert plan["stage1.enc1.2"]["kind"] == "norm"
    assert plan["stage1.enc1.2"]["from"] == ["stage1.enc1.0"]
    assert plan["stage1.enc1.shortcut.0"]["norm"] == "stage1.enc1.shortcut.1"
    assert plan["stage2.enc1.0"]["from"] == ["x", "stage1.head"]


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 5, padding=2)),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)),
        nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2)),
        nn.Sequential(nn.MaxPool2d(3)),
        nn.Sequential(nn.ReLU()),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU()),
        SegNet(),
        LinkNet(),
    ],
    ids=["5x5", "groups", "odd", "pool", "relu-first", "relu-norm-relu", "segnet", "linknet"],
)
def test_what_the_page_cannot_compute_is_refused(network):
    with pytest.raises(ValueError, match="A plan cannot have"):
        layer_plan(network)
