"""`retina-course detect`."""

import json

import numpy as np
from command_line import run
from PIL import Image, ImageColor

from retina_course.cli import photo_commands
from retina_course.figures.plotting import BOX_COLOURS


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


def test_weights_of_the_other_kind_are_named(
    photo, data, detector_file, weights_file, tmp_path, capsys
):
    assert run("segment", photo, "-o", tmp_path / "o", "--weights", detector_file) == 1
    assert "finds boxes, not vessels: see retina-course detect" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert run("detect", photo, "-o", tmp_path / "o", "--weights", weights_file) == 1
    assert "finds vessels, not boxes: see retina-course segment" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert run("evaluate", "--data", data, "--weights", detector_file) == 1
    assert "finds boxes, not vessels: see retina-course detect" in capsys.readouterr().err


def test_the_best_box_is_drawn_on_top():
    rows = [
        {"label": name, "score": score, "box": [30.0, 40.0, 90.0, 90.0]}
        for name, score in (("a", 0.9), ("b", 0.6))
    ]
    picture = photo_commands._with_boxes(np.zeros((120, 120, 3), np.uint8), rows, ["a", "b"])
    best = ImageColor.getrgb(BOX_COLOURS[0])
    assert picture[60, 30].tolist() == picture[89, 60].tolist() == list(best)
    assert picture[60, 92].tolist() == [0, 0, 0] == picture[60, 60].tolist()
