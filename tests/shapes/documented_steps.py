"""The seven documented networks, described step by step."""

from retina_course import shapes
from retina_course.shapes.steps import (
    Add,
    Back,
    Concat,
    Conv,
    Keep,
    MaxPool,
    Norm,
    ReLU,
    Transposed,
    Unpool,
    Upsample,
    named,
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


def w_net(classes=1):
    def twice(name, channels):
        """The shortcut runs last; nothing follows the sum."""
        main = [step for _ in range(2) for step in (Conv(channels), ReLU(), Norm())]
        shortcut = named(f"{name}.shortcut", Conv(channels, 1, bias=False), Norm())
        return [Keep("in"), *named(name, *main), Keep("main"), Back("in"), *shortcut, Add("main")]

    def stage(name):
        steps = [*twice(f"{name}.enc1", 8), Keep("e1")]
        for level, channels in ((2, 16), (3, 32)):
            enc = f"{name}.enc{level}"
            steps += [MaxPool(name=f"{enc}.pool"), *twice(enc, channels), Keep(f"e{level}")]
        for level, channels in ((2, 16), (1, 8)):
            dec = f"{name}.dec{level}"
            bridge = named(f"{dec}.bridge", Conv(channels), ReLU(), Norm())
            steps += [up(channels, name=f"{dec}.up"), Keep("up"), Back(f"e{level}"), *bridge]
            steps += [Keep("link"), Back("up"), Concat("link"), *twice(dec, channels)]
        return [*steps, Conv(classes, 1, name=f"{name}.head")]

    logits = [Keep("logits"), Back("image"), Concat("logits")]
    return [Keep("image"), *stage("stage1"), *logits, *stage("stage2")]


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
    "w_net_1cls_3x512x512": (w_net(), ("w_net", {})),
}


def chw(table):
    return tuple(map(int, shapes.read(table)[0].output_shape.split("x")))
