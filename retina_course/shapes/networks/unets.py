"""The U-Nets and the SegNet as lists of steps; `models` has their modules."""

from dataclasses import replace
from itertools import pairwise

from retina_course.shapes.networks.parts import block, double
from retina_course.shapes.steps import (
    Add,
    Back,
    Concat,
    Conv,
    Fold,
    Keep,
    Layer,
    MaxPool,
    Norm,
    ReLU,
    Step,
    Transposed,
    Unfold,
    Unpool,
    has_row,
    named,
)

# Channels of SegNet's stages, from the first convolution's input to the last one's output; the
# image has its own number of channels.
_SEGNET_DOWN = ((0, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512))
_SEGNET_UP = ((64, 64), (128, 128, 64), (256, 256, 256, 128), (512, 512, 512, 256))


def unet_small(num_classes: int = 1) -> list[Step]:
    """UNetSmall.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    return [
        *_encoder(4, 8, 32, 64),
        *_decoder("3", 32, 32),
        *_decoder("2", 8, 8),
        *_decoder("1", 4, 16),
        Conv(num_classes, 1, name="conv"),
    ]


def unet_large(num_classes: int = 1, fold: int = 1) -> list[Step]:
    """UNetLarge, folded where `fold` is more than 1.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.
    fold : int, default 1
        Side of the blocks that become channels.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    steps: list[Step] = [
        *named("prep0", *block(64, 1)),
        *named("prep1", *block(64, 1)),
        *named("prep2", *block(32, 1)),
        *_encoder(8, 28, 56, 112),
        *_decoder("3", 56, 56),
        *_decoder("2", 28, 28),
        *_decoder("1", 8, 48),
        *named("dec0", *block(64)),
        *named("conv_p1", *block(64, 1)),
        *named("conv_p2", *block(64, 1)),
        *named("conv_p3", Conv(64, 1), Norm()),
        *named("conv", Conv(num_classes * fold**2, 1), Norm()),
    ]
    if fold == 1:
        return steps
    # `Folded` holds the network under this name.
    inside = [replace(s, name=f"network.{s.name}") if has_row(s) else s for s in steps]
    return [Fold(fold), *inside, Unfold(fold)]


def segnet(
    num_classes: int = 1, in_channels: int = 3, head: str = "logits", separable: bool = False
) -> list[Step]:
    """SegNet.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.
    in_channels : int, default 3
        Channels of the image, which a separable convolution filters one by one.
    head : {"logits", "documented"}
        "documented" ends with batch norm and ReLU.
    separable : bool, default False
        Whether each convolution is a depthwise and a 1x1 convolution.

    Returns
    -------
    list of Layer or Link
        The steps.
    """

    def conv(c_in: int, c_out: int, bias: bool = False) -> list[Layer]:
        if not separable:
            return [Conv(c_out, bias=bias)]
        return [Conv(c_in, bias=False, groups=c_in), Conv(c_out, 1, bias=bias)]

    def stage(name: str, *channels: int) -> list[Layer]:
        layers = [
            layer for c_in, c_out in pairwise(channels) for layer in (*conv(c_in, c_out), *after)
        ]
        return named(name, *layers)

    after = [Norm(), ReLU()]
    steps: list[Step] = [Norm(name="bn_input")]
    for level, channels in enumerate(_SEGNET_DOWN, 1):
        first = channels[0] or in_channels
        steps += [*stage(f"down{level}", first, *channels[1:]), Keep(f"x{level}")]
        steps += [MaxPool(name="pool")]
    for level in (4, 3, 2, 1):
        steps += [Unpool(f"x{level}", name="unpool"), *stage(f"up{level}", *_SEGNET_UP[level - 1])]
    if head == "documented":
        return [*steps, *stage("head", 64, num_classes)]
    return [*steps, *named("head", *conv(64, num_classes, bias=True))]


def retina_unet(num_classes: int = 1) -> list[Step]:
    """RetinaUNet.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    steps: list[Step] = []
    levels = {1: 64, 2: 128, 3: 256, 4: 512}
    for level, channels in levels.items():
        steps += [*named(f"enc{level}", *block(channels), *block(channels)), Keep(f"s{level}")]
        steps += [MaxPool(name="pool")]
    steps += named("bottleneck", *block(1024), *block(1024))
    for level, channels in reversed(levels.items()):
        steps += [double(channels, f"up{level}"), Concat(f"s{level}")]
        steps += named(f"dec{level}", *block(channels), *block(channels))
    return [*steps, Conv(num_classes, 1, name="head")]


def w_net(num_classes: int = 1) -> list[Step]:
    """WNet: the second stage reads the image and the logits of the first one.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output of each stage.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    again = [Keep("logits"), Back("image"), Concat("logits")]
    first, second = (_w_net_stage(f"stage{i}", num_classes) for i in (1, 2))
    return [Keep("image"), *first, *again, *second]


def _encoder(*channels: int) -> list[Step]:
    """Three levels and the bottleneck of the two microcontroller U-Nets."""
    e1, e2, e3, bottleneck = channels
    return [
        *named("enc1", *block(e1)),
        Keep("e1"),
        *named("enc2", MaxPool(), *block(e2)),
        Keep("e2"),
        *named("enc3", MaxPool(), *block(e3)),
        Keep("e3"),
        *named("bneck", MaxPool(), *block(bottleneck)),
    ]


def _decoder(level: str, channels: int, out: int) -> list[Step]:
    """A level of their decoder."""
    up = Transposed(channels, name=f"upconv{level}")
    return [up, Concat(f"e{level}"), *named(f"dec{level}", *block(out))]


def _w_net_stage(name: str, num_classes: int) -> list[Step]:
    """One of WNet's two U-Nets."""
    steps = [*_twice(f"{name}.enc1", 8), Keep("e1")]
    for level, channels in ((2, 16), (3, 32)):
        enc = f"{name}.enc{level}"
        steps += [MaxPool(name=f"{enc}.pool"), *_twice(enc, channels), Keep(f"e{level}")]
    for level, channels in ((2, 16), (1, 8)):
        dec = f"{name}.dec{level}"
        bridge = named(f"{dec}.bridge", Conv(channels), ReLU(), Norm())
        steps += [double(channels, f"{dec}.up"), Keep("up"), Back(f"e{level}"), *bridge]
        steps += [Keep("link"), Back("up"), Concat("link"), *_twice(dec, channels)]
    return [*steps, Conv(num_classes, 1, name=f"{name}.head")]


def _twice(name: str, channels: int) -> list[Step]:
    """WNet's residual block: the shortcut runs last, and nothing follows the sum."""
    main = named(name, *[layer for _ in range(2) for layer in (Conv(channels), ReLU(), Norm())])
    shortcut = named(f"{name}.shortcut", Conv(channels, 1, bias=False), Norm())
    return [Keep("in"), *main, Keep("main"), Back("in"), *shortcut, Add("main")]
