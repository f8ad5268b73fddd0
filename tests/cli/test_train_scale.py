"""`retina-course train` stores the scale of its photographs in the card."""

import json

import pytest
import torch
from command_line import CARD, TINY, photograph, run
from PIL import Image

from retina_course import weights
from retina_course.cli import training_kinds
from retina_course.inference import working_diameter
from retina_course.models import create_model
from retina_course.training.recipe import stack_images


@pytest.fixture
def trained(data, tmp_path):
    """Train, with other options, and return the card."""

    def call(*options, out="run", tiny=TINY):
        assert run("train", "--data", data, "-o", tmp_path / out, *tiny, *options) == 0
        return weights.load(tmp_path / out / "unet_small.safetensors")[1]

    return call


@pytest.fixture
def scaled(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights" / "scaled.safetensors"
    scale = {"pixels_per_degree": 2.5, "pixels_per_degree_range": [2.0, 3.0]}
    weights.save(path, create_model("unet_small"), CARD | scale)
    return path


def test_the_angle_is_stored_and_the_scale_that_follows(trained):
    card = trained("--field-angle", 40)
    assert card["field_angles"] == [40] and card["fov_diameter"] == 100
    assert card["pixels_per_degree"] == 2.5
    assert card["pixels_per_degree_range"] == [2.125, 3.0]  # 0.85 and 1.2 times
    assert working_diameter(500, 40, card).diameter == 100


def test_without_an_angle_the_card_says_no_scale_in_degrees(trained, capsys):
    card = trained()
    assert card["fov_diameter"] == 100
    assert not {"pixels_per_degree", "pixels_per_degree_range", "field_angles"} & card.keys()
    assert "Field angle: not known. The weights will suit" in capsys.readouterr().out


def test_photographs_of_two_cameras_are_trained_at_one_scale(trained, tmp_path, monkeypatch):
    angles = tmp_path / "angles.csv"
    angles.write_text("file,degrees\neye0.png,25\neye1.png,50\n")
    real, widths = training_kinds.train_vessels, []

    def spy(name, dataset, recipe, **options):
        images, _ = stack_images(dataset, recipe.fov_diameter, options["pixels_per_degree"])
        lit = (images.amax(dim=1) > 20 / 255).any(dim=1).sum(dim=-1)
        widths.extend(lit.tolist())
        return real(name, dataset, recipe, **options)

    monkeypatch.setattr(training_kinds, "train_vessels", spy)
    card = trained("--field-angle", angles, tiny=(*TINY[:3], 32, *TINY[4:]))
    assert widths == [pytest.approx(50, abs=2), pytest.approx(100, abs=2)]
    assert card["field_angles"] == [25, 50] and card["pixels_per_degree"] == 2.0


def test_a_run_with_another_angle_is_another_run(trained, data, tmp_path, capsys):
    trained("--field-angle", 40)
    assert run("train", "--data", data, "-o", tmp_path / "run", *TINY, "--field-angle", 45) == 1
    assert "holds a run with other settings: field_angles" in capsys.readouterr().err
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["field_angles"] == [40, 40]


@pytest.mark.parametrize(
    ("options", "diameter", "angle", "assumed"),
    [(("--field-angle", 60), 150, 60, False), ((), 112, 45, True)],
)
def test_fine_tuning_keeps_the_scale_of_the_weights(
    trained, scaled, capsys, options, diameter, angle, assumed
):
    card = trained("--from", scaled, *options, tiny=TINY[:-2])
    assert card["fov_diameter"] == diameter and card["field_angles"] == [angle]
    assert card["pixels_per_degree"] == pytest.approx(2.5, abs=0.02)
    told = "warning: Field angle of 45 degrees assumed; say the right one with --field-angle."
    assert (told in capsys.readouterr().err) == assumed


def test_a_detector_stores_its_scale_too(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "boxes"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(photograph(seed=i, size=96)[0]).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text("0 0.5 0.5 0.25 0.25\n")

    def card_of(out, *options):
        arguments = ("--data", folder, "--model", "retina_net", "-o", tmp_path / out)
        numbers = ("--steps", 1, "--batch-size", 2, "--fov-diameter", 64)
        assert run("train", *arguments, *numbers, *options) == 0
        return weights.load(tmp_path / out / "retina_net.safetensors")[1]

    card = card_of("known", "--field-angle", 32)
    assert card["pixels_per_degree"] == 2.0 and card["pixels_per_degree_range"] == [1.6, 2.5]
    assert "pixels_per_degree" not in card_of("unknown")  # IDRiD's angle is not theirs
    assert "Field angle: not known" in capsys.readouterr().out
    angles = tmp_path / "angles.csv"
    angles.write_text("file,degrees\n0.png,16\n1.png,32\n")
    real, given = training_kinds.detect, []
    monkeypatch.setattr(
        training_kinds, "detect", lambda *a, **k: given.append(k["field_angle"]) or real(*a, **k)
    )
    mixed = card_of("mixed", "--field-angle", angles)
    assert given == [16, 32]
    assert mixed["field_angles"] == [16, 32] and mixed["pixels_per_degree"] == 2.0


def test_the_map_that_chooses_the_threshold_has_this_scale(trained, monkeypatch):
    real, given = training_kinds.segment, []
    monkeypatch.setattr(
        training_kinds, "segment", lambda *a, **k: given.append(k["field_angle"]) or real(*a, **k)
    )
    trained("--field-angle", 40)
    assert given == [40, 40]
