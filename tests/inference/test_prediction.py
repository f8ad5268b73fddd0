"""`predict`: any size and type, flips, the model left as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_answers import Red, untrained
from torch import nn

from retina_course.inference import predict
from retina_course.models import create_model


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    num_classes=st.integers(1, 3),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64]),
    flips=st.booleans(),
)
def test_any_size_and_type(height, width, num_classes, dtype, flips):
    values = np.random.default_rng(0).random((height, width, 3))
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    image = (values * top).astype(dtype)
    p = predict(untrained(num_classes), image, flips=flips)
    assert p.shape == (num_classes, height, width)
    assert p.dtype == torch.float32 and p.device.type == "cpu"
    assert p.min() >= 0 and p.max() <= 1
    if num_classes > 1:
        torch.testing.assert_close(p.sum(dim=0), torch.ones(height, width))


def test_values_are_those_of_the_model_and_at_their_place():
    image = torch.rand(3, 33, 50)
    torch.testing.assert_close(predict(Red(), image), image[:1].sigmoid())
    torch.testing.assert_close(predict(Red(), image, flips=True), image[:1].sigmoid())
    torch.testing.assert_close(predict(Red(), image, tile=16, overlap=0), image[:1].sigmoid())
    model, fits = untrained(), torch.rand(3, 64, 72)
    with torch.no_grad():
        torch.testing.assert_close(predict(model, fits), model(fits[None])[0].sigmoid())


def test_flip_averaging_is_equivariant_and_an_average():
    model, image = untrained(), torch.rand(3, 61, 43)
    averaged = predict(model, image, flips=True)
    for axes in ((-1,), (-2,), (-2, -1)):
        mirrored = predict(model, image.flip(axes), flips=True).flip(axes)
        torch.testing.assert_close(mirrored, averaged, atol=1e-6, rtol=0)
    parts = [predict(model, image.flip(a)).flip(a) for a in ((), (-1,), (-2,), (-2, -1))]
    torch.testing.assert_close(averaged, torch.stack(parts).mean(0), atol=1e-6, rtol=0)


def test_each_module_keeps_its_mode_also_after_an_error():
    model = untrained().train()
    model.enc1.eval()  # frozen statistics
    before = [module.training for module in model.modules()]
    statistics = model.enc2[2].running_mean.clone()
    predict(model, torch.rand(3, 16, 16))
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model.enc2[2].running_mean, statistics)
    model.conv.weight.data = torch.zeros(1, 5, 1, 1)  # fits no input
    with pytest.raises(RuntimeError):
        predict(model, torch.rand(3, 16, 16))
    assert [module.training for module in model.modules()] == before


def test_the_result_is_an_ordinary_tensor():
    p = predict(untrained(), torch.rand(3, 16, 16))
    scale = torch.ones(1, requires_grad=True)
    (p * scale).sum().backward()
    assert scale.grad is not None


def test_half_precision_models_give_float32():
    p = predict(untrained().bfloat16(), torch.rand(3, 16, 16))
    assert p.dtype == torch.float32


def test_probabilities_of_half_precision_logits_are_computed_in_float32():
    class Logit(nn.Module):
        def forward(self, x):
            return torch.full_like(x[:, :1], 3.0).bfloat16()

    p = predict(Logit(), torch.rand(3, 8, 8))
    torch.testing.assert_close(p, torch.full((1, 8, 8), 3.0).sigmoid(), atol=1e-7, rtol=0)


def test_models_that_are_no_segmentation_network():
    with pytest.raises(ValueError, match="Sequential returned"):
        predict(nn.Sequential(nn.Flatten()), torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="RetinaNet returned list"):
        predict(create_model("retina_net"), torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="Expected 1 channels, got 3"):
        predict(create_model("unet_small", in_channels=1), torch.rand(3, 16, 16))


def test_the_model_goes_to_the_device_that_is_given_and_else_stays(monkeypatch):
    model, moved = untrained(), []
    monkeypatch.setattr(model, "to", moved.append)
    predict(model, torch.rand(3, 16, 16))
    assert moved == []
    predict(model, torch.rand(3, 16, 16), device="cpu")
    assert moved == ["cpu"]
