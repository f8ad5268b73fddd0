"""`retina-course detect`."""

import json

from command_line import run
from PIL import Image


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
