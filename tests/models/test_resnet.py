"""The encoder against torchvision's ResNet: names, shapes, and outputs for synthetic weights.

golden/*.json were computed once with torchvision 0.28, in float64. Weight k of the state dict
(batch counters not counted) has the elements sin(0.7 i + 1.3 k), scaled by the kind of tensor.
"""

import json
from pathlib import Path

import pytest
import torch

from retina_course.models.resnet import ResNetEncoder

GOLDEN = Path(__file__).parents[1] / "golden"

every_depth = pytest.mark.parametrize("name", ["resnet18", "resnet34"])


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def synthetic_weights(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    weights, k = {}, 0
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            weights[name] = value
            continue
        wave = torch.sin(0.7 * torch.arange(value.numel(), dtype=torch.float64) + 1.3 * k)
        wave = wave.reshape(value.shape)
        if value.dim() == 4:
            wave = wave * (0.5 / value[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        elif name.endswith("weight"):
            wave = 1 + 0.1 * wave
        else:
            wave = 0.1 * wave
        weights[name] = wave.float()
        k += 1
    return weights


@every_depth
def test_state_dict_has_torchvisions_names_and_shapes_in_its_order(name):
    state = ResNetEncoder(name).state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == golden(f"{name}_state_dict")
    assert list(state) == list(golden(f"{name}_state_dict"))


@every_depth
def test_features_are_torchvisions_for_the_same_weights(name):
    encoder = ResNetEncoder(name).eval()
    encoder.load_state_dict(synthetic_weights(encoder.state_dict()))
    x = torch.sin(0.37 * torch.arange(2 * 3 * 64 * 96, dtype=torch.float64)).reshape(2, 3, 64, 96)
    with torch.no_grad():
        maps = encoder.double()(x)
    expected = golden(f"{name}_features")
    assert list(expected) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    for found, values in zip(maps, expected.values(), strict=True):
        assert list(found.shape) == values["shape"]
        flat = found.flatten()
        torch.testing.assert_close(flat[:8].tolist(), values["first"], rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(flat[-8:].tolist(), values["last"], rtol=1e-6, atol=1e-9)
        assert flat.mean().item() == pytest.approx(values["mean"], rel=1e-6)
        assert flat.std().item() == pytest.approx(values["std"], rel=1e-6)
