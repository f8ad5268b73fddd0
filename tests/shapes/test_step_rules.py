"""Each step alone: its defaults, and its shapes, parameters, operations and pixels by hand."""

import re
from dataclasses import FrozenInstanceError, replace

import pytest

from retina_course.shapes import Row, arithmetic
from retina_course.shapes.steps import (
    Add,
    Back,
    Concat,
    Conv,
    Keep,
    Layer,
    MaxPool,
    Norm,
    ReLU,
    Shape,
    Transposed,
    Unpool,
    Upsample,
    follow,
    named,
    predict_macs,
    predict_table,
    receptive_field,
)

X = Shape(4, 10, 13)


@pytest.mark.parametrize(
    "step, kind, output, parameters, macs, reads",
    # The pixels are those that the output pixels 5 to 7 read.
    [
        (Layer(), "", "4x10x13", 0, 0, (5, 7)),
        (ReLU(), "ReLU", "4x10x13", 0, 0, (5, 7)),
        (Norm(), "BatchNorm2d", "4x10x13", 8, 0, (5, 7)),
        (Conv(8), "Conv2d", "8x10x13", 8 * 37, 8 * 36 * 130, (4, 8)),
        (Conv(8, 1), "Conv2d", "8x10x13", 8 * 5, 8 * 4 * 130, (5, 7)),
        (Conv(8, 5, bias=False), "Conv2d", "8x10x13", 800, 800 * 130, (3, 9)),
        (Conv(8, 3, 2), "Conv2d", "8x5x7", 8 * 37, 8 * 36 * 35, (9, 15)),
        (Conv(8, p=0), "Conv2d", "8x8x11", 8 * 37, 8 * 36 * 88, (5, 9)),
        (Conv(8, d=2), "Conv2d", "8x10x13", 8 * 37, 8 * 36 * 130, (3, 9)),
        (Conv(8, groups=2), "Conv2d", "8x10x13", 8 * 19, 8 * 18 * 130, (4, 8)),
        (Transposed(6), "ConvTranspose2d", "6x20x26", 6 * 37, 6 * 36 * 130, (2, 4)),
        (Transposed(6, 2, p=0, o=0), "ConvTranspose2d", "6x20x26", 6 * 17, 96 * 130, (2, 3)),
        (Transposed(6, bias=False), "ConvTranspose2d", "6x20x26", 216, 216 * 130, (2, 4)),
        (MaxPool(), "MaxPool2d", "4x5x6", 0, 0, (10, 15)),
        (MaxPool(3), "MaxPool2d", "4x3x4", 0, 0, (15, 23)),
        (MaxPool(3, 2, 1), "MaxPool2d", "4x5x7", 0, 0, (9, 15)),
        (MaxPool(2, ceil=True), "MaxPool2d", "4x5x7", 0, 0, (10, 15)),
        (MaxPool(2, 1, d=3), "MaxPool2d", "4x7x10", 0, 0, (5, 10)),
        (Upsample(), "Upsample", "4x20x26", 0, 0, (2, 4)),
        (Upsample(3), "Upsample", "4x30x39", 0, 0, (1, 2)),
    ],
)
def test_a_layer(step, kind, output, parameters, macs, reads):
    assert step.type == kind and step.name == ""
    y = step.output(X, {})
    assert (str(y), step.parameters(X), step.macs(X, y)) == (output, parameters, macs)
    assert step.reads(5, 7) == reads
    rows = predict_table([step], X)
    assert rows[1:] == [Row("1", kind, output, parameters), Row("TOTAL", "", output, parameters)]
    assert predict_macs([Keep("a"), step], X) == [macs]


def test_unpooling_brings_back_odd_sides_of_the_kept_map():
    kept = {"a": X}
    assert Unpool("a").output(Shape(4, 5, 6), kept) == X
    assert Unpool("a", 3).output(Shape(4, 3, 4), kept) == X
    assert (Unpool("a").reads(5, 7), Unpool("a", 3).reads(5, 7)) == ((2, 3), (1, 2))
    assert Unpool("a").type == "MaxUnpool2d" and Unpool("a").parameters(X) == 0


def test_links_keep_join_add_and_branch():
    kept = {}
    assert Keep("a").output(X, kept) == X and kept == {"a": X}
    other = Shape(7, 10, 13)
    assert Concat("a").output(other, kept) == Shape(11, 10, 13)
    assert Add("a").output(X, kept) == Back("a").output(other, kept) == X
    for link, wrong, told in (
        (Concat, Shape(4, 10, 12), "join 4x10x12 with 'a', 4x10x13: height and width differ"),
        (Concat, Shape(4, 9, 13), "join 4x9x13 with"),
        (Add, other, "add 7x10x13 and 'a', 4x10x13: the shapes differ"),
    ):
        with pytest.raises(ValueError, match=told):
            link("a").output(wrong, kept)
    for link in (Concat, Add, Back, Unpool):
        with pytest.raises(ValueError, match="no map 'c' was kept before, only: a[.]"):
            link("c").output(X, kept)


@pytest.mark.parametrize(
    "step", [ReLU(), Conv(4), Transposed(4), MaxPool(), Unpool("a"), Keep("a")]
)
def test_steps_do_not_change(step):
    with pytest.raises(FrozenInstanceError):
        step.name = step.of = "other"
    assert step in {step} and step == replace(step)


def test_rows_are_numbered_where_they_have_no_name_and_links_have_none():
    steps = [Conv(4, name="first"), Keep("a"), ReLU(), Concat("a"), *named("last", Norm(), ReLU())]
    assert [row.name for row in predict_table(steps, X)] == [
        *["input", "first", "2", "last.0", "last.1", "TOTAL"]
    ]
    assert predict_table(steps, X)[0] == Row("input", "Input", "4x10x13", 0)
    assert predict_table([], X)[-1] == Row("TOTAL", "", "4x10x13", 0)


def test_following_tells_shapes_before_and_after_and_counts_a_name_once():
    shared = Conv(4, name="shared")
    found = list(follow([shared, ReLU(), shared, MaxPool()], X))
    assert [parameters for *_, parameters in found] == [148, 0, 0, 0]
    assert [(str(x), str(y)) for _, x, y, _ in found] == [("4x10x13",) * 2] * 3 + [
        ("4x10x13", "4x5x6")
    ]
    for second in (Conv(4, 1, name="shared"), Norm(name="shared")):
        with pytest.raises(ValueError, match="Step 3, .* shared: this name is taken"):
            list(follow([ReLU(), shared, second], X))
    assert len(list(follow([ReLU(), Norm(), Norm()], X))) == 3  # no name is no name


def test_receptive_fields_by_hand():
    assert receptive_field([Conv(8)]) == (-1, 1) and receptive_field([]) == (0, 0)
    assert receptive_field([MaxPool(), Upsample()], 5) == (4, 7)
    # A branch that sees more, kept before and joined after; a map that nobody uses.
    steps = [Keep("in"), Conv(4, 9), Keep("wide"), Keep("unused"), Back("in"), Conv(4, 3)]
    assert receptive_field([*steps, Add("wide")], 20) == (16, 24)
    assert receptive_field(steps, 20) == (19, 21)
    assert receptive_field([*steps, Concat("in")], 20) == (19, 21)
    # What is read before the branch is not seen.
    assert receptive_field([Keep("in"), MaxPool(4), Back("in"), Conv(4)], 20) == (19, 21)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: arithmetic.conv_size(9, 0), "got 0, 1, 1 and 0"),
        (lambda: arithmetic.conv_size(9, 3, 0), "got 3, 0, 1 and 0"),
        (lambda: arithmetic.conv_size(9, 3, d=0), "got 3, 1, 0 and 0"),
        (lambda: arithmetic.conv_size(9, 3, p=-1), "got 3, 1, 1 and -1"),
        (lambda: arithmetic.conv_size(3, 3, p=1, d=3), "window of 7 .* side of 3 .* 5 pixels"),
        (lambda: arithmetic.pool_size(9, 3, p=2), "p=2 is more than half of the window's k=3"),
        (lambda: arithmetic.transposed_size(9, 3, 2, o=2), "o=2, s=2, d=1"),
        (lambda: arithmetic.transposed_size(9, 3, 2, o=-1), "o=-1"),
        (lambda: arithmetic.transposed_size(1, 1, p=1), "leaves -1 pixels"),
        (lambda: arithmetic.transposed_size(1, 2, p=1), "leaves 0 pixels"),
        (lambda: arithmetic.conv_parameters(3, 4, 6, groups=4), "groups=4 .* 4 and 6"),
        (lambda: arithmetic.conv_parameters(3, 6, 4, groups=4), "groups=4 .* 6 and 4"),
        (lambda: arithmetic.conv_parameters(3, 0, 4), "0 and 4"),
        (lambda: arithmetic.conv_parameters(3, 4, 0), "4 and 0"),
        (lambda: arithmetic.conv_parameters(3, 4, 4, groups=0), "groups=0"),
    ],
)
def test_numbers_that_make_no_layer(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_the_formulas_and_their_defaults():
    assert [arithmetic.span(3), arithmetic.span(3, 4), arithmetic.span(1, 9)] == [3, 9, 1]
    assert [arithmetic.conv_size(9, 3), arithmetic.conv_size(3, 3)] == [7, 1]
    assert [arithmetic.pool_size(9, 2), arithmetic.pool_size(9, 2, ceil=True)] == [4, 5]
    assert arithmetic.pool_size(8, 2, ceil=True) == 4 and arithmetic.pool_size(9, 3, p=1) == 3
    # The last window would begin in the padding on the right, or just before it.
    assert arithmetic.pool_size(3, 2, 2, 1, ceil=True) == 2
    assert arithmetic.pool_size(4, 2, 2, 1, ceil=True) == 3
    assert [arithmetic.transposed_size(5, 3), arithmetic.transposed_size(1, 1)] == [7, 1]
    assert arithmetic.transposed_size(5, 3, s=1, d=2, o=1) == 10
    assert arithmetic.conv_parameters(3, 4, 6) == 6 * 37
    with pytest.raises(ValueError, match=re.escape("(k=1, s=1, p=1, o=0)")):
        arithmetic.transposed_size(1, 1, p=1)
