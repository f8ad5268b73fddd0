"""A photograph, weights and a data set on the disk."""

import pytest
import torch
from command_line import CARD, photograph
from PIL import Image

from retina_course import weights
from retina_course.models import create_model


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "eye.png"
    Image.fromarray(photograph()[0]).save(path)
    return path


@pytest.fixture
def weights_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights" / "mine.safetensors"
    weights.save(path, create_model("unet_small"), CARD)
    return path


@pytest.fixture
def data(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for i in range(2):
        image, vessels = photograph(seed=i)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"eye{i}.png")
        Image.fromarray(vessels).save(tmp_path / "data" / "masks" / f"eye{i}.png")
    return tmp_path / "data"


@pytest.fixture
def detector_file(tmp_path):
    """An untrained detector that sees the second of three classes in every anchor."""
    torch.manual_seed(0)
    options = {"num_classes": 3, "width": 4, "pyramid_channels": 8, "head_channels": 8}
    model = create_model("retina_net", **options)
    with torch.no_grad():
        model.network.class_head[-1].bias.view(9, 3)[:, 1] = 2.0
    card = {"model": "retina_net", "options": options, "fov_diameter": 96, "threshold": 0.5}
    card["classes"] = ["optic disc", "hard exudates", "haemorrhages"]
    path = tmp_path / "weights" / "boxes.safetensors"
    weights.save(path, model, card)
    return path
