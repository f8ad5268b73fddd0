"""Normalised surface distance against loops, MONAI and known shapes; the observers' tolerance."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_surface_dice

from retina_course.evaluation.surface import border, nsd, observer_tolerance

TOLERANCES = st.sampled_from([0, 0.5, 1, 1.4, 1.5, 2, 3.2])


@st.composite
def pairs(draw, largest=9):
    shape = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


def border_by_loops(mask):
    h, w = mask.shape
    found = []
    for y, x in itertools.product(range(h), range(w)):
        sides = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [0 <= i < h and 0 <= j < w and mask[i, j] for i, j in sides]
        if mask[y, x] and not all(inside):
            found.append((y, x))
    return found


def nsd_by_loops(a, b, tolerance):
    edges = border_by_loops(a), border_by_loops(b)
    if not edges[0] and not edges[1]:
        return 1.0
    near = 0
    for here, there in (edges, edges[::-1]):
        near += sum(
            min(map(math.dist, [p] * len(there), there), default=9e9) <= tolerance for p in here
        )
    return near / (len(edges[0]) + len(edges[1]))


@settings(deadline=None, max_examples=100)
@given(pairs(), TOLERANCES)
def test_nsd_against_loops(pair, tolerance):
    assert nsd(*pair, tolerance) == pytest.approx(nsd_by_loops(*pair, tolerance))
    assert nsd(*pair, tolerance) == nsd(*pair[::-1], tolerance)


@pytest.mark.filterwarnings("ignore::FutureWarning:monai", "ignore:the .* is all 0")
@settings(deadline=None, max_examples=50)
@given(pairs(largest=20), TOLERANCES)
def test_nsd_against_monai(pair, tolerance):
    """MONAI's pixels of the border are the same; for two empty masks it says NaN."""
    a, b = (torch.from_numpy(mask)[None, None] for mask in pair)
    theirs = compute_surface_dice(a, b, [tolerance], include_background=True).item()
    if a.any() or b.any():
        assert nsd(*pair, tolerance) == pytest.approx(theirs)


def test_a_larger_tolerance_forgives_more_and_a_mask_agrees_with_itself():
    a, b = np.random.default_rng(0).random((2, 40, 40)) < 0.1
    found = [nsd(a, b, tolerance) for tolerance in (0, 1, 2, 4, 60)]
    assert found == sorted(found) and found[0] < 0.2 and found[-1] == 1
    assert nsd(a, a, 0) == 1


def test_tolerance_zero_counts_border_pixels_that_both_have():
    a, b = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    a[4, 1:7], b[4, 3:8] = True, True  # 6 and 5 pixels, 4 in common
    assert nsd(a, b, 0) == pytest.approx(8 / 11)


def test_the_tolerance_is_that_of_the_distance_in_a_straight_line_and_includes_it():
    a, b = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    a[1, 1], b[4, 5] = True, True  # 5 pixels apart
    assert [nsd(a, b, tolerance) for tolerance in (4.99, 5)] == [0, 1]


def test_empty_masks():
    empty, one = np.zeros((6, 6), bool), np.eye(6, dtype=bool)
    assert nsd(empty, empty, 0) == 1
    assert nsd(empty, one, 99) == nsd(one, empty, 99) == 0


def test_the_border_touches_the_background_with_a_side_or_is_at_the_image_border():
    mask = np.ones((5, 6), bool)
    assert (border(mask) == np.pad(np.zeros((3, 4), bool), 1, constant_values=True)).all()
    mask = np.ones((7, 7), bool)
    mask[0, 0] = False
    assert border(mask)[0, 1] and border(mask)[1, 0] and not border(mask)[1, 1]  # a corner only


def test_a_missed_thin_vessel_costs_edge_not_area():
    thin, wide = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    thin[50], wide[10:30] = True, True
    assert nsd(wide, wide | thin, 1) == pytest.approx(1 - 60 / (2 * 156 + 60))


def test_what_lies_outside_the_field_of_view_does_not_count_after_the_cut():
    rng = np.random.default_rng(1)
    fov = np.hypot(*np.mgrid[-20:21, -20:21]) < 18
    a, b, noise = rng.random((3, 41, 41)) < 0.2
    assert nsd(a & fov, b & fov, 1) == nsd((a ^ (noise & ~fov)) & fov, b & fov, 1)
    vessel = np.zeros_like(fov)
    vessel[18:23] = True
    assert nsd(vessel & fov, vessel & fov, 0) == 1  # the cut makes the same edge in both


def test_wrong_input_to_nsd():
    mask = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="0 or more pixels, got -1"):
        nsd(mask, mask, -1)
    with pytest.raises(ValueError, match="got nan"):
        nsd(mask, mask, float("nan"))
    with pytest.raises(ValueError, match=r"one shape, got \(4, 4\) and \(4, 5\)"):
        nsd(mask, np.ones((4, 5), bool), 1)
    with pytest.raises(ValueError, match=r"shape \(H, W\), got shape \(1, 4, 4\)"):
        nsd(mask[None], mask[None], 1)
    with pytest.raises(ValueError, match="Probabilities need a threshold"):
        nsd(mask * 0.5, mask, 1)


def bars(*rows):
    mask = np.zeros((80, 100), bool)
    for low, high in rows:
        mask[low:high, 5:95] = True
    return mask


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_tolerance_is_how_far_apart_observers_draw_an_edge(shift):
    first, second = bars((20, 29)), bars((20 + shift, 29 + shift))
    assert observer_tolerance([first], [second]) == shift
    assert observer_tolerance([second], [first]) == shift


def test_a_vessel_that_one_observer_left_out_does_not_change_the_tolerance():
    first, second = bars((10, 17), (50, 53)), bars((11, 18))
    assert observer_tolerance([first], [second]) == observer_tolerance([second], [first]) == 1


def test_the_tolerance_pools_the_images():
    same, moved = bars((20, 29)), bars((22, 31))
    mostly = observer_tolerance([same] * 40, [same] * 39 + [moved])
    assert mostly == 0 and observer_tolerance([same] * 2, [same, moved]) == 2


def test_the_observers_agree_within_their_tolerance_on_common_vessels():
    first, second = bars((10, 17), (40, 49)), bars((11, 18), (39, 50))
    tolerance = observer_tolerance([first], [second])
    assert nsd(first, second, tolerance) >= 0.95


def test_wrong_input_to_observer_tolerance():
    with pytest.raises(ValueError, match="no vessel that both"):
        observer_tolerance([bars((10, 20))], [bars((40, 50))])
    with pytest.raises(ValueError, match="no vessel that both"):
        observer_tolerance([], [])
    with pytest.raises(ValueError, match="one shape"):
        observer_tolerance([bars((10, 20))], [bars((10, 20))[1:]])
    with pytest.raises(ValueError):
        observer_tolerance([bars((10, 20))], [])
