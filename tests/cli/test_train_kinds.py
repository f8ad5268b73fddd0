"""`retina-course train`: fine-tuning, and detectors."""

import json

import numpy as np
import pytest
import torch
from command_line import CARD, TINY, run
from PIL import Image

from retina_course import weights
from retina_course.cli import training_kinds
from retina_course.models import create_model


@pytest.fixture
def boxes(tmp_path):
    """Three photographs with a bright disc and its box; the last one shows nothing."""
    folder = tmp_path / "boxes"
    folder.mkdir()
    y, x = np.mgrid[:96, :96]
    for i in range(3):
        image = np.random.default_rng(i).integers(60, 90, (96, 96, 3), dtype=np.uint8)
        image[..., 2] //= 4
        if i < 2:
            image[np.hypot(y - 40, x - 30 - 20 * i) < 12] = (220, 200, 90)
        image[np.hypot(y - 48, x - 48) > 46] = 0
        Image.fromarray(image).save(folder / f"{i:04d}.png")
        line = f"0 {(30 + 20 * i) / 96} {40 / 96} 0.25 0.25\n" if i < 2 else ""
        (folder / f"{i:04d}.txt").write_text(line)
    return folder


def error(capsys):
    return capsys.readouterr().err.split("\r")[-1]


def test_fine_tuning_starts_from_the_weights_and_says_so(data, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        training_kinds,
        "train_vessels",
        lambda *a, initial, **k: started.append(initial) or real(*a, initial=initial, **k),
    )
    out = tmp_path / "run"
    assert run("train", "--data", data, "--from", "unet_small", "-o", out, *TINY) == 0
    model, shipped = weights.load("unet_small")
    assert torch.equal(started[0]["conv.weight"], model.state_dict()["conv.weight"])
    _, card = weights.load(out / "unet_small.safetensors")
    origin = card["fine_tuned_from"]
    assert origin["weights"] == "unet_small" and origin["sha256"] == shipped["sha256"]
    assert "CHASE_DB1" in origin["training_data"] and card["options"] == shipped["options"]
    assert card["trained_on"][:8] == shipped["trained_on"] and len(card["trained_on"]) == 10
    assert card["recipe"]["lr"] == 1e-3 and card["fov_diameter"] == 100  # as given


real = training_kinds.train_vessels


def test_what_is_not_given_comes_from_the_weights(data, tmp_path, weights_file):
    arguments = ("--data", data, "--from", weights_file, "--steps", 1, "--crop", 64)
    assert run("train", *arguments, "--lr", "0.005", "-o", tmp_path / "run") == 0
    _, card = weights.load(tmp_path / "run" / "unet_small.safetensors")
    assert card["fov_diameter"] == CARD["fov_diameter"] and card["recipe"]["lr"] == 0.005
    assert card["fine_tuned_from"]["weights"] == "mine.safetensors"
    assert len(card["fine_tuned_from"]["sha256"]) == 64
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["from"] == card["fine_tuned_from"]["sha256"]


def test_fine_tuning_with_no_step_to_speak_of_keeps_the_weights(data, tmp_path):
    arguments = ("--data", data, "--from", "unet_small", "--lr", "1e-12", "--steps", 1)
    assert run("train", *arguments, "--crop", "64", "-o", tmp_path / "run") == 0
    tuned, _ = weights.load(tmp_path / "run" / "unet_small.safetensors")
    shipped, _ = weights.load("unet_small")
    for name, parameter in shipped.named_parameters():
        torch.testing.assert_close(tuned.get_parameter(name), parameter)


def test_weights_that_cannot_be_the_start_are_refused(data, tmp_path, capsys, detector_file):
    out = ("--data", data, "-o", tmp_path / "run")
    assert run("train", "--from", "unet_small", "--model", "linknet", *out) == 1
    assert "unet_small are the weights of unet_small, not of linknet" in error(capsys)
    two = tmp_path / "two.safetensors"
    weights.save(
        two, create_model("unet_small", num_classes=2), CARD | {"options": {"num_classes": 2}}
    )
    assert run("train", "--from", two, *out) == 1
    assert "has num_classes 2; these data need 1" in error(capsys)
    assert run("train", "--from", "nothing", *out) == 1
    assert "No weights named 'nothing'" in error(capsys)
    assert not (tmp_path / "run").exists()


def test_a_detector_is_trained_and_detects(boxes, tmp_path, capsys):
    out = tmp_path / "run"
    train = ("train", "--data", boxes, "--model", "retina_net", "-o", out, "--fov-diameter", 96)
    train += ("--steps", 3, "--batch-size", 2)
    assert run(*train) == 0
    text = capsys.readouterr().out
    assert "Photographs without a box: 1 of 3 (0002)." in text
    assert "Average precision at IoU 0.5 on the training images: optic disc 0." in text
    _, card = weights.load(out / "retina_net.safetensors")
    assert card["classes"] == ["optic disc", "hard exudates", "haemorrhages"]
    assert 0 < card["threshold"] <= 1 and len(card["trained_on"]) == 3
    assert "crop" not in card["recipe"] and card["recipe"]["steps"] == 3
    photo = boxes / "0000.png"
    arguments = ("-o", tmp_path / "found", "--weights", out / "retina_net.safetensors")
    assert run("detect", photo, *arguments) == 0
    assert (
        run(
            "train",
            "--data",
            boxes,
            "--from",
            out / "retina_net.safetensors",
            "-o",
            tmp_path / "tuned",
            "--steps",
            1,
            "--batch-size",
            2,
        )
        == 0
    )
    _, tuned = weights.load(tmp_path / "tuned" / "retina_net.safetensors")
    assert tuned["fov_diameter"] == 96 and tuned["recipe"]["lr"] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "more, told",
    [
        (("--crop", 64, "--rotation", 9), "whole photographs: leave out --crop, --rotation"),
        (("--vessels", "black"), "leave out --vessels"),
        (("--data", "chase_db1"), "chase_db1 has vessels, not boxes"),
        (("--data", "idrid"), "Did you mean idrid_boxes?"),
        (("--batch-size", 1, "--fov-diameter", 24), "too little for batch normalisation"),
    ],
)
def test_what_a_detector_does_not_take_is_told(more, told, boxes, tmp_path, capsys):
    arguments = ("--data", boxes, "--model", "retina_unet_detector", "-o", tmp_path / "run")
    assert run("train", *arguments, "--steps", 1, *more) == 1
    assert told in error(capsys)


def test_a_folder_without_any_box_is_refused(boxes, tmp_path, capsys):
    for text in boxes.glob("*.txt"):
        text.write_text("")
    arguments = ("--data", boxes, "--model", "retina_net", "-o", tmp_path / "run")
    assert run("train", *arguments, "--steps", 1) == 1
    assert "No photograph has a box" in error(capsys)


def test_the_scores_are_those_of_the_training_photographs_in_their_own_fields(data, tmp_path):
    """Threshold and F1 of the card, as `evaluate` finds them; in fields of view that are given."""
    (data / "fov").mkdir()
    for i in range(2):
        field = np.zeros((120, 120), np.uint8)
        field[30:90, 20:80] = 255
        Image.fromarray(field).save(data / "fov" / f"eye{i}.png")
    out, scores = tmp_path / "run", tmp_path / "scores.json"
    assert run("train", "--data", data, "-o", out, *TINY) == 0
    _, card = weights.load(out / "unet_small.safetensors")
    weights_file = ("--weights", out / "unet_small.safetensors", "--json", scores)
    assert run("evaluate", "--data", data, *weights_file) == 0
    stored = json.loads(scores.read_text())
    assert stored["threshold"] == card["threshold"] != 0.5
    for name in ("auc", "f1", "sensitivity"):
        assert card["metrics"][name] == pytest.approx(stored["pooled"][name], abs=1e-4)
    assert run("evaluate", "--data", data, *weights_file, "--threshold", "0.9999") == 0
    assert json.loads(scores.read_text())["pooled"]["f1"] <= stored["pooled"]["f1"]
