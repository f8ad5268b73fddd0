"""Places of errors at the edges of every limit, and against distances counted by loops."""

import itertools

import numpy as np
import pytest

from retina_course.evaluation import error_analysis
from retina_course.evaluation.error_analysis import (
    Centreline,
    centreline,
    detected,
    false_positives_by_place,
    sensitivity_by_place,
)

SHAPE = (40, 60)


def mask(*pixels):
    found = np.zeros(SHAPE, dtype=bool)
    for pixel in pixels:
        found[pixel] = True
    return found


def test_the_limits_are_those_that_the_chapters_name():
    assert error_analysis.WIDTHS == {
        "below 4": (0, 4),
        "4 to 8": (4, 8),
        "8 and more": (8, np.inf),
    }
    assert (error_analysis.SHIFT, error_analysis.CROSSING, error_analysis.RIM) == (2, 5, 10)


def test_width_and_crossings_of_a_cross_by_loops():
    vessels = mask(np.s_[20, 5:55], np.s_[3:37, 30])
    line = centreline(vessels)
    assert np.array_equal(line.skeleton, vessels)  # one pixel wide already
    assert (line.width[~line.crossing] == 1).all()
    pixels = [tuple(p) for p in np.argwhere(vessels)]
    meeting = [
        (y, x)
        for y, x in pixels
        if sum(vessels[y + i, x + j] for i, j in itertools.product((-1, 0, 1), repeat=2)) - 1 >= 3
    ]
    assert sorted(meeting) == [(19, 30), (20, 29), (20, 30), (20, 31), (21, 30)]
    near = [min(np.hypot(y - a, x - b) for a, b in meeting) <= 5 for y, x in pixels]
    assert line.crossing.tolist() == near
    assert sum(near) == 4 * 6 + 1


def test_vessels_at_the_images_border_do_not_cross_what_is_beyond():
    line = centreline(mask(np.s_[0, :], np.s_[39, 10:20]))
    assert not line.crossing.any() and len(line.crossing) == line.skeleton.sum()


@pytest.mark.parametrize("width", [3, 7])
def test_the_width_is_twice_the_distance_to_the_edge_less_1(width):
    line = centreline(mask(np.s_[10 : 10 + width, :]))
    middle = line.width[20:-20]
    assert (middle == width).all()


def test_detected_is_within_two_city_blocks():
    around = itertools.product(range(-3, 4), repeat=2)
    line = Centreline(mask((20, 30)), np.array([1.0]), np.array([False]))
    for y, x in around:
        assert detected(mask((20 + y, 30 + x)), line).tolist() == [abs(y) + abs(x) <= 2]


def test_every_number_of_the_sensitivity_by_place(monkeypatch):
    """Widths at and beside each limit, at crossings and elsewhere, with every second one found."""
    widths = np.array([1.0, 3.9, 4.0, 7.9, 8.0, 20.0])
    skeleton = mask(*((5, 5 + 9 * i) for i in range(6)))
    line = Centreline(skeleton, widths, np.array([True, True, False, False, False, False]))
    monkeypatch.setattr(error_analysis, "centreline", lambda vessels: line)
    prediction = mask((5, 5), (5, 24), (6, 41), (7, 50))  # 24: beside; 41 and 50: beside
    found = sensitivity_by_place([prediction, ~prediction], [skeleton] * 2)
    assert found == {
        "below 4": {"pixels": 4, "sensitivity": 0.75},
        "4 to 8": {"pixels": 4, "sensitivity": 0.75},
        "8 and more": {"pixels": 4, "sensitivity": 1.0},
        "at crossings": {"pixels": 4, "sensitivity": 0.75},
        "elsewhere": {"pixels": 8, "sensitivity": 0.875},
        "centre of wide vessels": {"pixels": 4, "sensitivity": 0.5},
    }
    none = Centreline(mask(), np.zeros(0), np.zeros(0, dtype=bool))
    monkeypatch.setattr(error_analysis, "centreline", lambda vessels: none)
    (empty,) = {tuple(v.values()) for v in sensitivity_by_place([mask()], [mask()]).values()}
    assert empty == (0, None)
    with pytest.raises(ValueError):
        sensitivity_by_place([prediction], [skeleton] * 2)


def place(y, x, vessel, fov):
    """Where one false positive lies, by the distance to every pixel."""
    inside = [(a, b) for a in range(-1, 41) for b in range(-1, 61)]
    edge = [p for p in inside if not (0 <= p[0] < 40 and 0 <= p[1] < 60 and fov[p])]
    if min(np.hypot(y - a, x - b) for a, b in np.argwhere(vessel)) <= 2:
        return "beside a vessel"
    near = min(np.hypot(y - a, x - b) for a, b in edge) <= 10
    return "at the rim" if near else "elsewhere"


PLACES = ("beside a vessel", "at the rim", "elsewhere")


@pytest.mark.parametrize(
    "y, x",
    # Two pixels from the vessel, root of 5, three; nine to eleven from the edge of field or image.
    [(22, 30), (22, 31), (23, 30), (14, 20), (15, 20), (16, 20), (9, 30), (10, 30), (17, 4)]
    + [(30, 45), (29, 45), (28, 45), (20, 48), (20, 49), (20, 50), (20, 51)],
)
def test_the_place_of_one_false_positive(y, x):
    vessel, fov = mask((20, 30)), ~mask(np.s_[:5, :40])
    expected = dict.fromkeys(PLACES, 0.0) | {place(y, x, vessel, fov): 1.0}
    assert false_positives_by_place([mask((y, x))], [vessel], [fov]) == expected


def test_beside_a_vessel_counts_before_the_rim():
    vessel, fov = mask((8, 30)), ~mask(np.s_[:5, :])
    expected = dict.fromkeys(PLACES, 0.0) | {"beside a vessel": 1.0}
    assert false_positives_by_place([mask((7, 30))], [vessel], [fov]) == expected


def test_false_positives_of_several_images_are_counted_together():
    vessel, fov = mask((20, 30)), ~mask(np.s_[:5, :])
    first, second = mask((20, 30), (21, 30), (2, 30)), mask((20, 31), (7, 30), (24, 30), (25, 30))
    shares = false_positives_by_place([first, second], [vessel] * 2, [fov] * 2)
    assert shares == {"beside a vessel": 0.4, "at the rim": 0.2, "elsewhere": 0.4}
    nothing = dict.fromkeys(PLACES, 0.0)
    assert false_positives_by_place([vessel], [vessel], [fov]) == nothing
    with pytest.raises(ValueError):
        false_positives_by_place([first, second], [vessel] * 2, [fov])


def test_where_no_vessel_is_no_false_positive_lies_beside_one():
    nothing, everywhere = mask(), mask(np.s_[:])
    places = false_positives_by_place([mask((0, 0), (20, 30))], [nothing], [everywhere])
    assert places == {"beside a vessel": 0.0, "at the rim": 0.5, "elsewhere": 0.5}
