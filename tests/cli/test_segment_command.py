"""`retina-course segment`."""

import io
import sys

import numpy as np
import torch
from command_line import CARD, photograph, run
from PIL import Image

from retina_course import weights
from retina_course.cli import parser as cli
from retina_course.cli import photo_commands
from retina_course.data import files
from retina_course.data.images import read_image
from retina_course.inference import segment
from retina_course.models import create_model


def test_segment_writes_the_three_pictures(photo, weights_file, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert run("segment", photo, "-o", out, "--weights", weights_file) == 0
    names = ["eye_overlay.jpg", "eye_probability.png", "eye_vessels.png", "segment.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    model, card = weights.load(weights_file)
    probability, fov, _ = segment(model, photo, card)
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
    lines = [line for line in capsys.readouterr().err.splitlines() if ": warning: " not in line]
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
    assert len(list((tmp_path / "o").iterdir())) == 7


def test_two_photographs_of_one_name_are_refused(photo, weights_file, tmp_path, capsys):
    other = tmp_path / "other" / "EYE.jpg"
    assert run("segment", photo, other, "-o", tmp_path / "out", "--weights", weights_file) == 1
    told = "would write the same files. Use an output folder for each; none of them was looked at."
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file(photo, weights_file, capsys):
    assert run("segment", photo, "-o", photo, "--weights", weights_file) == 1
    assert f"{photo} is a file; results need a folder of this name" in capsys.readouterr().err


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


def test_ctrl_c_exits_with_130(photo, weights_file, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_commands, "segment", interrupted)
    assert run("segment", photo, "-o", tmp_path / "out", "--weights", weights_file) == 130
    assert "interrupted" in capsys.readouterr().err


def test_model_names_the_weights_in_the_package(photo, tmp_path, capsys):
    maps = []
    for arguments in ([], ["--model", "unet_small_any_camera"], ["--model", "unet_large"]):
        assert run("segment", photo, "-o", tmp_path, "--no-flips", *arguments) == 0
        maps.append((tmp_path / "eye_probability.png").read_bytes())
    assert maps[0] == maps[1] != maps[2]
    assert run("segment", photo, "-o", tmp_path, "--model", "linknet9") == 1
    assert "unet_large, unet_small" in capsys.readouterr().err


def test_out_of_memory_is_a_message_and_other_photographs_go_on(
    photo, weights_file, tmp_path, capsys, monkeypatch
):
    large = tmp_path / "large.png"
    Image.fromarray(photograph(size=140)[0]).save(large)

    monkeypatch.setattr(
        photo_commands,
        "segment",
        lambda model, image, *rest, **options: (
            torch.empty(2**60) if len(image[0]) == 140 else segment(model, image, *rest, **options)
        ),
    )
    arguments = ["segment", str(large), str(photo), "-o", str(tmp_path / "out")]
    assert cli.main([*arguments, "--weights", str(weights_file)]) == 1
    out, err = capsys.readouterr()
    assert "large.png: Not enough memory." in err and "--device" in err
    assert "1 of 2 photographs failed" in err and "eye.png" in out
