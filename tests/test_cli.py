import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from retina_course import weights
from retina_course.cli import commands, inputs, photo_commands
from retina_course.cli import parser as cli
from retina_course.data import files
from retina_course.data.images import read_image
from retina_course.inference import segment
from retina_course.models import create_model

CARD = {"model": "unet_small", "options": {}, "fov_diameter": 100, "threshold": 0.5}
TINY = ("--steps", "3", "--crop", "64", "--batch-size", "2", "--fov-diameter", "100")


def photograph(seed=0, size=120):
    """A small round field with a dark cross for vessels: image uint8 `(H, W, 3)`, mask bool."""
    y, x = np.mgrid[:size, :size] - size / 2
    vessels = ((abs(y) < 3) | (abs(x) < 2)) & (np.hypot(x, y) < 0.4 * size)
    image = np.random.default_rng(seed).integers(90, 130, (size, size, 3), dtype=np.uint8)
    image[vessels] //= 2
    image[np.hypot(x, y) > 0.42 * size] = 0
    return image, vessels


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


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


# --- segment -------------------------------------------------------------------------------------


def test_segment_writes_the_three_pictures(photo, weights_file, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert run("segment", photo, "-o", out, "--weights", weights_file) == 0
    names = ["eye_overlay.jpg", "eye_probability.png", "eye_vessels.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    model, card = weights.load(weights_file)
    probability, fov = segment(model, photo, card)
    written = np.asarray(Image.open(out / "eye_probability.png"))
    assert written.dtype == np.uint16
    assert np.abs(written / 65535 - probability.numpy()).max() < 1e-4
    vessels = np.asarray(Image.open(out / "eye_vessels.png"))
    assert np.array_equal(vessels, np.where((probability >= 0.5) & fov, 255, 0))
    assert read_image(out / "eye_overlay.jpg").shape == (3, 120, 120)
    line = capsys.readouterr().out
    share = ((probability >= 0.5) & fov).sum() / fov.sum()
    assert "120x120" in line and f"{share:.1%}" in line and line.count("\n") == 1


def test_threshold_and_flips_are_used(photo, weights_file, tmp_path):
    pictures = []
    for i, more in enumerate([(), ("--threshold", "0.9999"), ("--no-flips",)]):
        run("segment", photo, "-o", tmp_path / str(i), "--weights", weights_file, *more)
        files = ("eye_vessels.png", "eye_probability.png")
        pictures.append([np.asarray(Image.open(tmp_path / str(i) / file)) for file in files])
    assert pictures[1][0].max() == 0
    assert np.array_equal(pictures[1][1], pictures[0][1])
    assert not np.array_equal(pictures[2][1], pictures[0][1])


def test_a_bad_photograph_does_not_stop_the_others(photo, weights_file, tmp_path, capsys):
    bad, absent, black = tmp_path / "bad.jpg", tmp_path / "absent.jpg", tmp_path / "black.png"
    bad.write_text("no picture")
    Image.new("RGB", (40, 40)).save(black)
    photos = (bad, photo, absent, black)
    assert run("segment", *photos, "-o", tmp_path, "--weights", weights_file) == 1
    assert (tmp_path / "eye_vessels.png").exists() and not (tmp_path / "bad_vessels.png").exists()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"retina-course: error: {bad} is not an image")
    assert lines[1] == f"retina-course: error: No image file {absent}."
    assert lines[2].startswith(f"retina-course: error: {black}: No pixel is brighter")
    assert lines[3] == f"retina-course: 3 of 4 photographs failed: {bad}, {absent}, {black}"


def test_a_name_that_the_terminal_cannot_show_does_not_stop_the_others(
    photo, weights_file, tmp_path, monkeypatch
):
    other = photo.with_name("a_\u0142.png")
    other.write_bytes(photo.read_bytes())
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("segment", other, photo, "-o", tmp_path / "o", "--weights", weights_file) == 0
    terminal.flush()
    assert rb"a_\u0142.png" in terminal.buffer.getvalue()
    assert len(list((tmp_path / "o").iterdir())) == 6


def test_two_photographs_of_one_name_are_refused(photo, weights_file, tmp_path, capsys):
    other = tmp_path / "other" / "EYE.jpg"
    assert run("segment", photo, other, "-o", tmp_path / "out", "--weights", weights_file) == 1
    assert "would write the same files" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file(photo, weights_file, capsys):
    assert run("segment", photo, "-o", photo, "--weights", weights_file) == 1
    assert f"File exists: {photo}" in capsys.readouterr().err


def test_nothing_half_written(photo, weights_file, tmp_path, monkeypatch, capsys):
    def no_space(*_):
        raise OSError(28, "No space left on device", "eye_vessels.png")

    monkeypatch.setattr(files.os, "replace", no_space)
    assert run("segment", photo, "-o", tmp_path / "out", "--weights", weights_file) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_weights_without_a_threshold(photo, tmp_path, capsys):
    card = {key: value for key, value in CARD.items() if key != "threshold"}
    weights.save(tmp_path / "w.safetensors", create_model("unet_small"), card)
    arguments = ("segment", photo, "-o", tmp_path / "out", "--weights", tmp_path / "w.safetensors")
    assert run(*arguments) == 1
    assert "--threshold" in capsys.readouterr().err
    assert run(*arguments, "--threshold", "0.5") == 0


# --- train and evaluate --------------------------------------------------------------------------


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
    assert "every pixel" in (error := capsys.readouterr().err) and "mixed up?" in error
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_evaluate_refuses_a_folder_for_its_json(data, weights_file, tmp_path, capsys):
    arguments = ("--data", data, "--weights", weights_file, "--json", tmp_path)
    assert run("evaluate", *arguments) == 1
    assert "is a folder; --json takes the name of a file" in capsys.readouterr().err


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


def test_a_second_observer_has_a_column(weights_file, capsys, monkeypatch, data):
    image, vessels = photograph()
    photo = commands.datasets.Photograph("a", "a", image, vessels, image.max(-1) > 0, vessels)

    class Two(list):
        def digest(self):
            return "none"

    monkeypatch.setitem(inputs.SETS, "stare", lambda split: Two([photo, photo]))
    assert run("evaluate", "--data", "stare", "--weights", weights_file) == 0
    table = capsys.readouterr().out
    header, *rows = table.splitlines()[2:]
    assert header.split() == ["pooled", "mean", "sd", "second", "observer", "empty"]
    f1 = next(row for row in rows if row.startswith("f1"))
    assert f1.split()[4:] == ["1.0000", "0.0000"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--data", "no_such_folder"), "no images"),
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
    error = capsys.readouterr().err
    assert error.startswith("retina-course: error: ") and message in error
    assert not list(tmp_path.glob("out/*.safetensors"))


# --- the rest ------------------------------------------------------------------------------------


def test_models_lists_networks_and_weights(capsys):
    assert run("models") == 0
    out = capsys.readouterr().out
    assert "unet_small" in out and "Not a medical device" in out
    assert all(name in out for name in weights.available())


def test_download_goes_into_the_data_folder(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        commands.datasets, "download_chase_db1", lambda root: asked.append(root) or root
    )
    monkeypatch.setenv("RETINA_COURSE_DATA", str(tmp_path))
    assert run("download", "chase_db1") == 0
    assert run("download", "chase_db1", "-o", tmp_path / "here") == 0
    assert asked == [tmp_path / "CHASE_DB1", tmp_path / "here" / "CHASE_DB1"]
    assert "CC BY 4.0" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["segment", "train", "evaluate", "models", "download"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert command == "models" or f"\n  retina-course {command}" in text
    assert command != "segment" or "Not a medical device" in text.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("paint",),
        ("segment", "eye.png"),
        ("segment", "-o", "out"),
        ("segment", "eye.png", "-o", "out", "--threshold", "1.5"),
        ("segment", "eye.png", "-o", "out", "--threshold", "high"),
        ("segment", "eye.png", "-o", "out", "--device", "abacus"),
        ("train", "--data", "d", "-o", "out", "--model", "resnet"),
        ("train", "--data", "d", "-o", "out", "--model", "retina_net"),
        ("train", "--data", "d", "-o", "out", "--seed", "-1"),
        ("train", "--data", "d", "-o", "out", "--seed", "4294967296"),
        ("detect", "eye.png"),
        ("segment", "eye.png", "-o", "out", "--model", "unet_small", "--weights", "w.safetensors"),
        ("download", "DRIVE"),
    ],
)
def test_usage_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    assert "usage: retina-course" in capsys.readouterr().err


def test_ctrl_c_exits_with_130(photo, weights_file, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_commands, "segment", interrupted)
    assert run("segment", photo, "-o", tmp_path / "out", "--weights", weights_file) == 130
    assert "interrupted" in capsys.readouterr().err


def test_as_a_module_it_prints_no_traceback(tmp_path):
    arguments = [sys.executable, "-m", "retina_course", "segment", "absent.png", "-o", "out"]
    done = subprocess.run(
        [*arguments, "--weights", "absent.safetensors"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "retina-course: error: There is no weights file absent.safetensors.\n"


def test_model_names_the_weights_in_the_package(photo, tmp_path, capsys):
    maps = []
    for arguments in ([], ["--model", "unet_small"], ["--model", "unet_large"]):
        assert run("segment", photo, "-o", tmp_path, "--no-flips", *arguments) == 0
        maps.append((tmp_path / "eye_probability.png").read_bytes())
    assert maps[0] == maps[1] != maps[2]
    assert run("segment", photo, "-o", tmp_path, "--model", "linknet9") == 1
    assert "unet_large, unet_small" in capsys.readouterr().err


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


def test_detect_writes_a_picture_and_boxes_inside_the_photograph(
    photo, detector_file, tmp_path, capsys
):
    out = tmp_path / "out"
    assert run("detect", photo, "-o", out, "--weights", detector_file, "--no-flips") == 0
    stored = json.loads((out / "eye_boxes.json").read_text())
    with Image.open(photo) as image, Image.open(out / "eye_boxes.jpg") as picture:
        assert picture.size == image.size == (stored["width"], stored["height"])
        width, height = image.size
    assert len(stored["detections"]) > 3
    for row in stored["detections"]:
        x1, y1, x2, y2 = row["box"]
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
        assert row["label"] == "hard exudates" and 0.5 <= row["score"] <= 1
    text = capsys.readouterr().out
    assert f"0 optic disc, {len(stored['detections'])} hard exudates, 0 haemorrhages" in text
    assert run("detect", photo, "-o", out, "--weights", detector_file, "--threshold", "0.99") == 0
    assert json.loads((out / "eye_boxes.json").read_text())["detections"] == []


def test_weights_of_the_other_kind_are_named(photo, detector_file, weights_file, tmp_path, capsys):
    assert run("segment", photo, "-o", tmp_path / "o", "--weights", detector_file) == 1
    assert "finds boxes, not vessels: see retina-course detect" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert run("detect", photo, "-o", tmp_path / "o", "--weights", weights_file) == 1
    assert "UNetSmall finds no boxes; it segments" in capsys.readouterr().err
    assert list((tmp_path / "o").iterdir()) == []


def test_out_of_memory_is_a_message_and_other_photographs_go_on(
    photo, weights_file, tmp_path, capsys, monkeypatch
):
    large = tmp_path / "large.png"
    large.write_bytes(photo.read_bytes())

    one = photo_commands._segment
    monkeypatch.setattr(
        photo_commands,
        "_segment",
        lambda model, card, path, *rest: (
            torch.empty(2**60) if path == large else one(model, card, path, *rest)
        ),
    )
    arguments = ["segment", str(large), str(photo), "-o", str(tmp_path / "out")]
    assert cli.main([*arguments, "--weights", str(weights_file)]) == 1
    out, err = capsys.readouterr()
    assert "large.png: Not enough memory." in err and "--device" in err
    assert "1 of 2 photographs failed" in err and "eye.png" in out


def test_other_runtime_errors_keep_their_traceback(monkeypatch):
    def broken():
        raise RuntimeError("a defect of the program")

    monkeypatch.setattr(commands, "models", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        cli.main(["models"])
