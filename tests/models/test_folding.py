"""Folding is a rearrangement of the pixels, and unfolding its inverse."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.models import fold, unfold

sides = st.integers(1, 5)


@settings(deadline=None)
@given(sides, sides, sides, sides, st.integers(1, 6))
def test_unfold_is_the_inverse_of_fold_and_both_are_torchs(n, c, h, w, a):
    x = torch.arange(n * c * h * w * a * a).reshape(n, c, h * a, w * a)
    folded = fold(x, a)
    assert folded.shape == (n, c * a * a, h, w)
    assert torch.equal(folded, F.pixel_unshuffle(x, a))
    assert torch.equal(unfold(folded, a), x)
    assert torch.equal(fold(unfold(folded, a), a), folded)


def test_a_channel_of_the_folded_image_is_one_place_of_every_block():
    x = torch.rand(2, 3, 8, 12)
    folded = fold(x, 4)
    for c, i, j in [(0, 0, 0), (1, 2, 3), (2, 3, 1)]:
        assert torch.equal(folded[:, c * 16 + i * 4 + j], x[:, c, i::4, j::4])


@pytest.mark.parametrize("a", [0, -1, 2.0, True, "2"])
@pytest.mark.parametrize("function", [fold, unfold])
def test_a_fold_that_is_no_positive_integer_is_refused(function, a):
    with pytest.raises(ValueError, match="fold must be a positive integer"):
        function(torch.rand(1, 4, 4, 4), a)


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="fold=4 must divide height and width, got 8x10"):
        fold(torch.rand(1, 3, 8, 10), 4)
    with pytest.raises(ValueError, match="fold=2 needs a multiple of 4 channels, got 6"):
        unfold(torch.rand(1, 6, 8, 8), 2)
