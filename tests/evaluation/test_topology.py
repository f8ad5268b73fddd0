"""Betti numbers against a flood fill, scikit-image's Euler number and known shapes; mended maps."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold
from skimage.measure import euler_number

from retina_course.evaluation.topology import (
    Betti,
    betti_errors,
    betti_numbers,
    hysteresis,
    remove_specks,
)

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
SIDES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
AROUND = [step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0)]


def pieces(mask, steps):
    """The connected sets of pixels, by a flood fill."""
    left = set(zip(*map(np.ndarray.tolist, np.nonzero(mask)), strict=True))
    found = []
    while left:
        piece, waiting = set(), [left.pop()]
        while waiting:
            y, x = waiting.pop()
            piece.add((y, x))
            new = {(y + dy, x + dx) for dy, dx in steps} & left
            left -= new
            waiting += new
        found.append(piece)
    return found


@settings(deadline=None, max_examples=150)
@given(masks)
def test_betti_numbers_against_a_flood_fill_and_the_euler_number(mask):
    found = betti_numbers(mask)
    last = np.array(mask.shape) - 1
    enclosed = [
        piece
        for piece in pieces(~mask, SIDES)
        if not any(0 in pixel or (np.array(pixel) == last).any() for pixel in piece)
    ]
    assert found == (len(pieces(mask, AROUND)), len(enclosed))
    assert found.components - found.holes == euler_number(mask, connectivity=2)


def ring(radius, centre=(20, 20), shape=(41, 61)):
    distance = np.hypot(*(np.indices(shape) - np.reshape(centre, (2, 1, 1))))
    return abs(distance - radius) < 1


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.zeros((5, 5), bool), (0, 0)),
        (np.ones((5, 5), bool), (1, 0)),
        (ring(10), (1, 1)),
        (ring(10) | ring(15), (2, 2)),  # one in the other
        (ring(8, (20, 12)) | ring(8, (20, 45)), (2, 2)),
        (ring(10, (20, 15)) | ring(10, (20, 27)), (1, 3)),  # they cross
        (np.eye(6, dtype=bool), (1, 0)),  # contact at corners connects vessels
        (np.eye(6, dtype=bool) | np.eye(6, dtype=bool)[::-1], (1, 0)),
        (np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool), (1, 1)),  # and closes a loop
    ],
)
def test_betti_numbers_of_known_shapes(mask, expected):
    assert betti_numbers(mask) == expected
    assert betti_numbers(mask.astype(np.uint8)) == expected


def test_a_loop_that_the_field_of_view_cuts_is_open():
    mask = ring(12, (20, 30))
    fov = np.indices(mask.shape)[1] < 36
    assert betti_numbers(mask) == (1, 1) and betti_numbers(mask & fov) == (1, 0)
    twice = np.indices(mask.shape)[0] % 30 < 15  # the cut may also make pieces
    assert betti_numbers(mask & twice).components == 2


def test_errors_are_absolute_symmetric_and_zero_for_the_same_map():
    one, two = ring(10), ring(10) | ring(15)
    assert betti_errors(one, two) == betti_errors(two, one) == Betti(1, 1)
    assert betti_errors(two, two) == (0, 0)
    assert betti_errors(np.zeros_like(one), two) == (2, 2)
    with pytest.raises(ValueError, match=r"one shape, got \(41, 61\) and \(41, 60\)"):
        betti_errors(one, two[:, 1:])
    with pytest.raises(ValueError, match="Probabilities need a threshold"):
        betti_numbers(one * 0.3)


@settings(deadline=None, max_examples=50)
@given(masks, st.integers(0, 6))
def test_remove_specks_keeps_the_pieces_that_are_large_enough(mask, min_size):
    expected = np.zeros_like(mask)
    for piece in pieces(mask, AROUND):
        for pixel in piece if len(piece) >= min_size else ():
            expected[pixel] = True
    assert (remove_specks(mask, min_size) == expected).all()


probabilities = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0.0, 0.3, 0.4, 0.5, 0.8, 1.0]),
)


@settings(deadline=None, max_examples=100)
@given(probabilities, st.sampled_from([0.3, 0.4, 0.5]), st.sampled_from([0.5, 0.8, 0.9]))
def test_hysteresis_is_the_spread_of_the_strong_pixels_over_the_weak(p, low, high):
    weak, strong = p >= np.float32(low), p >= np.float32(high)
    spread = ndimage.binary_propagation(strong, structure=np.ones((3, 3)), mask=weak)
    assert (hysteresis(p, low, high) == spread).all()
    assert (hysteresis(p, low, low) == weak).all()


def test_hysteresis_against_scikit_image_where_no_corners_touch():
    p = ndimage.gaussian_filter(np.random.default_rng(0).random((200, 200)), 6)
    low, high = np.quantile(p, [0.8, 0.97])
    found = hysteresis(p, low, high)
    labels = [ndimage.label(p >= low, structure)[1] for structure in (None, np.ones((3, 3)))]
    assert labels[0] == labels[1]  # else the two differ by definition
    assert (found == apply_hysteresis_threshold(p.astype(np.float32), low, high)).all()
    assert (p >= high).sum() < found.sum() < (p >= low).sum()


def test_wrong_input_to_hysteresis():
    with pytest.raises(ValueError, match="low=0.6 and high=0.5"):
        hysteresis(np.zeros((4, 4)), 0.6, 0.5)
    with pytest.raises(ValueError, match=r"got shape \(1, 4, 4\)"):
        hysteresis(np.zeros((1, 4, 4)), 0.4, 0.5)
