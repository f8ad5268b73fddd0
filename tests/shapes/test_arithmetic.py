"""Each formula against torch, on random settings."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from retina_course.shapes.arithmetic import conv_parameters, conv_size, pool_size, transposed_size


def side_of(module, side):
    channels = getattr(module, "in_channels", 1)
    try:
        # Some transposed convolutions give an empty map instead of an error.
        return module(torch.empty(1, channels, side, side)).shape[-1] or None
    except RuntimeError:
        return None


def formula(function, *arguments):
    try:
        return function(*arguments)
    except ValueError:
        return None


settings_of_a_window = (st.integers(1, 20), *(st.integers(1, 5),) * 2, st.integers(0, 4))


@settings(deadline=None, max_examples=150)
@given(*settings_of_a_window, st.integers(1, 4))
def test_side_of_a_convolution(side, k, s, p, d):
    conv = nn.Conv2d(1, 1, k, s, p, d)
    assert formula(conv_size, side, k, s, p, d) == side_of(conv, side)


@settings(deadline=None, max_examples=200)
@given(*settings_of_a_window, st.integers(1, 4), st.booleans())
def test_side_of_a_pool(side, k, s, p, d, ceil):
    pool = nn.MaxPool2d(k, s, p, d, ceil_mode=ceil)
    assert formula(pool_size, side, k, s, p, d, ceil) == side_of(pool, side)


@settings(deadline=None, max_examples=150)
@given(*settings_of_a_window, st.integers(0, 4), st.integers(1, 4))
def test_side_of_a_transposed_convolution(side, k, s, p, o, d):
    up = nn.ConvTranspose2d(1, 1, k, s, p, o, dilation=d)
    assert formula(transposed_size, side, k, s, p, o, d) == side_of(up, side)


@pytest.mark.parametrize("size", [conv_size, transposed_size])
@pytest.mark.parametrize("wrong", [{"k": 0}, {"s": 0}, {"d": 0}, {"p": -1}])
def test_what_no_window_has_is_an_error(size, wrong):
    with pytest.raises(ValueError, match="Expected positive k, s, d and p >= 0"):
        size(8, **({"k": 3} | wrong))


@settings(deadline=None)
@given(st.integers(1, 40), *(st.integers(1, 5),) * 3, st.integers(0, 3))
def test_transposed_side_undoes_conv_side(side, k, s, d, p):
    windows = formula(conv_size, side, k, s, p, d)
    assume(windows)
    o = (side + 2 * p - d * (k - 1) - 1) % s  # what the floor has thrown away
    assert transposed_size(windows, k, s, p, o, d) == side


@settings(deadline=None)
@given(st.integers(1, 9), *(st.integers(1, 4),) * 3, st.booleans())
def test_parameters_of_a_convolution(k, groups, c_in, c_out, bias):
    c_in, c_out = groups * c_in, groups * c_out
    expected = conv_parameters(k, c_in, c_out, bias, groups)
    for kind in (nn.Conv2d, nn.ConvTranspose2d):
        module = kind(c_in, c_out, k, groups=groups, bias=bias)
        assert sum(p.numel() for p in module.parameters()) == expected
