"""Measurements against exact tubes: length, width and tortuosity are those that were drawn."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from retina_course.data.synthetic import draw_tubes, make_fundus, vessel_geometry
from retina_course.measurement import find_vessels, measure, skeleton_graph
from retina_course.measurement.calibre import widths_by_fit
from retina_course.measurement.lengths import corner_count, freeman, pixel_count, smoothed

SIDE = 200
ANGLES = (0, 10, 26.6, 45, 63, 90, 135)


def straight(angle: float, width: float, length: float = 140, shift: float = 0.3) -> np.ndarray:
    """A straight tube in the middle of the image."""
    ahead = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([SIDE / 2 + shift, SIDE / 2 - shift / 2])
    line = np.stack([middle - ahead * length / 2, middle + ahead * length / 2])
    return draw_tubes([line], [width], (SIDE, SIDE)) >= 0.5


@pytest.mark.parametrize("width", [2, 3, 5, 9, 20])
def test_length_and_width_of_straight_tubes_at_all_angles(width):
    widths, lengths = [], []
    for angle in ANGLES:
        vessels = find_vessels(straight(angle, width))
        assert len(vessels.lines) == 1
        widths.append(vessels.mean_widths[0])
        lengths.append(vessels.length)
    thin = 3 if width < 3 else 1  # two pixels at one place on the grid are not two at another
    assert np.mean(widths) == pytest.approx(width, rel=0.03 * thin)
    assert widths == pytest.approx([width] * len(ANGLES), rel=0.1 * thin)
    assert lengths == pytest.approx([140] * len(ANGLES), rel=0.02)


def test_a_cut_vessel_is_measured_up_to_the_cut():
    mask = straight(20, 12, length=400)
    assert find_vessels(mask).length == pytest.approx(SIDE / np.cos(np.radians(20)), rel=0.02)


def test_a_diagonal_vessel_has_a_skeleton():
    """That of Zhang and Suen shrinks some of these to a single pixel."""
    for width in (2, 3, 4, 8):
        for angle in (45, 135):
            graph = skeleton_graph(straight(angle, width, shift=0))
            assert sum(len(s) for s in graph.segments) > 90, (width, angle)


@pytest.mark.parametrize("width", [3, 8])
@pytest.mark.parametrize(("height", "period"), [(5, 120), (10, 60), (20, 120)])
def test_tortuosity_of_waves(width, height, period):
    x = np.arange(20.0, 261)
    wave = np.column_stack([x, 100 + height * np.sin(2 * np.pi * (x - 20) / period)])
    arc = np.hypot(*np.diff(wave, axis=0).T).sum()
    (line,) = find_vessels(draw_tubes([wave], [width], (200, 280)) >= 0.5).lines
    assert line.length / line.chord == pytest.approx(arc / 240, rel=0.01)
    assert line.length == pytest.approx(arc, rel=0.02)


def test_curvature_of_a_circle():
    angle = np.linspace(0.2, 6, 300)
    arc = 100 + 60 * np.column_stack([np.cos(angle), np.sin(angle)])
    values = measure(draw_tubes([arc], [5], (SIDE, SIDE)) >= 0.5).values
    assert values["curvature_rms_per_px"] == pytest.approx(1 / 60, rel=0.06)


@pytest.mark.parametrize("width", [2, 6])
def test_a_straight_vessel_has_almost_no_curvature(width):
    values = measure(straight(20, width)).values
    assert values["curvature_rms_per_px"] < 0.002
    assert values["tortuosity_arc_chord"] == pytest.approx(1, abs=0.005)


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(st.floats(80, 90), st.floats(0, 180), st.integers(3, 9), st.integers(3, 9))
def test_two_vessels_cross_in_one_point_that_is_no_branch_point(angle, turn, wide, narrow):
    """Two vessels: four arms, whose lengths together are those of the vessels."""
    lines = []
    for direction in np.radians([turn, turn + angle]):
        ahead = 80 * np.array([np.cos(direction), np.sin(direction)])
        lines.append(np.stack([SIDE / 2 - ahead, SIDE / 2 + ahead]) + 0.3)
    found = measure(draw_tubes(lines, [wide, narrow], (SIDE, SIDE)) >= 0.5)
    assert found.values["crossings_count"] == 1
    assert found.values["branch_points_count"] == 0
    assert found.values["end_points_count"] == 4
    assert found.values["length_px"] == pytest.approx(320, rel=0.03)


def test_branch_points_further_apart_than_a_vessel_stay_two():
    lines = [(0.0, 100), (199, 100)], [(80.0, 100), (80, 20)], [(110.0, 100), (110, 180)]
    mask = draw_tubes([np.array(line) for line in lines], [6, 4, 4], (SIDE, SIDE)) >= 0.5
    graph = skeleton_graph(mask)
    assert len(graph.branch_points) == 2 and len(graph.crossings) == 0


def test_a_fork_has_one_branch_point_its_angle_and_no_spurs():
    fork = [(0.0, 100), (100, 100)], [(100.0, 100), (180, 50)], [(100.0, 100), (180, 150)]
    mask = draw_tubes([np.array(line) for line in fork], [9, 6, 6], (SIDE, SIDE)) >= 0.5
    found = measure(mask)
    assert found.values["branch_points_count"] == 1
    assert found.values["end_points_count"] == 3
    angle = 2 * np.degrees(np.arctan2(50, 80))
    assert found.values["branching_angle_mean_degrees"] == pytest.approx(angle, abs=6)
    assert sorted(found.vessels.mean_widths) == pytest.approx([6, 6, 9], rel=0.05)


def test_a_vessel_beside_another_does_not_widen_it():
    lines = [np.array([[0.0, 80], [199, 80]]), np.array([[0.0, 90], [199, 90]])]
    vessels = find_vessels(draw_tubes(lines, [5, 7], (SIDE, SIDE)) >= 0.5)
    assert sorted(vessels.mean_widths) == pytest.approx([5, 7], rel=0.03)


def test_a_soft_map_gives_the_width_of_the_mask():
    cover = draw_tubes([np.array([[0.0, 70], [199, 130]])], [6], (SIDE, SIDE))
    assert find_vessels(cover >= 0.5, cover).mean_widths[0] == pytest.approx(6, rel=0.02)


def test_a_profile_in_a_photograph_gives_the_width_before_the_blur():
    from scipy import ndimage

    cover = draw_tubes([np.array([[0.0, 70], [199, 130]])], [7], (SIDE, SIDE))
    noise = 0.01 * np.random.default_rng(0).standard_normal(cover.shape)
    seen = ndimage.gaussian_filter(0.5 - 0.2 * cover, 1.2) + noise
    vessels = find_vessels(cover >= 0.5)
    found = widths_by_fit(seen, vessels.lines, vessels.widths)
    assert found[0] == pytest.approx(7, rel=0.04)


def test_estimators_of_length_have_the_errors_that_they_are_said_to_have():
    errors = {estimate: [] for estimate in (pixel_count, freeman, corner_count, smoothed)}
    for angle in np.linspace(0, 45, 19):
        end = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * 200
        x = np.arange(round(end[0]) + 1)
        pixels = np.column_stack([x, np.round(x * np.tan(np.radians(angle)))])
        true = x[-1] / np.cos(np.radians(angle))
        for estimate, found in errors.items():
            found.append(estimate(pixels) / true - 1)
    assert min(errors[pixel_count]) == pytest.approx(np.sqrt(0.5) - 1, abs=0.01)
    assert 0.07 < max(errors[freeman]) < 0.09
    assert abs(np.mean(errors[corner_count])) < 0.005
    assert np.abs(errors[smoothed]).max() < 0.01


def test_exact_geometry_lies_in_the_masks_of_the_same_eye():
    eye, truth = make_fundus((200, 240), seed=2), vessel_geometry((200, 240), seed=2)
    assert {branch.kind for branch in truth.branches} == {"artery", "vein"}
    for kind in ("artery", "vein"):
        mask = getattr(eye, kind).numpy()
        points = np.concatenate([b.points[b.width > 1.5] for b in truth.branches if b.kind == kind])
        x, y = points.round().astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < 240) & (y < 200)
        x, y = x[inside], y[inside]
        fov = eye.fov.numpy()[y, x]
        assert mask[y[fov], x[fov]].all()
    x, y = truth.disc_centre.round().astype(int)
    assert eye.disc[y, x]
    assert eye.disc.sum() == pytest.approx(np.pi / 4 * truth.disc_diameter**2, rel=0.1)


def test_total_length_of_an_exact_eye():
    eye, truth = make_fundus(640, seed=1), vessel_geometry(640, seed=1)
    found = find_vessels(eye.artery.numpy()).length
    drawn = sum(branch.length for branch in truth.branches if branch.kind == "artery")
    assert 0.85 * drawn < found < drawn  # branches begin inside of the vessel that they leave
