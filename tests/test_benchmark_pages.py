"""What programs of benchmarks/ make for the book: the page of times, the masks of errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run_notebooks import ROOT

from retina_course.data.idrid import BoxedPhotograph

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import lesions_and_disc  # noqa: E402
import notebook_times  # noqa: E402


def test_the_page_of_times_shows_what_is_stored_for_every_notebook():
    page = notebook_times.PAGE.read_text(encoding="utf-8")
    assert page == notebook_times.page()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(../notebooks/{notebook.name})" in page


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
    image = np.zeros((20, 20, 3), dtype=np.uint8)
    boxes = torch.tensor([[2.0, 1.0, 6.0, 5.0], [3.0, 14.0, 5.0, 19.0], [10.0, 8.0, 13.0, 12.0]])
    photo = BoxedPhotograph("made", image, boxes, torch.tensor([2, 3, 1]))
    inside, mirrored = lesions_and_disc.box_masks(photo, np.ones((20, 20), dtype=bool), 2)
    assert inside.sum() == 16 and inside[1:5, 2:6].all()
    # rows 15..18, but for the haemorrhage that lies there
    assert mirrored.sum() == 16 - 4 * 2 and not mirrored[:15].any()
    called = np.zeros((20, 20), dtype=bool)
    called[1:3, 2:6] = True
    fov = np.ones_like(called)
    found = lesions_and_disc.in_lesions([photo, photo], [(called, fov)] * 2)
    assert found["hard exudates"]["in_boxes"] == 0.5
    assert found["hard exudates"]["mirrored"] == 0
    assert found["hard exudates"]["difference"]["value"] == pytest.approx(0.5)


def test_errors_are_counted_at_the_edge_of_the_disc():
    truth = np.zeros((100, 100), dtype=bool)
    truth[50] = True  # through the middle of a disc of radius 30

    class Photo:
        name, vessels, fov = "made", truth, np.ones_like(truth)

    called = truth.copy()
    called[50, :50] = False
    disc = {"made": [20.0, 20.0, 80.0, 80.0]}
    rows = lesions_and_disc.at_disc([called], [Photo], disc)
    assert sum(row["vessel_pixels"] for row in rows.values()) == 100
    assert all(row["missed"] == pytest.approx(0.5, abs=0.02) for row in rows.values())
    assert rows["at the disc's edge"]["vessel_pixels"] == pytest.approx(40, abs=2)
    assert all(row["called_vessel"] == 0 for row in rows.values())
