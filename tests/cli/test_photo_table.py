"""`segment.csv` and `detect.csv`: a row per photograph, and what is done is not done again."""

import csv
import os
import signal

import numpy as np
import pytest
import torch
from command_line import CARD, photograph, run
from kills import killed
from PIL import Image

from retina_course import weights
from retina_course.cli import photo_commands
from retina_course.cli.photo_table import PhotoTable
from retina_course.data import files
from retina_course.data.reading import file_digest
from retina_course.inference import Seen, Segmentation
from retina_course.models import create_model


def table(out, command="segment"):
    with (out / f"{command}.csv").open(encoding="utf-8", newline="") as file:
        return {row["output"]: row for row in csv.DictReader(file)}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def segment(weights_file, out):
    def call(*arguments):
        return run("segment", *arguments, "-o", out, "--weights", weights_file)

    return call


def test_a_row_tells_what_was_found_and_how(photo, segment, weights_file, out, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    assert segment(photo, bad, "--threshold", "0.25") == 1
    rows = table(out)
    row = rows["eye"]
    with Image.open(out / "eye_vessels.png") as vessels, Image.open(photo) as image:
        inside = np.asarray(image).max(axis=2) > 20
        share = (np.asarray(vessels) > 0).sum() / inside.sum()
    assert row["photograph"] == str(photo) and row["sha256"] == file_digest(photo)
    assert (row["width"], row["height"], row["fov_pixels"]) == ("120", "120", str(inside.sum()))
    assert row["fov_diameter"] == "101" and float(row["fov_fraction"]) == pytest.approx(
        inside.mean(), abs=1e-4
    )
    assert float(row["vessel_fraction"]) == pytest.approx(share, abs=1e-4)
    assert row["threshold"] == "0.25" and row["flips"] == "True" and float(row["seconds"]) > 0
    assert row["weights"] == "mine.safetensors" and row["field_of_view"] == "found"
    assert weights.load(weights_file)[1]["sha256"].startswith(row["weights_sha256"])
    assert "Vessels fill" in row["warnings"] and row["error"] == ""
    assert "is not an image" in rows["bad"]["error"] and rows["bad"]["width"] == ""


def test_a_map_that_its_network_doubts_is_named(photo, out, tmp_path):
    """Untrained, the network gives every pixel about the same probability."""
    torch.manual_seed(0)
    path = tmp_path / "weights" / "unsure.safetensors"
    weights.save(path, create_model("unet_small"), CARD | {"expected_f1": [0.99, 1.0]})
    assert run("segment", photo, "-o", out, "--weights", path, "--threshold", "0.25") == 0
    row = table(out)["eye"]
    with Image.open(out / "eye_probability.png") as found, Image.open(photo) as image:
        inside = np.asarray(found)[np.asarray(image).max(axis=2) > 20] / 65535
    called = inside[inside >= 0.25]
    expected = 2 * called.sum() / (len(called) + inside.sum())
    assert float(row["expected_f1"]) == pytest.approx(expected, abs=2e-3)
    assert "The network is unsure of this map" in row["warnings"]


def test_what_a_map_expects_is_told_as_the_network_saw_it(photo, weights_file, out, monkeypatch):
    def sure(model, image, card, *, fov, **options):
        seen = Seen(torch.full((2, 2), 0.9), torch.ones(2, 2, dtype=torch.bool))
        return Segmentation(torch.full(fov.shape, 0.6), fov, seen)

    monkeypatch.setattr(photo_commands, "segment", sure)
    assert run("segment", photo, "-o", out, "--weights", weights_file) == 0
    assert table(out)["eye"]["expected_f1"] == f"{1.8 / 1.9:.3f}"


def test_detect_counts_the_boxes_of_each_class(photo, detector_file, out):
    assert run("detect", photo, "-o", out, "--weights", detector_file, "--no-flips") == 0
    row = table(out, "detect")["eye"]
    assert int(row["count hard exudates"]) > 3 and row["count haemorrhages"] == "0"


def test_rows_and_columns_of_the_user_are_kept(photo, segment, out, tmp_path):
    assert segment(photo) == 0
    rows = list(csv.reader((out / "segment.csv").open(encoding="utf-8", newline="")))
    with (out / "segment.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([rows[0] + ["note"], rows[1] + ["left, blurred"]])
    other = photo.rename(tmp_path / "other.png")
    assert segment(other) == 0
    assert table(out)["eye"]["note"] == "left, blurred" and table(out)["other"]["note"] == ""
    with (out / "segment.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == [*rows[0], "note"]  # a mark of Excel's is no column


def test_no_other_process_writes_between_the_reading_and_the_writing(
    photo, segment, out, monkeypatch
):
    """Of two commands in one folder, one would else write away rows that the other has added."""
    fcntl = pytest.importorskip("fcntl")
    plain, refused = PhotoTable.with_row, []

    def with_row(self, row):
        handle = os.open(out, os.O_RDONLY)  # as another process would
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        refused.append(row["output"])
        return plain(self, row)

    monkeypatch.setattr(PhotoTable, "with_row", with_row)
    assert segment(photo) == 0
    assert refused == ["eye"] and list(table(out)) == ["eye"]
    handle = os.open(out, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is free again
    os.close(handle)


def test_without_such_a_lock_the_block_runs_all_the_same(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(files, "fcntl", None)  # Windows
    with files.alone_in(tmp_path):
        done.append("windows")
    monkeypatch.undo()
    fcntl = pytest.importorskip("fcntl")

    def refuse(handle, how):
        raise OSError("a drive without locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with files.alone_in(tmp_path):
        done.append("drive")
    assert done == ["windows", "drive"] and not list(tmp_path.iterdir())


def test_the_row_says_which_flips_and_masks_there_were(photo, segment, out, tmp_path):
    Image.new("L", (120, 120), 255).save(tmp_path / "mask.png")
    assert segment(photo, "--no-flips", "--field-of-view", tmp_path / "mask.png") == 0
    row = table(out)["eye"]
    digest = file_digest(tmp_path / "mask.png")
    assert row["flips"] == "False" and row["field_of_view"] == f"mask {digest[:12]}"
    assert (row["fov_diameter"], row["fov_pixels"], row["fov_fraction"]) == (
        "120",
        "14400",
        "1.0000",
    )
    assert "border" not in row["warnings"], "a field that is given is not judged"
    assert segment(photo, "--no-flips", "--fov-diameter", "200") == 0
    row = table(out)["eye"]
    assert (row["fov_diameter"], row["field_of_view"]) == ("200", "diameter 200")


def test_the_sides_of_a_photograph_that_is_no_square(segment, out, tmp_path):
    Image.fromarray(photograph()[0][5:115]).save(tmp_path / "wide.png")
    assert segment(tmp_path / "wide.png") == 0
    row = table(out)["wide"]
    assert (row["width"], row["height"]) == ("120", "110")


def test_what_is_done_is_skipped_until_something_differs(photo, segment, out, tmp_path, capsys):
    def is_skipped(*more):
        assert segment(photo, *more) == 0
        return "done before" in capsys.readouterr().out

    mask = tmp_path / "mask.png"
    Image.new("L", (120, 120), 255).save(mask)
    assert not is_skipped() and is_skipped()
    assert not is_skipped("--again")
    for more in (("--threshold", "0.3"), ("--no-flips",), ("--field-of-view", mask)):
        assert not is_skipped(*more) and is_skipped(*more)
        assert not is_skipped()  # back to what is usual
    assert not is_skipped("--fov-diameter", 200)
    (out / "eye_overlay.jpg").unlink()
    assert not is_skipped("--fov-diameter", 200)
    Image.fromarray(photograph(seed=5)[0]).save(photo)
    assert not is_skipped("--fov-diameter", 200) and is_skipped("--fov-diameter", 200)
    with (out / "segment.csv").open("r+", encoding="utf-8", newline="") as file:
        names, row = csv.reader(file)
        row[names.index("error")] = "Not enough memory."
        file.seek(0)
        csv.writer(file).writerows([names, row])
    assert not is_skipped("--fov-diameter", 200) and is_skipped("--fov-diameter", 200)
    (out / "segment.csv").unlink()
    assert not is_skipped("--fov-diameter", 200)


def test_other_weights_are_another_result_and_errors_are_tried_again(
    photo, segment, out, tmp_path, capsys
):
    torch.manual_seed(1)
    other = tmp_path / "weights" / "other.safetensors"
    weights.save(other, create_model("unet_small"), CARD)
    good = photo.read_bytes()
    photo.write_bytes(good[:200])
    assert segment(photo) == 1 and table(out)["eye"]["error"]
    photo.write_bytes(good)
    assert segment(photo) == 0 and table(out)["eye"]["error"] == ""
    assert run("segment", photo, "-o", out, "--weights", other) == 0
    assert "done before" not in capsys.readouterr().out
    assert table(out)["eye"]["weights"] == "other.safetensors"


def test_results_of_other_settings_are_not_taken_for_done(photo, segment, out, capsys):
    """As after a kill between the results and their row."""
    assert segment(photo) == 0
    stored = (out / "segment.csv").read_bytes()
    assert segment(photo, "--threshold", "0.9") == 0
    (out / "segment.csv").write_bytes(stored)
    capsys.readouterr()
    assert segment(photo) == 0 and "done before" not in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_after_a_kill_all_files_are_whole_and_the_next_run_goes_on(
    photo, segment, weights_file, out, tmp_path, capsys
):
    photos = [photo, tmp_path / "second.png"]
    photos[1].write_bytes(photo.read_bytes())
    arguments = ["segment", *photos, "-o", out, "--weights", weights_file]
    assert killed("rename", 6, *arguments)
    assert sorted(table(out)) == ["eye"]
    for path in out.glob("*.[jp][pn]g"):
        with Image.open(path) as image:
            image.load()
    assert segment(out, *photos) == 0  # what the kill has left behind is no photograph
    printed = capsys.readouterr()
    assert "eye.png: done before" in printed.out and "made by retina-course" in printed.err
    assert sorted(table(out)) == ["eye", "second"]
    assert len(list(out.glob("second_*"))) == 3
