"""A new network: in training mode, batch norm and first weights as each network documents them."""

import inspect
import math
from functools import partial

import pytest
import torch
from torch import nn

from retina_course import create_model, list_models, models
from retina_course.models.resnet import ResNetEncoder
from retina_course.models.retina_unet import as_in_keras

SMALL = {"width": 16, "pyramid_channels": 16, "head_channels": 16}
NETWORKS = {
    "unet_small": {},
    "unet_large": {"fold": 2},
    "segnet": {"separable": True},
    "retina_unet": {},
    "retina_segmentor": {},
    "linknet": {"up": "upsample"},
    "w_net": {},
    "retina_net": SMALL,
    "retina_unet_detector": {"encoder": "resnet50", "class_loss": "hard_negatives"} | SMALL,
}


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return {name: create_model(name, **options) for name, options in NETWORKS.items()}


def convolutions(module):
    kinds = nn.Conv2d, nn.ConvTranspose2d
    return {name: m for name, m in module.named_modules() if isinstance(m, kinds)}


def test_a_network_has_three_channels_and_one_output_by_default():
    kinds = [getattr(models, name) for name in models.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and kind is not models.Folded]
    assert len(kinds) == len(list_models())
    for kind in kinds:
        parameters = inspect.signature(kind).parameters
        assert [parameters[name].default for name in ("in_channels", "num_classes")] == [3, 1], kind
    model = create_model("unet_large")
    assert (model.in_channels, model.num_classes) == (3, 1)


def test_sides_are_multiples_of_all_halvings(built):
    """With `fold=2` UNetLarge needs twice its 8; SegNet takes any side, but its tiles do not."""
    expected = dict.fromkeys(NETWORKS, 32) | {"unet_small": 8, "unet_large": 16, "segnet": 1}
    expected |= {"retina_unet": 16, "retina_segmentor": 16, "w_net": 4}
    assert {name: model.size_multiple for name, model in built.items()} == expected
    assert built["segnet"].total_stride == 16


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_in_training_mode_and_all_of_it_is_learned(built, name):
    assert all(module.training for module in built[name].modules())
    fixed = {n.split(".")[1] for n, p in built[name].named_parameters() if not p.requires_grad}
    branch = {"lateral1", "lateral0", "smooth0", "segmentation_head"}
    assert fixed == (branch if name == "retina_net" else set())


@pytest.mark.parametrize("name", NETWORKS)
def test_batch_norm_has_the_constants_of_torch_or_of_keras(built, name):
    norms = [m for m in built[name].modules() if isinstance(m, nn.BatchNorm2d)]
    constants = (1e-3, 0.01) if name == "retina_unet" else (1e-5, 0.1)
    assert {(m.eps, m.momentum, m.affine, m.track_running_stats) for m in norms} == {
        (*constants, True, True)
    }
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.running_var == 1).all()
        assert (norm.bias == 0).all() and (norm.running_mean == 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_relu_overwrites_its_input_to_save_memory_but_in_the_heads(built, name):
    relus = {n: m for n, m in built[name].named_modules() if isinstance(m, nn.ReLU)}
    assert relus and {n for n, m in relus.items() if not m.inplace} == {
        n for n in relus if "_head." in n
    }


def spread(weights, uniform):
    """Check many numbers, in standard deviations of one, against the shape of their spread."""
    weights = torch.cat([w.detach().double().flatten() for w in weights])
    n = len(weights)
    assert n > 5000
    assert weights.mean().item() == pytest.approx(0, abs=5 / n**0.5)
    assert weights.square().mean().item() == pytest.approx(1, abs=5 * (2 / n) ** 0.5)
    # The fourth moment tells a uniform spread (9/5) from a normal one (3).
    assert weights.pow(4).mean().item() == pytest.approx(1.8 if uniform else 3, abs=50 / n**0.5)


@pytest.mark.parametrize("name", ["unet_large", "segnet", "retina_segmentor", "w_net"])
def test_first_weights_that_a_network_leaves_to_torch(built, name):
    """Uniform up to 1 / root of the fan-in, weights and biases."""
    weights = []
    for conv in convolutions(built[name]).values():
        bound = conv.weight[0].numel() ** -0.5
        weights += [t * 3**0.5 / bound for t in (conv.weight, conv.bias) if t is not None]
    spread(weights, uniform=True)
    assert max(w.abs().max() for w in weights) <= 3**0.5 * (1 + 1e-6)


def test_first_weights_of_the_encoder_are_normal_by_its_fan_out():
    torch.manual_seed(0)
    groups = {1: [], 3: [], 7: []}
    for conv in convolutions(ResNetEncoder("resnet18", in_channels=4)).values():
        size = conv.kernel_size[0]
        groups[size].append(conv.weight * (conv.out_channels * size**2 / 2) ** 0.5)
    assert [len(group) for group in groups.values()] == [3, 16, 1]
    for group in groups.values():  # 1x1 and 7x7: fan-in and fan-out differ
        spread(group, uniform=False)


def test_first_weights_of_linknets_decoder_are_torchs(built):
    found = convolutions(built["linknet"])
    decoder = [conv for name, conv in found.items() if not name.startswith("encoder.")]
    scaled = [c.weight * (3 * c.weight[0].numel()) ** 0.5 for c in decoder]
    spread(scaled, uniform=True)


def test_first_weights_of_retina_unet_are_glorots(built):
    found = convolutions(built["retina_unet"])
    assert len(found) == 23
    for name, conv in found.items():
        ends = conv.weight[0].numel() + conv.weight[:, 0].numel()  # fan-in and fan-out
        scaled = conv.weight / (6 / ends) ** 0.5
        assert 0.8 < scaled.abs().max() <= 1 + 1e-6, name
        assert scaled.mean().item() == pytest.approx(0, abs=5 * (3 * scaled.numel()) ** -0.5), name
        assert (conv.bias == 0).all(), name
    spread([found["up1"].weight * (768 / 6 * 3) ** 0.5], uniform=True)


@pytest.mark.parametrize("name", ["retina_net", "retina_unet_detector"])
def test_first_weights_of_the_detectors(built, name):
    """Normal by the fan-in; the three last layers near 0, the classes' bias by the prior."""
    network, last = built[name].network, {}
    found = convolutions(network)
    for key in ("class_head.8", "box_head.8", "segmentation_head"):
        last[key] = found.pop(key)
    spread([c.weight * (c.weight[0].numel() / 2) ** 0.5 for c in found.values()], uniform=False)
    assert all((c.bias == 0).all() for c in found.values() if c.bias is not None)
    spread([last[key].weight / 0.01 for key in ("class_head.8", "box_head.8")], uniform=False)
    assert last["segmentation_head"].weight.std().item() == pytest.approx(0.01, rel=0.5)
    assert (last["box_head.8"].bias == 0).all() and (last["segmentation_head"].bias == 0).all()
    rare = -math.log(99)  # a probability of 0.01
    bias = last["class_head.8"].bias.view(9, -1)
    expected = [0.0, rare] if name == "retina_unet_detector" else [rare]
    torch.testing.assert_close(bias, torch.tensor([expected] * 9))


def test_keras_settings_are_for_convolutions_and_batch_norm_alone():
    layers = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.Linear(2, 3), nn.GroupNorm(1, 2))
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    layers.apply(as_in_keras)
    same = {name: torch.equal(value, before[name]) for name, value in layers.state_dict().items()}
    assert [name for name, equal in same.items() if not equal] == ["0.weight"]
    assert layers[2].eps == 1e-5


def test_on_the_meta_device_a_detector_has_shapes_and_no_first_weights(monkeypatch):
    monkeypatch.setattr(nn.init, "kaiming_normal_", None)  # there it loads torch's compiler
    with torch.device("meta"):
        model = create_model("retina_unet_detector", **SMALL)
    assert {p.device.type for p in model.parameters()} == {"meta"}


def test_the_same_seed_gives_the_same_first_weights():
    build = partial(create_model, "unet_small")
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build().state_dict()["enc1.0.weight"])
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
