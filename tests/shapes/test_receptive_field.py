"""Receptive fields against gradients."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from step_modules import convs, network, others, pools, upconvs
from torch import nn

from retina_course import create_model
from retina_course.shapes.networks import describe
from retina_course.shapes.steps import (
    Add,
    Back,
    Conv,
    Keep,
    MaxPool,
    Transposed,
    predict_table,
    receptive_field,
)


def gradient(model, channels, side, pixel):
    """First and last column that one output column depends on, by the gradient."""
    for parameter in model.double().eval().parameters():
        parameter.data.abs_().add_(0.1)  # no two terms cancel
    image = torch.ones(1, channels, side, side, dtype=torch.double, requires_grad=True)
    model(image)[..., pixel].sum().backward()
    columns = image.grad.sum(dim=(0, 1, 2)).nonzero().flatten().tolist()
    return columns[0], columns[-1]


def without_gaps(step):
    return getattr(step, "d", 1) == 1 and getattr(step, "k", 1) >= (getattr(step, "s", 1) or 1)


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(
    st.lists((convs | upconvs | pools | others).filter(without_gaps), min_size=1, max_size=4),
)
def test_receptive_field_is_where_the_gradient_is_not_zero(steps):
    sides = [int(row.output_shape.split("x")[-1]) for row in predict_table(steps, (4, 40, 40))]
    pixel = sides[-1] // 2
    # What padding adds, and what a transposed convolution cuts off, is seen by nobody.
    for i, side in enumerate(sides[:-2]):
        first, last = receptive_field(steps[i:], pixel)
        assume(first >= 0 and last < side)
    model = network(steps, 4)
    for i, step in enumerate(steps):
        if isinstance(step, MaxPool):  # which reads the same pixels, but passes one gradient
            model[i] = nn.AvgPool2d(step.k, step.s, step.p, step.ceil)
    assert receptive_field(steps, pixel) == gradient(model, 4, 40, pixel)


def test_receptive_field_of_one_dilated_layer():
    found = gradient(network([Conv(1, 3, d=4)], 1), 1, 40, 20)
    assert receptive_field([Conv(1, 3, d=4)], 20) == found == (16, 24)


def test_receptive_field_through_joins_and_branches():
    skipped = [Keep("a"), Conv(4), Add("a")]
    assert receptive_field(skipped, 5) == (4, 6)
    assert receptive_field([Keep("a"), Conv(4, 1), Keep("b"), Back("a"), Conv(4, 7), Add("b")]) == (
        -3,
        3,
    )
    # What one output pixel of UNetSmall sees depends on its place on the grid of the bottleneck.
    windows = {
        receptive_field(describe("unet_small", num_classes=32), pixel) for pixel in range(64, 72)
    }
    assert {last - first + 1 for first, last in windows} == {54, 62}


def test_receptive_field_of_unet_small_is_where_the_gradient_is_not_zero():
    torch.manual_seed(0)
    model = create_model("unet_small").double().eval()
    for pixel in (64, 66):
        image = torch.rand(4, 3, 128, 128, dtype=torch.double, requires_grad=True)
        model(image)[..., pixel, pixel].sum().backward()
        columns = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        assert receptive_field(describe("unet_small", num_classes=32), pixel) == (
            columns[0],
            columns[-1],
        )


def test_a_pixel_that_sees_nothing_is_an_error():
    gap = [Transposed(1, k=1, s=2, p=0, o=0)]
    assert receptive_field(gap, 2) == (1, 1)
    with pytest.raises(ValueError, match="output pixel 3"):
        receptive_field(gap, 3)
