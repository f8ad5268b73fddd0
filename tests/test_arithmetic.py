"""The six documented tables, predicted from descriptions, and each formula against torch."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from retina_course import create_model, shapes
from retina_course.shapes.arithmetic import conv_parameters, conv_size, pool_size, transposed_size
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
    Transposed,
    Unpool,
    Upsample,
    follow,
    named,
    predict_macs,
    predict_table,
    receptive_field,
)


def block(channels, k=3, **options):
    return [Conv(channels, k, **options), Norm(), ReLU()]


def up(channels, **options):
    return Transposed(channels, k=2, p=0, o=0, **options)


def residual(channels, s=1, shortcut=False):
    """The shortcut runs first, as in the package; without one the input itself is added."""
    first = [Keep("in")]
    if shortcut:
        first += [Conv(channels, 1, s, bias=False), Norm()]
    main = [
        *block(channels, s=s, bias=False),
        *[Conv(channels, bias=False), Norm()],
    ]
    return [*first, Keep("shortcut"), Back("in"), *main, Add("shortcut"), ReLU()]


def unet_small(classes=32):
    return [
        *named("enc1", *block(4)),
        Keep("e1"),
        *named("enc2", MaxPool(), *block(8)),
        Keep("e2"),
        *named("enc3", MaxPool(), *block(32)),
        Keep("e3"),
        *named("bneck", MaxPool(), *block(64)),
        Transposed(32, name="upconv3"),
        Concat("e3"),
        *named("dec3", *block(32)),
        Transposed(8, name="upconv2"),
        Concat("e2"),
        *named("dec2", *block(8)),
        Transposed(4, name="upconv1"),
        Concat("e1"),
        *named("dec1", *block(16)),
        Conv(classes, 1, name="conv"),
    ]


def unet_large(classes=256):
    down = [*block(64, 1), *block(64, 1), *block(32, 1), *block(8), Keep("e1")]
    down += [MaxPool(), *block(28), Keep("e2"), MaxPool(), *block(56), Keep("e3")]
    decoder = [MaxPool(), *block(112)]
    for channels, level, out in ((56, "e3", 56), (28, "e2", 28), (8, "e1", 48)):
        decoder += [Transposed(channels), Concat(level), *block(out)]
    head = [*block(64), *block(64, 1), *block(64, 1)]
    return [*down, *decoder, *head, Conv(64, 1), Norm(), Conv(classes, 1), Norm()]


def segnet(classes=3, separable=False):
    def stage(*channels):
        steps = []
        for c_in, c_out in zip(channels, channels[1:], strict=False):
            if separable:
                steps += [Conv(c_in, bias=False, groups=c_in), *block(c_out, 1, bias=False)]
            else:
                steps += block(c_out, bias=False)
        return steps

    steps = [Norm()]
    down = [(3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512)]
    for level, channels in enumerate(down):
        steps += [*stage(*channels), Keep(f"x{level}"), MaxPool()]
    ups = [(512, 512, 512, 256), (256, 256, 256, 128), (128, 128, 64), (64, 64, classes)]
    for level, channels in zip((3, 2, 1, 0), ups, strict=True):
        steps += [Unpool(f"x{level}"), *stage(*channels)]
    return steps


def retina_unet(classes=2):
    steps = []
    for level, channels in enumerate((64, 128, 256, 512)):
        steps += [*block(channels), *block(channels), Keep(f"s{level}"), MaxPool()]
    steps += [*block(1024), *block(1024)]
    for level, channels in ((3, 512), (2, 256), (1, 128), (0, 64)):
        steps += [up(channels), Concat(f"s{level}"), *block(channels), *block(channels)]
    return [*steps, Conv(classes, 1)]


def retina_segmentor(classes=3, join=Concat):
    steps = [Conv(16)]
    for level, channels in enumerate((32, 64, 128, 256)):
        steps += [Keep(f"x{level}"), *residual(channels, s=2, shortcut=True)]
    for level, channels in ((3, 128), (2, 64), (1, 32), (0, 16)):
        joined = join(f"x{level}")
        steps += [up(channels), joined, *residual(channels, shortcut=join is Concat)]
    return [*steps, *residual(16), Conv(16), ReLU(), Conv(classes, 1)]


def linknet(classes=1, upsample=False):
    steps = [*block(64, 7, s=2, bias=False), MaxPool(3, 2, 1), Keep("stem")]
    for level, channels in enumerate((64, 128, 256, 512), 1):
        s = 1 if level == 1 else 2
        steps += [*residual(channels, s, shortcut=s == 2), *residual(channels), Keep(f"e{level}")]
    middles = (128, 64, 32, 16)
    for middle, channels, link in zip(
        middles, (256, 128, 64, 64), ("e3", "e2", "e1", "stem"), strict=True
    ):
        if upsample:
            larger = [] if link == "stem" else [Upsample()]
        elif link == "stem":
            larger = [Transposed(middle, s=1, o=0, bias=False), Norm(), ReLU()]
        else:
            larger = [Transposed(middle, bias=False), Norm(), ReLU()]
        steps += [*block(middle, 1, bias=False), *larger, *block(channels, 1, bias=False)]
        steps += [Add(link)]
    if upsample:
        return [*steps, Upsample(), *block(32), Upsample(), Conv(classes)]
    return [*steps, Transposed(32), Norm(), ReLU(), *block(32), up(classes)]


DOCUMENTED = {  # table: steps, the model that the package builds for it
    "unet_small_3x128x128": (unet_small(), ("unet_small", {"num_classes": 32})),
    "unet_large_3x80x80_out256": (unet_large(), ("unet_large", {"num_classes": 256})),
    "segnet_3cls_3x128x128": (segnet(), ("segnet", {"num_classes": 3, "head": "documented"})),
    "retina_unet_2cls_3x512x512": (retina_unet(), ("retina_unet", {"num_classes": 2})),
    "retina_segmentor_concat_3x512x512": (
        retina_segmentor(),
        ("retina_segmentor", {"num_classes": 3}),
    ),
    "linknet18_1cls_3x512x512": (linknet(), ("linknet", {})),
}


def chw(table):
    return tuple(map(int, shapes.read(table)[0].output_shape.split("x")))


@pytest.mark.parametrize("table", DOCUMENTED)
def test_documented_table_is_predicted_in_every_row(table):
    documented = shapes.read(table)
    predicted = predict_table(DOCUMENTED[table][0], chw(table))
    assert shapes.compare(predicted, documented) == len(documented) - 2


def test_predicted_names_are_the_documented_ones():
    documented = shapes.read("unet_small_3x128x128")
    assert predict_table(unet_small(), (3, 128, 128)) == documented


@pytest.mark.parametrize("table", DOCUMENTED)
def test_predicted_macs_are_those_of_torchs_counter(table):
    steps, (name, options) = DOCUMENTED[table]
    model = create_model(name, **options)
    assert sum(predict_macs(steps, chw(table))) == shapes.macs(model, (1, *chw(table)))


@pytest.mark.parametrize(
    "steps, name, options, size",
    [
        (linknet(upsample=True), "linknet", {"up": "upsample"}, (3, 64, 96)),
        (segnet(separable=True), "segnet", {"num_classes": 3, "separable": True}, (3, 37, 50)),
        (
            retina_segmentor(join=Add),
            "retina_segmentor",
            {"num_classes": 3, "skip": "add"},
            (3, 96, 64),
        ),
        (unet_small(), "unet_small", {"num_classes": 32}, (3, 96, 160)),
    ],
)
def test_other_forms_and_sizes(steps, name, options, size):
    if name == "segnet":
        options = {**options, "head": "documented"}
    model = create_model(name, **options)
    traced = shapes.trace(model, (1, *size))
    assert shapes.compare(predict_table(steps, size), traced) == len(traced) - 2
    assert sum(predict_macs(steps, size)) == shapes.macs(model, (1, *size))


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
    steps = unet_small()
    change(steps)
    with pytest.raises(shapes.ShapeMismatch):
        shapes.compare(predict_table(steps, (3, 128, 128)), shapes.read("unet_small_3x128x128"))


# Each formula against torch, on random settings. None: torch, or the formula, refuses them.


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


def build(step: Layer, c_in: int) -> nn.Module:
    """The torch module that a step stands for."""
    match step:
        case Transposed(channels=c):
            options = step.s, step.p, step.o, step.groups, step.bias, step.d
            return nn.ConvTranspose2d(c_in, c, step.k, *options)
        case Conv(channels=c):
            options = step.s, step.padding, step.d, step.groups, step.bias
            return nn.Conv2d(c_in, c, step.k, *options)
        case MaxPool():
            return nn.MaxPool2d(step.k, step.s, step.p, step.d, ceil_mode=step.ceil)
        case Upsample():
            return nn.Upsample(scale_factor=step.scale, mode="bilinear", align_corners=False)
        case Norm():
            return nn.BatchNorm2d(c_in)
        case ReLU():
            return nn.ReLU()


def network(steps, c_in):
    modules = []
    for step in steps:
        modules.append(build(step, c_in))
        c_in = getattr(step, "channels", c_in)
    return nn.Sequential(*modules)


small = st.integers(1, 3)
convs = st.builds(
    Conv, st.sampled_from([2, 4]), small, small, st.integers(0, 2), small, st.booleans(), st.just(2)
)
upconvs = st.builds(
    Transposed,
    st.sampled_from([2, 4]),
    small,
    small,
    st.just(0),
    small,
    st.booleans(),
    st.just(2),
    st.just(0),
)
pools = st.builds(MaxPool, st.integers(2, 3), small, st.integers(0, 1), st.just(1), st.booleans())
others = st.sampled_from([Norm(), ReLU(), Upsample(2), Upsample(3)])
stacks = st.lists(convs | upconvs | pools | others, min_size=1, max_size=6)


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
    windows = {receptive_field(unet_small(), pixel) for pixel in range(64, 72)}
    assert {last - first + 1 for first, last in windows} == {54, 62}


def test_receptive_field_of_unet_small_is_where_the_gradient_is_not_zero():
    torch.manual_seed(0)
    model = create_model("unet_small").double().eval()
    for pixel in (64, 66):
        image = torch.rand(4, 3, 128, 128, dtype=torch.double, requires_grad=True)
        model(image)[..., pixel, pixel].sum().backward()
        columns = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        assert receptive_field(unet_small(), pixel) == (columns[0], columns[-1])


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
        (unet_small(), (3, 100, 100), r"Step 20, Concat.* 32x24x24 with 'e3', 32x25x25"),
        (linknet(), (3, 40, 64), r"Add.*256x4x4 and 'e3', 256x3x4"),
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


def test_a_pixel_that_sees_nothing_is_an_error():
    gap = [Transposed(1, k=1, s=2, p=0, o=0)]
    assert receptive_field(gap, 2) == (1, 1)
    with pytest.raises(ValueError, match="output pixel 3"):
        receptive_field(gap, 3)
