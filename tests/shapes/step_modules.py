"""Steps as torch modules, and random stacks of steps."""

from hypothesis import strategies as st
from torch import nn

from retina_course.shapes.steps import Conv, Layer, MaxPool, Norm, ReLU, Transposed, Upsample


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
