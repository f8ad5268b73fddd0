"""`--field-angle`: the scale in pixels per degree of `segment`, `detect` and `evaluate`."""

import csv
import json

import numpy as np
import pytest
import torch
from command_line import CARD, photograph, run
from PIL import Image

from retina_course import weights
from retina_course.cli import evaluate_command, field_angles, inputs, photo_commands
from retina_course.inference import DEFAULT_FIELD_ANGLE, segment
from retina_course.inference.prediction import predict
from retina_course.models import create_model

# The photographs of these tests have 101 pixels across: 3.4 a degree at 30, 2.2 at 45.
SCALE = {"pixels_per_degree": 2.0, "pixels_per_degree_range": [1.7, 2.4]}


@pytest.fixture
def scaled(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights" / "scaled.safetensors"
    weights.save(path, create_model("unet_small"), CARD | SCALE)
    return path


@pytest.fixture
def seen(monkeypatch):
    """The widths in which the network sees the photographs, without the border."""
    widths = []

    def spy(model, image, **options):
        widths.append(image.shape[-1] - 64)
        return predict(model, image, **options)

    monkeypatch.setattr("retina_course.inference.segmentation.predict", spy)
    return widths


@pytest.fixture
def photos(tmp_path):
    """One file name in two folders, and another one."""
    for i, name in enumerate(("a/eye.png", "b/eye.png", "b/other.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(seed=i)[0]).save(path)
    return tmp_path / "photos"


def rows(out, command="segment"):
    with (out / f"{command}.csv").open(encoding="utf-8", newline="") as file:
        return {row["output"]: row for row in csv.DictReader(file)}


def angles_of(out):
    return {
        name: (float(row["field_angle"]), row["field_angle_is"]) for name, row in rows(out).items()
    }


@pytest.mark.parametrize(("angle", "width"), [(30, 66), (45, 99), (60, 132)])
def test_segment_sees_the_photograph_at_this_scale(photo, scaled, tmp_path, seen, angle, width):
    out = tmp_path / "out"
    assert run("segment", photo, "-o", out, "--weights", scaled, "--field-angle", angle) == 0
    assert seen == [pytest.approx(width, abs=3)]  # 2 pixels a degree and a margin of a tenth
    row = rows(out)["eye"]
    assert (row["field_angle"], row["field_angle_is"]) == (f"{angle}.0", "known")
    assert float(row["pixels_per_degree"]) == 2.0


def test_without_an_angle_the_output_says_what_was_assumed(photo, scaled, tmp_path, capsys, seen):
    out = tmp_path / "out"
    assert run("segment", photo, "-o", out, "--weights", scaled) == 0
    assert angles_of(out) == {"eye": (DEFAULT_FIELD_ANGLE, "assumed")}
    text = capsys.readouterr().out
    assert "field angle 45 degrees (assumed), seen at 2.0 pixels per degree" in text
    assert run("segment", photo, "-o", out, "--weights", scaled, "--field-angle", 45) == 0
    assert "(assumed)" not in capsys.readouterr().out and seen[0] == seen[1]
    assert angles_of(out) == {"eye": (45, "known")}


@pytest.mark.parametrize("command", ["segment", "detect", "measure", "evaluate"])
def test_an_assumed_angle_is_said_as_a_warning_in_the_same_words(
    command, photo, data, scaled, detector_file, tmp_path, capsys
):
    card = detector_file.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | SCALE))
    out = tmp_path / "out"
    given = ("--data", data) if command == "evaluate" else (photo, "-o", out)
    given += ("--weights", detector_file if command == "detect" else scaled, "--no-flips")
    told = "Field angle of 45 degrees assumed; say the right one with --field-angle."
    for more, times in (((), 1), (("--field-angle", 45), 0)):
        assert run(command, *given, *more) == 0
        assert capsys.readouterr().err.count(told) == times
        if command != "evaluate":
            assert rows(out, command)["eye"]["warnings"].count(told) == times


def test_another_angle_is_computed_again_and_the_same_one_is_not(photo, scaled, tmp_path, capsys):
    def again(*more):
        assert run("segment", photo, "-o", tmp_path / "out", "--weights", scaled, *more) == 0
        return "done before" not in capsys.readouterr().out

    assert again() and not again()
    assert again("--field-angle", 30) and not again("--field-angle", "30.0") and again()


def test_other_scales_on_the_card_are_computed_again(photo, scaled, tmp_path, capsys):
    def again(**changes):
        card = scaled.with_suffix(".json")
        card.write_text(json.dumps(json.loads(card.read_text()) | changes))
        assert run("segment", photo, "-o", tmp_path / "out", "--weights", scaled) == 0
        return "done before" not in capsys.readouterr().out

    assert again() and not again()
    assert again(pixels_per_degree=1.8) and again(largest_enlargement=1.5) and not again()


def test_a_coarse_photograph_is_named_with_both_numbers(photo, scaled, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("segment", photo, "-o", out, "--weights", scaled, "--field-angle", 75) == 0
    told = "has 1.3 pixels per degree, the network was trained at 1.7 to 2.4"
    assert told in capsys.readouterr().err and told in rows(out)["eye"]["warnings"]
    assert run("segment", photo, "-o", out, "--weights", scaled, "--field-angle", 30) == 0
    assert "the network was trained" not in capsys.readouterr().err


def test_a_table_gives_each_photograph_its_own_angle(photos, scaled, tmp_path, capsys):
    out, angles = tmp_path / "out", tmp_path / "angles.csv"
    angles.write_text("file,degrees\neye.png,30\nb/eye.png,45\nother.png,60\nabsent.png,50\n")
    arguments = ("-o", out, "--weights", scaled, "--recursive", "--field-angle", angles)
    assert run("segment", photos, *arguments) == 0
    expected = {"a/eye": (30, "known"), "b/eye": (45, "known"), "b/other": (60, "known")}
    assert angles_of(out) == expected
    assert "names files that are not among the photographs: absent.png" in capsys.readouterr().err


def test_a_table_that_lacks_a_photograph_stops_before_anything_is_written(
    photos, scaled, tmp_path, capsys
):
    out, angles = tmp_path / "out", tmp_path / "angles.csv"
    arguments = ("-o", out, "--weights", scaled, "--recursive", "--field-angle", angles)
    for content, told in (
        ("file,degrees\neye.png,30\n", "No field angle is given for"),
        ("file,degrees\neye.png,30\nother.png,-1\n", "angles.csv, line 3, other.png: Expected"),
        ("photo,angle\neye.png,30\n", "expected file and degrees"),
        ("file,degrees\neye.png,30\n", "Names have their suffix, as in eye.jpg.\n"),
        ("file,degrees\neye.png,30\nother,60\n", "as in eye.jpg; the row other has none."),
    ):
        angles.write_text(content)
        assert run("segment", photos, *arguments) == 1
        assert told in capsys.readouterr().err and not out.exists()
    angles.unlink()
    assert run("segment", photos, *arguments) == 1
    assert "cannot be read as a table of angles" in capsys.readouterr().err


@pytest.mark.parametrize("angle", ["0", "-45", "201", "nan", "inf", "wide", ""])
@pytest.mark.parametrize("command", ["segment", "detect", "evaluate", "train"])
def test_what_is_no_angle_is_refused(command, angle, photo, data, tmp_path, capsys):
    given = (photo, "-o", tmp_path / "o") if command in ("segment", "detect") else ("--data", data)
    given += ("-o", tmp_path / "o") if command == "train" else ()
    with pytest.raises(SystemExit) as caught:
        run(command, *given, f"--field-angle={angle}")
    told = capsys.readouterr().err
    assert caught.value.code == 2 and not (tmp_path / "o").exists()
    assert f"above 0 and at most 200 (fundus cameras: 20 to 60); got {angle!r}." in told


def test_a_card_without_a_scale_in_degrees_says_that_the_angle_changes_nothing(
    photo, weights_file, tmp_path, capsys, seen
):
    out = tmp_path / "out"
    for more in ((), ("--field-angle", 30), ("--field-angle", 60, "--again")):
        assert run("segment", photo, "-o", out, "--weights", weights_file, *more) == 0
        text = capsys.readouterr()
        assert ("--field-angle changes nothing" in text.err) == bool(more)
    assert len(set(seen)) == 1 and rows(out)["eye"]["pixels_per_degree"] == ""
    assert "seen with a field of view of 100 pixels, whatever its angle" in text.out


def test_detect_takes_the_angle_and_writes_it_beside_the_boxes(
    photo, detector_file, tmp_path, monkeypatch
):
    card = detector_file.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | SCALE))
    real, given = photo_commands.detect, []
    monkeypatch.setattr(
        photo_commands, "detect", lambda *a, **k: given.append(k["field_angle"]) or real(*a, **k)
    )
    facts = []
    for more in (("--field-angle", 60), ()):
        arguments = ("-o", tmp_path / "out", "--weights", detector_file, "--no-flips")
        assert run("detect", photo, *arguments, *more) == 0
        stored = json.loads((tmp_path / "out" / "eye_boxes.json").read_text())
        facts.append([stored[key] for key in ("field_angle", "field_angle_is")])
        assert stored["pixels_per_degree"] == 2.0
    assert facts == [[60, "known"], [45, "assumed"]] and given == [60, None]
    assert rows(tmp_path / "out", "detect")["eye"]["field_angle_is"] == "assumed"


def test_evaluate_takes_the_angle_of_the_option(data, scaled, tmp_path, capsys, seen):
    file = tmp_path / "scores.json"

    def evaluated(*more):
        seen.clear()
        arguments = ("--data", data, "--weights", scaled, "--json", file, "--no-flips")
        assert run("evaluate", *arguments, *more) == 0
        stored = json.loads(file.read_text())["per_image"]
        facts = {(row["field_angle"], row["field_angle_is"]) for row in stored}
        return facts, list(seen), capsys.readouterr()

    facts, assumed, text = evaluated()
    assert facts == {(45, "assumed")}
    assert "2 of 2 photographs: field angle 45 degrees (assumed), seen at 2.0 pixels" in text.out
    facts, wide, text = evaluated("--field-angle", 75)
    assert facts == {(75, "known")} and wide[0] == pytest.approx(assumed[0] * 75 / 45, abs=3)
    assert text.err.count("has 1.3 pixels per degree, the network was trained at 1.7 to 2.4") == 2
    angles = tmp_path / "angles.csv"
    angles.write_text("file,degrees\neye0.png,30\neye1.png,60\n")
    facts, mixed, text = evaluated("--field-angle", angles)
    assert facts == {(30, "known"), (60, "known")} and mixed[1] == pytest.approx(2 * mixed[0], 0.05)
    assert text.out.count("1 of 2 photographs: field angle") == 2


def test_evaluate_takes_the_angle_of_a_published_set(data, scaled, capsys, monkeypatch, seen):
    monkeypatch.setitem(
        inputs.SETS, "stare", lambda split: inputs.datasets.ImageFolder(data, field_angle=30)
    )
    for more, angle in (((), 30), (("--field-angle", 60), 60)):
        assert run("evaluate", "--data", "stare", "--weights", scaled, *more) == 0
        assert f"field angle {angle} degrees, seen at" in capsys.readouterr().out
    assert seen[2] == pytest.approx(2 * seen[0], 0.05)


def test_evaluate_sees_as_segment_does(data, scaled, tmp_path, monkeypatch):
    """The map that is scored is that of `segment` with the same angle."""
    scored = []
    real = evaluate_command.evaluate_stream
    monkeypatch.setattr(
        evaluate_command,
        "evaluate_stream",
        lambda maps, cut: real((scored.append(one[0]) or one for one in maps), cut),
    )
    arguments = ("--data", data, "--weights", scaled, "--no-flips", "--field-angle", 37)
    assert run("evaluate", *arguments) == 0
    model, card = weights.load(scaled)
    image = data / "images" / "eye0.png"
    expected = segment(model, image, card, flips=False, field_angle=37).probability
    np.testing.assert_allclose(scored[0], expected.numpy(), atol=1e-6)
    other = segment(model, image, card, flips=False, field_angle=60).probability
    assert not np.allclose(scored[0], other.numpy(), atol=1e-3)


@pytest.fixture
def disc(monkeypatch):
    """What the optic disc suggests, instead of the detector's answer."""
    suggested = [33.6]
    monkeypatch.setattr(field_angles, "angle_from_disc", lambda *a, **k: suggested[0])
    return suggested


@pytest.mark.parametrize("command", ["segment", "measure"])
def test_without_an_angle_that_of_the_disc_is_used_and_said(
    command, photo, scaled, tmp_path, capsys, seen, disc
):
    out = tmp_path / "out"
    more = ("--disc", "none") if command == "measure" else ()
    assert run(command, photo, "-o", out, "--weights", scaled, "--no-flips", *more) == 0
    assert seen == [pytest.approx(34 * 2 * 1.1, abs=3)]  # 2 pixels for each of 34 degrees
    row = rows(out, command)["eye"]
    assert (row["field_angle"], row["field_angle_is"]) == ("34.0", "estimated")
    assert row["field_angle_given"] == ""
    if command == "measure":
        assert row["scale_is"] == "estimated" and "34 degrees estimated" in row["flags"]
    text = capsys.readouterr().out
    assert "field angle 34 degrees (estimated from the optic disc), seen at 2.0 pixels" in text


def test_what_was_estimated_is_not_computed_again(photo, scaled, tmp_path, capsys, disc):
    def again(*more):
        assert run("segment", photo, "-o", tmp_path / "out", "--weights", scaled, *more) == 0
        return "done before" not in capsys.readouterr().out

    assert again() and not again()
    assert again("--field-angle", 34)  # the same scale, but now it is known
    assert again() and not again()


def test_an_angle_that_the_disc_contradicts_is_used_and_doubted(
    photo, scaled, tmp_path, capsys, disc
):
    out = tmp_path / "out"
    arguments = ("segment", photo, "-o", out, "--weights", scaled, "--field-angle")
    assert run(*arguments, 60) == 0
    told = "By the size of the optic disc the field of view has about 34 degrees, not 60"
    assert told in capsys.readouterr().err and told in rows(out)["eye"]["warnings"]
    assert angles_of(out) == {"eye": (60, "known")}
    assert run(*arguments, 40) == 0 and "optic disc" not in capsys.readouterr().err


def test_the_disc_is_not_asked_where_the_angle_changes_nothing(
    photo, weights_file, tmp_path, monkeypatch
):
    def fail(*arguments, **options):
        raise AssertionError("looked for the disc")

    monkeypatch.setattr(field_angles, "angle_from_disc", fail)
    assert run("segment", photo, "-o", tmp_path / "out", "--weights", weights_file) == 0
