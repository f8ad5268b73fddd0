"""What F1 does not see, for one photograph: inside the field of view, as JSON has it."""

import json

import numpy as np
import pytest

from benchmarks.common.shape_scores import shape_scores, tolerance_of_observers


@pytest.fixture
def vessels():
    """A tree of a trunk and two branches that form a loop, and the field of view."""
    truth = np.zeros((60, 80), bool)
    truth[28:32, 5:75] = truth[10:13, 20:60] = True
    truth[10:30, 20:23] = truth[10:30, 57:60] = True
    return truth, np.hypot(*(np.indices(truth.shape) - [[[29.5]], [[39.5]]])) < 38


def test_the_truth_and_nothing(vessels):
    truth, fov = vessels
    perfect = {
        "cldice": 1,
        "nsd": 1,
        "nsd_1px": 1,
        "betti0_error": 0,
        "betti1_error": 0,
        "components": 1,
    }
    assert shape_scores(truth, truth, fov, 1.0) == perfect
    nothing = {
        "cldice": 0,
        "nsd": 0,
        "nsd_1px": 0,
        "betti0_error": 1,
        "betti1_error": 1,
        "components": 0,
    }
    assert shape_scores(np.zeros_like(truth), truth, fov, 1.0) == nothing


def test_gaps_show_in_the_pieces_and_hardly_in_the_edges(vessels):
    truth, fov = vessels
    broken = truth.copy()
    broken[:, 30] = broken[:, 50] = False
    row = shape_scores(broken, truth, fov, 1.0)
    assert (row["betti0_error"], row["betti1_error"], row["components"]) == (3, 1, 4)
    assert row["nsd"] > 0.97 and row["cldice"] > 0.97
    assert json.loads(json.dumps(row)) == row


def test_what_lies_outside_the_field_of_view_does_not_count(vessels):
    truth, fov = vessels
    found = truth | ~fov
    assert shape_scores(found, truth, fov, 1.0) == shape_scores(truth, truth, fov, 1.0)


def test_the_tolerance_is_measured_on_the_training_half(photographs, monkeypatch):
    """The second observer of these photographs draws everything one pixel to the right."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    assert tolerance_of_observers() == 1
