"""`retina-course train`, and `evaluate` of what it wrote."""

import json

import pytest
from command_line import TINY, run

from retina_course import weights


def test_a_run_that_never_began_does_not_block_the_corrected_command(data, tmp_path, capsys):
    train = ("train", "--data", data, "-o", tmp_path / "run", *TINY)
    assert run(*train, "--crop", "5000") == 1
    assert "do not fit" in capsys.readouterr().err
    assert run(*train) == 0


def test_masks_and_fields_of_view_mixed_up_are_named_before_the_training(data, tmp_path, capsys):
    (data / "fov").mkdir()
    for mask in (data / "masks").iterdir():
        (data / "fov" / mask.name).write_bytes(mask.read_bytes())
    arguments = ("--data", data, "--model", "unet_small", "--steps", 2, "-o", tmp_path / "run")
    assert run("train", *arguments) == 1
    assert "labels 100% of" in (error := capsys.readouterr().err) and "mixed up?" in error
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_train_then_evaluate(data, tmp_path, capsys):
    out = tmp_path / "run"
    train = ("train", "--data", data, "-o", out, *TINY)
    assert run(*train, "--seed", "3") == 0
    model, card = weights.load(out / "unet_small.safetensors")
    assert 0 < card["threshold"] < 1 and card["seed"] == 3
    assert "eye0" in card["training_data"] and "training images" in card["metrics"]["set"]
    assert len(json.loads((out / "history.json").read_text())["loss"]) == 3
    assert "3 steps" in capsys.readouterr().out
    first = (out / "unet_small.safetensors").read_bytes()

    assert run(*train, "--seed", "3") == 0  # again: continues from the last step
    assert (out / "unet_small.safetensors").read_bytes() == first
    assert run(*train, "--seed", "4") == 1
    assert "other settings" in capsys.readouterr().err

    weights_file = out / "unet_small.safetensors"
    nowhere = tmp_path / "nowhere" / "scores.json"
    assert run("evaluate", "--data", data, "--weights", weights_file, "--json", nowhere) == 1
    assert "There is no folder" in capsys.readouterr().err

    scores = tmp_path / "scores.json"
    weights_file = out / "unet_small.safetensors"
    assert run("evaluate", "--data", data, "--weights", weights_file, "--json", scores) == 0
    table = capsys.readouterr().out
    result = json.loads(scores.read_text())
    assert f"{result['pooled']['auc']:.4f}" in table and "empty" in table
    assert [row["name"] for row in result["per_image"]] == ["eye0", "eye1"]
    assert result["threshold"] == card["threshold"]
    assert result["pooled"]["f1"] == pytest.approx(card["metrics"]["f1"])
    assert result["empty"]["sensitivity"] == 0 and result["empty"]["specificity"] == 1
    assert "second observer" not in table


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--data", "no_such_folder"), "There is no folder no_such_folder"),
        (("--data", "drive"), "RETINA_COURSE_DATA"),
        (("--data", "elsewhere/HRF"), "no folder"),
        (("--data", "DATA", "--crop", "4000"), "4000 pixels do not fit"),
        (("--data", "DATA", "--steps", "0"), "steps must be positive"),
    ],
)
def test_training_that_cannot_start(arguments, message, data, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RETINA_COURSE_DATA", raising=False)
    arguments = [str(data) if a == "DATA" else a for a in arguments]
    assert run("train", "-o", tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err.split("\r")[-1]  # behind the bar
    assert error.startswith("retina-course: error: ") and message in error
    assert not list(tmp_path.glob("out/*.safetensors"))
