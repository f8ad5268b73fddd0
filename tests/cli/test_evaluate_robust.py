"""`retina-course evaluate`: one photograph at a time, and nothing unsaid."""

import json
import os
import weakref

import numpy as np
import pytest
from command_line import run
from PIL import Image

from retina_course import weights
from retina_course.data.photographs import Photographs
from retina_course.data.reading import file_digest


@pytest.fixture
def evaluate(data, weights_file):
    return lambda *more: run("evaluate", "--data", data, "--weights", weights_file, *more)


def test_photographs_are_held_one_at_a_time(data, evaluate, monkeypatch, capsys):
    for i in range(2, 8):
        for kind in ("images", "masks"):
            (data / kind / f"eye{i}.png").write_bytes((data / kind / "eye0.png").read_bytes())
    alive, most, read = weakref.WeakSet(), [], Photographs.__getitem__

    def counted(self, index):
        photo = read(self, index)
        alive.add(photo)
        most.append(len(alive))
        return photo

    monkeypatch.setattr(Photographs, "__getitem__", counted)
    assert evaluate("--no-flips") == 0
    assert len(most) == 16 and max(most) <= 2
    assert "scoring: 100%" in capsys.readouterr().err


def test_photographs_that_were_trained_on_are_told(data, weights_file, evaluate, tmp_path, capsys):
    assert evaluate("--no-flips") == 0
    assert "trained on" not in capsys.readouterr().out
    model, card = weights.load(weights_file)
    card["trained_on"] = [file_digest(data / "images" / "eye1.png")]
    weights.save(weights_file, model, card)
    assert evaluate("--no-flips", "--json", tmp_path / "s.json") == 0
    told = "Photographs that the network was trained on: 1 of 2 (eye1)."
    assert told in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["trained_on"] == ["eye1"]


def test_the_shipped_vessel_weights_name_the_photographs_that_they_were_trained_on():
    for name in weights.available():
        _, card = weights.load(name)
        if "CHASE_DB1" in card["training_data"]:
            hrf = 15 if "HRF" in card["training_data"] else 0
            assert len(set(card["trained_on"])) == 8 + hrf


def test_photographs_without_a_vessel_are_counted(data, evaluate, tmp_path, capsys):
    Image.new("L", (120, 120)).save(data / "masks" / "eye0.png")
    assert evaluate("--no-flips", "--json", tmp_path / "s.json") == 0
    assert "without a vessel in their mask: 1 of 2 (eye0)." in capsys.readouterr().out
    stored = json.loads((tmp_path / "s.json").read_text())
    assert stored["empty_targets"] == 1 and stored["per_image"][0]["auc"] is None


def test_a_vessel_outside_the_field_of_view_is_none(data, evaluate, capsys):
    mask = np.zeros((120, 120), np.uint8)
    mask[:4, :4] = 255
    Image.fromarray(mask).save(data / "masks" / "eye0.png")
    assert evaluate("--no-flips") == 0
    assert "without a vessel in their mask: 1 of 2 (eye0)." in capsys.readouterr().out


def test_inverted_masks_are_asked_for(data, evaluate, tmp_path, capsys):
    assert evaluate("--json", tmp_path / "right.json") == 0
    for mask in (data / "masks").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(mask).convert("L"))).save(mask)
    assert evaluate() == 1
    assert "--vessels black" in capsys.readouterr().err
    assert evaluate("--vessels", "black", "--json", tmp_path / "black.json") == 0
    right, black = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("right", "black"))
    assert right["pooled"] == black["pooled"] and right["digest"] != black["digest"]


def test_a_damaged_photograph_is_named_before_the_work(data, evaluate, capsys):
    (data / "images" / "eye1.png").write_bytes(b"\x89PNG")
    assert evaluate() == 1
    told = capsys.readouterr().err
    assert "eye1.png" in told and "scoring" not in told


def test_files_that_are_left_out_are_named_once(data, evaluate, capsys):
    (data / "images" / "notes.txt").write_text("mine")
    assert evaluate("--no-flips") == 0
    line = f"retina-course: warning: Left out of {data / 'images'}: notes.txt (not an image)."
    assert capsys.readouterr().err.count(line) == 1


def test_a_json_file_of_somebody_else_is_refused_and_an_own_one_replaced(
    evaluate, tmp_path, capsys
):
    file = tmp_path / "scores.json"
    for content in ('{"mine": 1}', '{"weights": "of the horses", "data": 1}'):
        file.write_text(content)
        assert evaluate("--json", file) == 1
        assert "was not made by retina-course evaluate" in capsys.readouterr().err
        assert file.read_text() == content
    file.unlink()
    assert evaluate("--no-flips", "--json", file) == 0
    assert evaluate("--no-flips", "--threshold", "0.25", "--json", file) == 0
    assert json.loads(file.read_text())["threshold"] == 0.25


@pytest.mark.parametrize("threshold", ["0.0002", "0.99996"])
def test_a_threshold_near_0_or_1_is_shown(threshold, evaluate, capsys):
    assert evaluate("--no-flips", "--threshold", threshold) == 0
    assert f"threshold {threshold} " in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_named_before_the_work(
    evaluate, tmp_path, capsys, monkeypatch
):
    asked = []
    monkeypatch.setattr("os.access", lambda *what: asked.append(what) or False)
    assert evaluate("--json", tmp_path / "scores.json") == 1
    told = capsys.readouterr().err
    assert f"The folder {tmp_path} cannot be written, so scores.json cannot." in told
    assert asked == [(tmp_path, os.W_OK)] and "scoring" not in told
