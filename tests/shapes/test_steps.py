"""The seven documented tables, predicted from descriptions."""

import pytest
from documented_steps import DOCUMENTED, chw
from hypothesis import given, settings
from hypothesis import strategies as st
from step_modules import network, stacks
from torch import nn

from retina_course import create_model, shapes
from retina_course.shapes.networks import describe
from retina_course.shapes.steps import (
    Add,
    Concat,
    Conv,
    Keep,
    MaxPool,
    Norm,
    ReLU,
    Transposed,
    Unpool,
    follow,
    predict_macs,
    predict_table,
)


@pytest.mark.parametrize("table", DOCUMENTED)
def test_documented_table_is_predicted_in_every_row(table):
    documented = shapes.read(table)
    predicted = predict_table(DOCUMENTED[table][0], chw(table))
    assert shapes.compare(predicted, documented) == len(documented) - 2


def test_predicted_names_are_the_documented_ones():
    documented = shapes.read("unet_small_3x128x128")
    assert predict_table(describe("unet_small", num_classes=32), (3, 128, 128)) == documented
    documented = shapes.read("w_net_1cls_3x512x512")
    assert predict_table(describe("w_net"), (3, 512, 512)) == documented


@pytest.mark.parametrize("table", DOCUMENTED)
def test_predicted_macs_are_those_of_torchs_counter(table):
    steps, (name, options) = DOCUMENTED[table]
    model = create_model(name, **options)
    assert sum(predict_macs(steps, chw(table))) == shapes.macs(model, (1, *chw(table)))


@pytest.mark.parametrize(
    "change",
    [
        lambda steps: steps.__setitem__(0, Conv(4, k=5, name="enc1.0")),
        lambda steps: steps.__setitem__(0, Conv(4, bias=False, name="enc1.0")),
        lambda steps: steps.pop(2),
        lambda steps: steps.insert(3, Norm()),
        lambda steps: steps.append(MaxPool(1)),
        lambda steps: steps.__setitem__(-1, Conv(31, 1, name="conv")),
    ],
)
def test_a_changed_description_does_not_agree(change):
    steps = describe("unet_small", num_classes=32)
    change(steps)
    with pytest.raises(shapes.ShapeMismatch):
        shapes.compare(predict_table(steps, (3, 128, 128)), shapes.read("unet_small_3x128x128"))


@settings(deadline=None, max_examples=40)
@given(stacks, st.integers(6, 30), st.integers(6, 30))
def test_table_and_macs_of_random_networks(steps, height, width):
    size = (4, height, width)
    model = network(steps, 4)
    try:
        traced = shapes.trace(model, (1, *size))
    except RuntimeError:
        with pytest.raises(ValueError, match="Step"):
            predict_table(steps, size)
        return
    assert shapes.compare(predict_table(steps, size), traced) == len(steps)
    assert sum(predict_macs(steps, size)) == shapes.macs(model, (1, *size))


def test_a_module_that_is_used_twice_is_counted_once():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    traced = shapes.trace(nn.Sequential(conv, nn.ReLU(), conv), (1, 4, 8, 8))
    shared = Conv(4, name="shared")
    steps = [shared, ReLU(), shared]
    assert shapes.compare(predict_table(steps, (4, 8, 8)), traced) == 3
    first, _, second = predict_macs(steps, (4, 8, 8))
    assert first == second > 0
    with pytest.raises(ValueError, match="Step 2.*shared.*taken"):
        predict_table([shared, Conv(8, name="shared")], (4, 8, 8))
    with pytest.raises(ValueError, match="taken"):
        predict_table([shared, shared], (3, 8, 8))


@pytest.mark.parametrize(
    "steps, size, told",
    [
        (
            describe("unet_small", num_classes=32),
            (3, 100, 100),
            r"Step 20, Concat.* 32x24x24 with 'e3', 32x25x25",
        ),
        (describe("linknet"), (3, 40, 64), r"Add.*256x4x4 and 'e3', 256x3x4"),
        ([Keep("a"), Conv(5), Add("a")], (4, 8, 8), r"add 5x8x8 and 'a', 4x8x8"),
        ([Keep("a"), Concat("b")], (4, 8, 8), r"no map 'b' .* only: a"),
        ([Concat("b")], (4, 8, 8), r"only: none"),
        ([Conv(4, 7, p=1)], (3, 4, 9), r"window of 7 pixels \(k=7, d=1\).*side of 4.*6 pixels"),
        ([Conv(4, groups=2)], (3, 9, 9), r"groups=2 must divide both channel counts, 3 and 4"),
        ([MaxPool(2, p=2)], (3, 9, 9), r"more than half"),
        ([Transposed(4, o=2)], (3, 9, 9), r"o must be less than s or d"),
        ([Transposed(4, 1, p=2, o=0)], (3, 1, 9), r"leaves -3 pixels"),
        (
            [Keep("a"), Conv(4), Unpool("a")],
            (3, 8, 8),
            r"unpool 4x8x8: 'a', 3x8x8, was pooled to 3x4x4",
        ),
        ([Conv(4, s=0, name="stem")], (3, 9, 9), r"Conv stem: Expected positive"),
    ],
)
def test_errors_name_the_step_and_the_sizes(steps, size, told):
    with pytest.raises(ValueError, match=told):
        list(follow(steps, size))
