"""Definitions on small cases that can be worked out by hand, and errors for wrong input."""

import numpy as np
import pytest

from retina_course.data.synthetic import draw_tubes
from retina_course.measurement import (
    Disc,
    box_count,
    central_equivalents,
    equivalent,
    in_units,
    measure,
    skeleton_graph,
)
from retina_course.measurement.centreline import smooth
from retina_course.measurement.discs import read_discs
from retina_course.measurement.equivalents import ARTERY, VEIN
from retina_course.measurement.tortuosity import tortuosity

MASK = draw_tubes([np.array([[-5.0, 50.5], [105, 50.5]])], [6], (100, 100)) >= 0.5


def test_equivalents_by_hand():
    """Widest with narrowest, in rounds: (12, 7), (11, 8), (10, 9); then three are left."""
    first = sorted([0.88 * np.hypot(*pair) for pair in ((12, 7), (11, 8), (10, 9))])
    second = 0.88 * np.hypot(first[2], first[0])
    expected = 0.88 * np.hypot(second, first[1])
    assert equivalent([7, 8, 9, 10, 11, 12, 3], ARTERY) == pytest.approx(expected)
    assert equivalent([10], VEIN) == 10
    assert np.isnan(equivalent([], VEIN))


def test_seven_measures_of_a_half_circle():
    angle = np.linspace(0, np.pi, 400)
    found = tortuosity(smooth(100 * np.column_stack([np.cos(angle), np.sin(angle)])))
    seven = found.seven
    assert len(seven) == 7
    assert seven["arc_chord_less_1"] == pytest.approx(np.pi / 2 - 1, rel=0.01)
    assert seven["total"] == pytest.approx(np.pi, rel=0.02)
    assert seven["total_squared_by_arc"] == pytest.approx(1e-4, rel=0.05)


def test_fractal_dimension_of_known_sets():
    sides = (2, 4, 8, 16, 32)
    carpet = np.ones((1, 1), bool)
    for _ in range(5):
        hole = np.kron([[1, 1, 1], [1, 0, 1], [1, 1, 1]], carpet) > 0
        carpet = hole
    by_three = box_count(carpet, (3, 9, 27, 81)).dimension
    assert by_three == pytest.approx(np.log(8) / np.log(3), abs=0.12)
    assert box_count(np.eye(256, dtype=bool), sides).dimension == pytest.approx(1, abs=0.03)
    assert np.isnan(box_count(np.zeros((9, 9), bool)).dimension)


def test_a_ring_is_one_segment_without_nodes():
    y, x = np.ogrid[:60, :60]
    away = np.hypot(x - 30, y - 30)
    graph = skeleton_graph((away > 18) & (away < 22))
    assert len(graph.segments) == 1 and len(graph.nodes) == 0


def test_closed_vessels_have_no_tortuosity_and_nearly_closed_ones_do_not_rule_the_mean():
    turn = np.linspace(0.15, 2 * np.pi - 0.15, 300)  # all but closed: the ends are 12 pixels apart
    bow = 80 + 40 * np.column_stack([np.cos(turn), np.sin(turn)])
    straight = np.array([[5.0, 150], [195, 150]])
    found = measure(draw_tubes([bow, straight], [4, 4], (200, 200)) >= 0.5)
    arc, chord = 40 * 2 * (np.pi - 0.15) + 190, 80 * np.sin(0.15) + 190
    assert len(found.vessels.tortuosities()) == 2
    assert found.values["tortuosity_arc_chord"] == pytest.approx(arc / chord, rel=0.02)
    ring = 100 + 60 * np.column_stack([np.cos(turn * 1.1), np.sin(turn * 1.1)])
    tail = np.array([[160.0, 100], [195, 100]])
    closed = measure(draw_tubes([ring, tail], [4, 4], (200, 200)) >= 0.5)
    assert closed.values["tortuosity_arc_chord"] == pytest.approx(1, abs=0.01)


def test_an_empty_map_has_counts_of_0_and_no_means():
    found = measure(np.zeros((40, 40), bool))
    assert found.values["length_px"] == 0 and found.values["segments_count"] == 0
    assert np.isnan(found.values["calibre_mean_px"])
    assert "Only 0 vessel segments" in found.flags[0]


def test_density_counts_the_field_of_view_only():
    fov = np.zeros(MASK.shape, bool)
    fov[:, :50] = True
    half = measure(MASK, fov).values
    assert half["area_density_percent"] == pytest.approx(6)
    assert half["length_px"] == pytest.approx(50, rel=0.02)
    assert half["length_density_per_px"] == pytest.approx(50 / 5000, rel=0.02)


def test_zones_and_equivalents_of_four_vessels_around_a_disc():
    out = [np.array([[100.5, 100.5], end]) for end in ([199, 100.5], [0, 100.5])]
    up = [np.array([[100.5, 100.5], end]) for end in ([100.5, 199], [100.5, 0])]
    arteries = draw_tubes(out, [6, 6], (200, 200)) >= 0.5
    veins = draw_tubes(up, [8, 8], (200, 200)) >= 0.5
    disc = Disc(100.5, 100.5, 40)
    found = measure(arteries | veins, disc=disc, arteries=arteries, veins=veins)
    assert found.values["zone_b_vessels_count"] == 4
    assert found.values["zone_b_calibre_mean_px"] == pytest.approx(7, rel=0.03)
    assert found.values["crae_px"] == pytest.approx(0.88 * np.hypot(6, 6), rel=0.03)
    assert found.values["crve_px"] == pytest.approx(0.95 * np.hypot(8, 8), rel=0.03)
    assert any("six arteries" in flag for flag in found.flags)


def test_a_trunk_that_forks_in_zone_b_counts_once():
    """Zone B runs from 40 to 60 pixels from the centre, its middle lies at 50."""
    trunk, twig = np.array([[100.5, 100.5], [199, 100.5]]), np.array([[156.0, 100], [199, 40]])
    artery = draw_tubes([trunk, twig], [8, 4], (200, 200)) >= 0.5
    vein = draw_tubes([np.array([[100.0, 100.5], [100.0, 0]])], [9], (200, 200)) >= 0.5
    found = central_equivalents(artery, vein, Disc(100.5, 100.5, 40))
    assert found["crae_vessels_count"] == 1 and found["crve_vessels_count"] == 1
    assert found["crae_px"] == pytest.approx(8, rel=0.05)
    assert found["crve_px"] == pytest.approx(9, rel=0.03)
    nothing = central_equivalents(artery & False, vein, Disc(100.5, 100.5, 40))
    assert np.isnan(nothing["crae_px"]) and np.isnan(nothing["avr"])


def test_units():
    found = in_units({"calibre_mean_px": 3.0, "length_px": 60.0, "avr": 0.7}, 30.0, 10.0)
    assert found == {
        "calibre_mean_arcmin": 6.0,
        "calibre_mean_um": 30.0,
        "length_degrees": 2.0,
        "length_mm": 0.6,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": np.full((5, 5), 0.5)}, "need a threshold"),
        ({"mask": np.zeros((5, 5, 3))}, "shape"),
        ({"mask": MASK, "fov": np.ones((5, 5), bool)}, "field of view of the mask's shape"),
        ({"mask": MASK, "fov": np.zeros_like(MASK)}, "not empty"),
        ({"mask": MASK, "arteries": MASK}, "come together"),
        ({"mask": MASK, "probability": np.zeros((5, 5))}, "probability of the mask's shape"),
        ({"mask": MASK, "probability": np.ones((1, 100))}, "probability of the mask's shape"),
        ({"mask": MASK, "photograph": np.ones((50, 50))}, "photograph of the mask's shape"),
        ({"mask": MASK, "arteries": MASK, "veins": MASK[:50]}, "veins of the mask's shape"),
        ({"mask": MASK, "pixels_per_degree": float("nan")}, "pixels_per_degree must be positive"),
        ({"mask": MASK, "pixels_per_degree": 0}, "pixels_per_degree must be positive"),
        ({"mask": MASK, "disc": Disc(50, 50, 0)}, "diameter"),
    ],
)
def test_wrong_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        measure(**arguments)


def test_arteries_and_veins_count_inside_the_field_of_view_only():
    left = np.zeros_like(MASK)
    left[:, :50] = True
    disc = Disc(50, 50, 30)
    whole, half = (measure(MASK, fov, disc=disc, arteries=MASK, veins=MASK) for fov in (None, left))
    assert whole.values["crae_vessels_count"] == 2  # one vessel across, left and right of the disc
    assert half.values["crae_vessels_count"] == half.values["crve_vessels_count"] == 1


def test_boxes_of_one_size_have_no_dimension():
    """At less than 0.8 pixels per degree all boxes are 2 pixels wide: a point is no line."""
    values = measure(MASK, pixels_per_degree=0.5).values
    assert values["fractal_smallest_box_px"] == values["fractal_largest_box_px"] == 2
    assert np.isnan(values["fractal_dimension"]) and np.isnan(values["fractal_fit_r2"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("eye.jpg,nan,3,4", "finite"),
        ("eye.jpg,1,3,inf", "finite"),
        ("eye.jpg,1,3,0", "diameter above 0"),
        ("eye.jpg,1,3", "three numbers"),
        (",1,3,4", "with its name"),
        ("first.jpg,1,3,4", "one line for each file"),
    ],
)
def test_a_line_without_a_disc_is_named(tmp_path, line, message):
    table = tmp_path / "discs.csv"
    table.write_text(f"file,x,y,diameter\nfirst.jpg,1,2,3\n{line}\n")
    with pytest.raises(ValueError, match=f"line 3: .*{message}"):
        read_discs(table)
