"""Weights of networks that something was put around: the names are those of the network."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from retina_course import weights
from retina_course.models import create_model

CARD = {"model": "unet_small", "options": {}}
PREFIXES = ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.net.")


def same(a, b):
    return all(torch.equal(t, b[name]) for name, t in a.items()) and a.keys() == b.keys()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("unet_small").eval()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_file_with_prefixes_is_loaded(prefix, model, tmp_path):
    tensors = {f"{prefix}{name}": t for name, t in model.state_dict().items()}
    save_file(tensors, tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text(json.dumps(CARD))
    loaded, card = weights.load(tmp_path / "w.safetensors")
    assert same(loaded.state_dict(), model.state_dict())
    assert len(card["sha256"]) == 64


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda m: torch.compile(m, backend="eager"),
        lambda m: nn.DataParallel(torch.compile(m, backend="eager")),
        lambda m: torch.compile(nn.DataParallel(m), backend="eager"),
    ],
)
def test_a_wrapped_network_is_saved_without_prefixes(wrap, model, tmp_path):
    weights.save(tmp_path / "w.safetensors", wrap(model), CARD)
    assert same(load_file(tmp_path / "w.safetensors"), model.state_dict())


def test_a_layer_that_was_compiled_alone_is_loaded_too(model, tmp_path):
    expected = {name: t.clone() for name, t in model.state_dict().items()}
    name = next(name for name, _ in model.named_children())
    setattr(model, name, torch.compile(getattr(model, name), backend="eager"))
    weights.save(tmp_path / "w.safetensors", model, CARD)
    assert same(load_file(tmp_path / "w.safetensors"), expected)


def test_other_names_are_still_refused(model, tmp_path):
    tensors = {f"module.{name}": t for name, t in model.state_dict().items()}
    tensors["extra.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text(json.dumps(CARD))
    with pytest.raises(ValueError, match="do not fit UNetSmall"):
        weights.load(tmp_path / "w.safetensors")
