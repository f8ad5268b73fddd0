"""Look into the network, on the live page: its feature maps are those of torch."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save
from scipy import ndimage
from test_live_page import needs_node, run, segment_job, synthetic

from book._ext.live_page import model
from retina_course import create_model, weights

NAME = "unet_small_any_camera"
ENDS = {"enc1.0": "enc1.2", "enc2.1": "enc2.3", "bneck.1": "bneck.3", "dec1.0": "dec1.2"}


def look(folder, looks):
    """What the page shows for these questions: image, feature map and probabilities of each."""
    job = segment_job(folder, NAME, synthetic(120, 131, seed=1), angle=6) | {"kind": "inside"}
    logs = run(folder, [job | {"looks": looks}])
    for i, log in enumerate(logs):

        def read(kind, shape, i=i):
            return torch.from_numpy(np.fromfile(f"{job['out']}.{i}.{kind}", np.float32)).view(shape)

        image = read("image", (3, *log["image"]))
        yield image, read("map", log["map"]), read("probability", log["size"]), log


def padded(image):
    """An image as the page hands it to the network: its last pixels repeated to multiples of 8."""
    height, width = image.shape[1:]
    return F.pad(image[None], (0, -width % 8, 0, -height % 8), mode="replicate")


def expected(network, image, layer, cuts=()):
    """A layer's output and the probabilities in torch, with zeros in place of encoder maps."""
    maps = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda m, i, o, name=name: maps.update({name: o.clone()}))
    with torch.inference_mode():
        e1 = network.enc1(padded(image))
        e2 = network.enc2(e1)
        e3 = network.enc3(e2)
        x = network.bneck(e3)
        for level, link in (("3", e3), ("2", e2), ("1", e1)):
            kept = 0 if level in cuts else 1
            up = getattr(network, f"upconv{level}")(x)
            x = getattr(network, f"dec{level}")(torch.cat([up, kept * link], dim=1))
        logits = network.conv(x)
    height, width = image.shape[1:]
    return maps[ENDS.get(layer, layer)][0], logits.sigmoid()[0, 0, :height, :width]


@needs_node
def test_feature_maps_are_those_of_torch(tmp_path):
    layers = ["enc1.0", "enc2.0", "enc2.1", "bneck.0", "bneck.1", "upconv2", "dec1.0", "conv"]
    looks = [{"layer": layer} for layer in layers]
    for layer, (image, found, probability, log) in zip(layers, look(tmp_path, looks), strict=True):
        network, _ = weights.load(NAME)
        own, vessels = expected(network, image, layer)
        torch.testing.assert_close(found, own, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(probability, vessels, atol=1e-4, rtol=0)
        assert log["same"]


@needs_node
def test_a_cut_skip_connection_is_a_map_of_zeros(tmp_path):
    cuts = {"1": "enc1.0", "2": "enc2.1", "3": "enc3.1"}
    asked = [("1",), ("3",), ("1", "2", "3")]
    looks = [{"layer": "dec1.0", "cuts": [cuts[level] for level in levels]} for levels in asked]
    for levels, (image, found, probability, log) in zip(asked, look(tmp_path, looks), strict=True):
        own, vessels = expected(weights.load(NAME)[0], image, "dec1.0", levels)
        torch.testing.assert_close(found, own, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(probability, vessels, atol=1e-4, rtol=0)
        assert not log["same"]


@needs_node
def test_noise_blur_and_scale_are_what_they_say(tmp_path):
    looks = [
        {"layer": "enc1.0"},
        {"layer": "enc1.0", "noise": 0.1},
        {"layer": "enc1.0", "blur": 1.5},
    ]
    looks += [{"layer": "enc1.0", "scale": 0.5}]
    (plain, *_), (noisy, *_), (blurred, *_), (small, _, probability, _) = look(tmp_path, looks)
    middle = (plain > 0.4) & (plain < 0.6)  # where nothing is cut off at 0 or 1
    assert (noisy - plain)[middle].std() == pytest.approx(0.1, rel=0.1)
    assert (noisy - plain)[middle].mean() == pytest.approx(0, abs=0.02)
    for ours, before in zip(blurred, plain, strict=True):
        smooth = ndimage.gaussian_filter(before.numpy(), 1.5, mode="nearest", radius=5)
        np.testing.assert_allclose(ours.numpy(), smooth, atol=1e-5)
    half = F.interpolate(plain[None], small.shape[1:], mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(small, half, atol=1e-4, rtol=0)
    assert probability.shape == plain.shape[1:]


@needs_node
def test_a_checkpoint_is_read_or_refused_with_a_reason(tmp_path):
    def changed(**tensors):
        return save({**create_model("unet_small").state_dict(), **tensors})

    own = create_model("unet_small").state_dict()
    fits = {
        "plain": save(own),
        "half": save({k: v.half() if v.is_floating_point() else v for k, v in own.items()}),
        "wrapped": save({f"module.{name}": tensor for name, tensor in own.items()}),
    }
    refused = {
        "is missing": save({k: v for k, v in own.items() if k != "dec1.0.weight"}),
        "conv.bias has the shape 2; UNetSmall with 3 channels and 1 class has 1.": save(
            create_model("unet_small", num_classes=2).state_dict()
        ),
        "bneck.1.bias has the shape 112": save(create_model("unet_large").state_dict()),
        "another network": save(create_model("retina_segmentor").state_dict()),
        "not finite": changed(**{"conv.bias": torch.tensor([torch.nan])}),
        "more.weight is no tensor": changed(**{"more.weight": torch.zeros(2)}),
        "stored as BF16": changed(**{"conv.bias": torch.zeros(1, dtype=torch.bfloat16)}),
        "it is damaged": save(own)[:-100],
        "not a safetensors file": b"PK\x03\x04 a pickle of torch.save",
        "too short": b"",
    }
    jobs = []
    for i, content in enumerate([*fits.values(), *refused.values()]):
        (tmp_path / f"{i}.safetensors").write_bytes(content)
        file = str(tmp_path / f"{i}.safetensors")
        jobs.append({"kind": "checkpoint", "network": model(NAME), "file": file})
    answers = run(tmp_path, jobs)
    names = sorted(name for name, tensor in own.items() if tensor.is_floating_point())
    assert answers[: len(fits)] == [names] * len(fits)
    for reason, answer in zip(refused, answers[len(fits) :], strict=True):
        assert reason in answer, (reason, answer)


@needs_node
def test_a_card_is_read_or_refused_with_a_reason(tmp_path):
    card = {"model": "unet_small", "threshold": 0.25, "fov_diameter": 640}
    refused = {
        'model is "unet_large"': card | {"model": "unet_large"},
        'threshold is "high"; this page expects a number between 0 and 1': card
        | {"threshold": "high"},
        "threshold is 1": card | {"threshold": 1},
        "pixels_per_degree is -3": card | {"pixels_per_degree": -3},
        "pixels_per_degree_range is 20": card | {"pixels_per_degree_range": 20},
        "holds no names": [1, 2],
    }
    texts = [json.dumps(one) for one in (card, weights.load(NAME)[1], *refused.values())]
    jobs = [{"kind": "card", "text": text} for text in [*texts, "{", "null"]]
    given, shipped, *answers = run(tmp_path, jobs)
    assert given == 0.25 and shipped == weights.load(NAME)[1]["threshold"]
    for reason, answer in zip([*refused, "not a JSON", "holds no names"], answers, strict=True):
        assert reason in answer, (reason, answer)
