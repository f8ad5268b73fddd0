"""`retina-course train` where something goes wrong: nothing is lost, overwritten or left out."""

import json
import os
import shutil
import time

import numpy as np
import pytest
from command_line import TINY, photograph, run
from kills import begin, command_line
from PIL import Image

from retina_course import weights
from retina_course.cli import training_kinds
from retina_course.data import files

OURS = ("settings.json", "checkpoint.pt", "history.json", "unet_small.safetensors")


@pytest.fixture
def train(data, tmp_path):
    """Call `train` on the data with more options, and return the exit code."""
    return lambda *more: run("train", "--data", data, "-o", tmp_path / "run", *TINY, *more)


def error(capsys):
    return capsys.readouterr().err.split("\r")[-1]


def mask_of(data, number):
    return data / "masks" / f"eye{number}.png"


def rewrite(path, change):
    pixels = np.asarray(Image.open(path).convert("L"))
    Image.fromarray(change(pixels)).save(path)


def test_weights_are_there_where_scoring_fails_and_the_same_command_goes_on(
    train, tmp_path, monkeypatch, capsys
):
    def no_memory(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(training_kinds.Vessels, "score", no_memory)
        assert train() == 1
    text = error(capsys)
    assert "is trained and written, but there is not enough memory to score it" in text
    file = tmp_path / "run" / "unet_small.safetensors"
    _, card = weights.load(file)
    assert "threshold" not in card and (tmp_path / "run" / "history.json").exists()
    before = file.read_bytes()
    assert train() == 0
    _, card = weights.load(file)
    assert 0 < card["threshold"] < 1 and file.read_bytes() == before


def test_a_finished_run_is_reported_and_not_scored_again(train, capsys, monkeypatch):
    assert train() == 0
    first = capsys.readouterr().out
    monkeypatch.setattr(training_kinds.Vessels, "score", None)
    monkeypatch.setattr(training_kinds.Vessels, "train", None)
    assert train() == 0
    assert capsys.readouterr().out == first


def test_the_data_count_and_not_the_way_to_them(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copytree(data, tmp_path / "copy")
    for name in ("data", "data/", "./data", data, copy):
        assert run("train", "--data", name, "-o", "run", *TINY) == 0
    rewrite(mask_of(copy, 0), lambda mask: np.roll(mask, 1))
    assert run("train", "--data", copy, "-o", "run", *TINY) == 1
    assert "other settings: the files of the data differ." in error(capsys)


@pytest.mark.parametrize(
    "more, told",
    [
        (("--seed", 4), "seed is 0 there, 4 here"),
        (("--steps", 4, "--jitter", 0), "steps is 3 there, 4 here; jitter is 0.2 there, 0.0 here"),
        (("--vessels", "white"), "vessels is None there, 'white' here"),
        (("--from", "unet_small"), "lr is 0.01 there, 0.001 here; from is None there, 'c1af"),
        (("--model", "unet_large"), "model is 'unet_small' there, 'unet_large' here"),
    ],
)
def test_a_setting_that_differs_is_named(more, told, train, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    assert train() == 0
    assert train(*more) == 1
    assert told in error(capsys)


@pytest.mark.parametrize("name", [*OURS, "unet_small.json"])
@pytest.mark.parametrize("content", ['{"mine": 1}', '{"model": 1, "seed": 2}', "no JSON"])
def test_a_file_of_somebody_else_is_refused_before_anything_is_written(
    name, content, train, tmp_path, capsys
):
    file = tmp_path / "run" / name
    file.parent.mkdir()
    file.write_text(content)
    assert train() == 1
    assert f"did not make and would replace: {file}." in error(capsys)
    assert file.read_text() == content and list(file.parent.iterdir()) == [file]


def test_a_history_in_the_folder_of_a_run_that_never_began_is_kept(train, tmp_path, capsys):
    assert train("--crop", "5000") == 1
    (tmp_path / "run" / "history.json").write_text('{"mine": 1}')
    assert train() == 1
    assert "history.json" in error(capsys)


def test_an_output_folder_that_is_a_file(data, tmp_path, capsys):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for output in (file, file / "run"):
        assert run("train", "--data", data, "-o", output, *TINY) == 1
        assert f"{file} is a file; -o takes the name of a folder" in error(capsys)
    assert file.read_text() == "mine"


def test_an_output_folder_that_cannot_be_written(data, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("retina_course.cli.output.tempfile.TemporaryFile", refuse)
    assert run("train", "--data", data, "-o", tmp_path / "run", *TINY) == 1
    assert f"output folder {tmp_path / 'run'} cannot be made or written" in error(capsys)


@pytest.mark.parametrize("place", OURS)
def test_a_full_disk_is_named_and_leaves_what_was_there(
    place, train, tmp_path, monkeypatch, capsys
):
    real = os.replace

    def replace(old, new):
        if os.path.basename(new) == place:
            raise OSError(28, "No space left on device")
        real(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        assert train() == 1
    assert error(capsys).endswith(f"No space left on device: {tmp_path / 'run' / place}\n")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names < {*OURS, "unet_small.json"} and place not in names
    assert train() == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*OURS, "unet_small.json"}


def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(data, tmp_path):
    arguments = ["--data", str(data), *TINY, "--steps", "120", "--crop", "32"]
    assert run("train", "-o", tmp_path / "whole", *arguments) == 0
    expected = (tmp_path / "whole" / "unet_small.safetensors").read_bytes()
    moments = ("checkpoint.pt", "unet_small.safetensors")  # earlier ones: test_killed
    for i, name in enumerate(moments):
        output = tmp_path / str(i)
        process = begin(command_line, "train", *arguments, "-o", str(output))
        deadline = time.time() + 120
        while not (output / name).exists() and process.is_alive() and time.time() < deadline:
            time.sleep(0.001)
        assert (output / name).exists()
        process.kill()
        process.join()
        (output / f"{files.TEMPORARY}1.tmp").write_bytes(b"half")  # as a kill in a write leaves it
        assert run("train", "-o", output, *arguments) == 0
        same = (output / "unet_small.safetensors").read_bytes() == expected
        assert same  # pytest would look for the differences of two long files for an hour
        assert {path.name for path in output.iterdir()} == {*OURS, "unet_small.json"}


@pytest.mark.parametrize(
    "more, told",
    [
        (("--crop", "100"), "batches of 2 crops of 100x100 pixels. Crops of 96 or 104 pixels fit."),
        (
            ("--batch-size", "1", "--crop", "8"),
            "batches of 1 crop of 8x8 pixels. Crops of 16 pixels fit, or batches of 2.",
        ),
    ],
)
def test_crops_that_do_not_fit_are_told_with_those_that_do(more, told, train, tmp_path, capsys):
    assert train(*more) == 1
    assert told in error(capsys) and not (tmp_path / "run" / "checkpoint.pt").exists()


def test_photographs_without_a_vessel_are_counted(data, train, tmp_path, capsys):
    rewrite(mask_of(data, 0), np.zeros_like)
    assert train() == 0
    assert "Photographs without a vessel: 1 of 2 (eye0)." in capsys.readouterr().out
    rewrite(mask_of(data, 1), np.zeros_like)
    shutil.rmtree(tmp_path / "run")
    assert train() == 1
    assert "No photograph has a vessel: there is nothing to learn." in error(capsys)
    assert not (tmp_path / "run").exists()


def test_inverted_masks_are_asked_for(data, train, tmp_path, capsys):
    def invert():
        for number in (0, 1):
            rewrite(mask_of(data, number), lambda mask: 255 - mask)

    assert train() == 0
    expected = (tmp_path / "run" / "unet_small.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run")
    invert()
    assert train() == 1
    assert "--vessels black" in error(capsys) and not (tmp_path / "run").exists()
    assert train("--vessels", "black") == 0
    assert (tmp_path / "run" / "unet_small.safetensors").read_bytes() == expected


@pytest.mark.parametrize(
    "data, told",
    [
        ("CHASEDB1", "Did you mean chase_db1?"),
        ("chase-db1", "Did you mean chase_db1?"),
        ("hfr", "Did you mean hrf?"),
        ("idrid_boxes", "idrid_boxes has boxes, not vessels."),
        ("abacus", "Expected a folder or chase_db1, hrf, stare, drive, fives."),
    ],
)
def test_a_data_set_that_was_perhaps_meant_is_named(data, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in (("train", "-o", "run"), ("evaluate",)):
        assert run(*command, "--data", data) == 1
        assert told in error(capsys)
    (tmp_path / "CHASEDB1").mkdir()
    if data == "CHASEDB1":
        assert run("train", "-o", "run", "--data", data) == 1
        assert "give the folder that set's own name, CHASE_DB1" in error(capsys)


def test_a_folder_in_the_form_of_a_folder_of_ones_own_may_have_any_name(data, tmp_path):
    assert (
        run("train", "--data", data.rename(tmp_path / "DRIVE"), "-o", tmp_path / "run", *TINY) == 0
    )


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has names that are not UTF-8")
def test_names_that_are_not_utf8_go_through_train_and_evaluate(tmp_path):
    folder = tmp_path / os.fsdecode(b"M\xfcnchen")
    image, vessels = photograph()
    try:
        for kind, pixels in (("images", image), ("masks", vessels)):
            (folder / kind).mkdir(parents=True)
            Image.fromarray(pixels).save(folder / kind / os.fsdecode(b"Gr\xfcn.png"), "PNG")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    output, scores = folder / "run", folder / "scores.json"
    assert run("train", "--data", folder, "-o", output, *TINY) == 0
    file = output / "unet_small.safetensors"
    assert weights.load(file)[1]["training_data"] == "M\\xfcnchen: Gr\\xfcn"
    assert run("evaluate", "--data", folder, "--weights", file, "--json", scores) == 0
    stored = scores.read_bytes().decode("utf-8")
    assert json.loads(stored)["per_image"][0]["name"] == "Gr\\xfcn" and "\\udc" not in stored
