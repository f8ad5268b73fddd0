"""What programs of benchmarks/ make for the book: the page of times, the masks of errors."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from run_notebooks import ROOT

from benchmarks.analysis import lesions_and_disc
from benchmarks.speed import notebook_times
from retina_course.data.idrid import BoxedPhotograph
from retina_course.evaluation import student


def test_the_page_of_times_shows_what_is_stored_for_every_chapter():
    page = notebook_times.PAGE.read_text(encoding="utf-8")
    assert page == notebook_times.page()
    linked = re.findall(r"\(\.\./notebooks/([^)]+)\)", page)
    assert linked == sorted(linked)
    names = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name for name in names if name[0].isdigit()} <= set(linked) <= names


def test_the_program_starts_without_the_tests_path_to_the_tools():
    command = [sys.executable, "-m", "benchmarks.speed.notebook_times", "--help"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0 and "notebook_times" in found.stdout, found.stderr


def test_another_device_adds_a_column(tmp_path, monkeypatch):
    source = {"torch": "2", "python": "3", "threads": 1, "commit": "c" * 40, "date": "today"}
    for device, seconds in (("A", 12), ("B", 3)):
        times = {"01_a": {"seconds": seconds, "provenance": source}}
        content = {"device": device, "gpu": device == "B", "notebooks": times}
        (tmp_path / f"{device}.json").write_text(json.dumps(content))
    monkeypatch.setattr(notebook_times, "TIMES", tmp_path)
    page = notebook_times.page()
    assert "| CPU A, s | GPU B, s |" in page and "01_a.ipynb) | 12 | 3 |" in page
    assert notebook_times.NO_GPU not in page
    (tmp_path / "B.json").unlink()
    assert notebook_times.NO_GPU in notebook_times.page()


def test_lesion_boxes_are_held_against_their_mirror_images():
    image = np.zeros((24, 20, 3), dtype=np.uint8)
    exudates, haemorrhage = [2.0, 1.0, 8.0, 5.0], [3.0, 14.0, 5.0, 19.0]
    boxes = torch.tensor([exudates, haemorrhage, [7.0, 8.0, 13.0, 20.0], [2.0, 1.0, 3.0, 3.0]])
    photo = BoxedPhotograph("made", image, boxes, torch.tensor([2, 3, 1, 1]))
    fov = np.ones((24, 20), dtype=bool)
    fov[20:] = False  # its middle lies between rows 9 and 10, not at that of the image
    # columns 2, 5 and 6: opposite of 3 and 4 lies the haemorrhage, opposite of 7 a disc
    expected = np.zeros_like(fov)
    expected[1:5, [2, 5, 6]] = True
    expected[1:3, 2] = False  # another disc
    inside, mirrored = lesions_and_disc.box_masks(photo, fov, 2)
    assert (inside == expected).all()
    assert mirrored.sum() == 10 and (mirrored[:20] == expected[19::-1]).all()
    called = np.zeros_like(fov)
    called[1:3] = True
    nothing = np.zeros_like(fov)
    found = lesions_and_disc.in_lesions([photo, photo], [(called, fov), (nothing, fov)])
    assert found["hard exudates"]["in_boxes"] == pytest.approx(0.2)
    assert found["hard exudates"]["mirrored"] == 0
    expected = student([0.4, 0.0])._asdict()  # of the photographs
    assert found["hard exudates"]["difference"] == pytest.approx(expected)


def test_errors_are_counted_at_the_edge_of_the_disc():
    vessels = np.zeros((100, 150), dtype=bool)
    vessels[50] = True  # through the middle of a disc from column 30 to 109

    class Photo:
        name, ground_truth, fov = "made", vessels, np.ones_like(vessels)

    called = vessels.copy()
    called[50, :25] = False  # missed: 20 pixels elsewhere, 5 at the edge
    called[45, 65:75] = True  # no vessel: inside
    called[5, :7] = True  # and elsewhere
    rows = lesions_and_disc.at_disc([called], [Photo], {"made": [30.0, 10.0, 110.0, 90.0]})
    counted = [
        (
            row["vessel_pixels"],
            round(row["missed"] * row["vessel_pixels"]),
            round(row["called_vessel"] * row["background_pixels"]),
        )
        for row in rows.values()
    ]
    assert list(rows) == ["at the disc's edge", "inside the disc", "elsewhere"]
    assert counted == [(40, 5, 0), (60, 0, 10), (50, 20, 7)]
