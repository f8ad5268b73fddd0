"""The networks of residual blocks as lists of steps; `models` has their modules."""

from retina_course.shapes.networks.parts import basic_block, block, bottleneck, double, stage
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
    Resize,
    Step,
    Transposed,
    Upsample,
    named,
)

_RESNETS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
_PER_CELL = 9  # anchors


def retina_segmentor(num_classes: int = 1, skip: str = "concat") -> list[Step]:
    """RetinaSegmentor.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.
    skip : {"concat", "add", "none"}
        How the encoder's feature maps enter the decoder.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    links: dict[str, type[Concat] | type[Add]] = {"concat": Concat, "add": Add}
    steps: list[Step] = [Conv(16, name="conv1")]
    for level, channels in enumerate((32, 64, 128, 256), 1):
        steps += [Keep(f"x{level - 1}"), *basic_block(f"layer{level}", channels, 2, True)]
    for number, channels in enumerate((128, 64, 32, 16), 1):
        steps += [double(channels, f"upconv{number}")]
        if skip in links:
            steps += [links[skip](f"x{4 - number}")]
        steps += basic_block(f"layer{4 + number}", channels, shortcut=skip == "concat")
    steps += [*basic_block("layer9", 16), Conv(16, name="conv2"), ReLU(name="relu")]
    return [*steps, Conv(num_classes, 1, name="conv3")]


def linknet(num_classes: int = 1, encoder: str = "resnet18", up: str = "transpose") -> list[Step]:
    """LinkNet.

    Parameters
    ----------
    num_classes : int, default 1
        Channels of the output.
    encoder : {"resnet18", "resnet34"}
        Which ResNet.
    up : {"transpose", "upsample"}
        How the decoder doubles height and width.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    steps: list[Step] = [
        Conv(64, 7, 2, bias=False, name="encoder.conv1"),
        Norm(name="encoder.bn1"),
        ReLU(name="encoder.relu"),
        MaxPool(3, 2, 1, name="encoder.maxpool"),
        Keep("e0"),
    ]
    for level, blocks in enumerate(_RESNETS[encoder], 1):
        s = 1 if level == 1 else 2
        channels = 32 * 2**level
        steps += stage(f"encoder.layer{level}", channels, blocks, s, shortcut=s == 2)
        steps += [Keep(f"e{level}")]
    for level, middle, channels in ((4, 128, 256), (3, 64, 128), (2, 32, 64), (1, 16, 64)):
        name, larger = f"decoder{level}", 2 if level > 1 else 1
        steps += named(f"{name}.conv1", *block(middle, 1, bias=False))
        if up == "transpose":
            upconv = Transposed(middle, s=larger, o=larger - 1, bias=False)
            steps += named(f"{name}.up", upconv, Norm(), ReLU())
        elif larger == 2:
            steps += [Upsample(name=f"{name}.up")]
        steps += [*named(f"{name}.conv2", *block(channels, 1, bias=False)), Add(f"e{level - 1}")]
    if up == "transpose":
        steps += named("tp_conv1", Transposed(32), Norm(), ReLU())
        return [*steps, *named("conv2", *block(32)), double(num_classes, "tp_conv2")]
    steps += [Upsample(name="tp_conv1"), *named("conv2", *block(32))]
    return [*steps, *named("tp_conv2", Upsample(), Conv(num_classes))]


def retina_net(
    num_classes: int = 1,
    class_loss: str = "focal",
    encoder: str = "resnet18",
    width: int = 32,
    pyramid_channels: int = 64,
    head_channels: int = 64,
) -> list[Step]:
    """RetinaNet: encoder, pyramid and the two heads on four levels.

    Parameters
    ----------
    num_classes : int, default 1
        Kinds of objects.
    class_loss : {"focal", "hard_negatives"}
        With the latter each anchor has an output for the background.
    encoder : {"resnet18", "resnet50"}
        Kind and number of the residual blocks.
    width : int, default 32
        Channels of the first stages.
    pyramid_channels, head_channels : int, default 64
        Channels of the pyramid and inside the heads.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    classes = _PER_CELL * (num_classes + (class_loss == "hard_negatives"))
    steps = _detector_encoder(encoder, width)
    for level in (5, 4, 3, 2):
        steps += _lateral(level, pyramid_channels)
    for level in (2, 3, 4, 5):
        smooth = Conv(pyramid_channels, name=f"smooth{level}")
        steps += [Back(f"p{level}"), smooth, Keep(f"smooth{level}")]
    for name, outputs in (("class_head", classes), ("box_head", 4 * _PER_CELL)):
        inner: list[Layer] = [Conv(head_channels), ReLU()] * 4
        for level in (2, 3, 4, 5):
            steps += [Back(f"smooth{level}"), *named(name, *inner, Conv(outputs))]
    return steps


def retina_unet_detector(
    num_classes: int = 1,
    class_loss: str = "focal",
    encoder: str = "resnet18",
    width: int = 32,
    pyramid_channels: int = 64,
    head_channels: int = 64,
) -> list[Step]:
    """Retina U-Net: `retina_net`, then P1, P0 and the segmentation.

    Parameters
    ----------
    num_classes : int, default 1
        Kinds of objects.
    class_loss, encoder : str
        See `retina_net`.
    width, pyramid_channels, head_channels : int
        See `retina_net`.

    Returns
    -------
    list of Layer or Link
        The steps.
    """
    heads = retina_net(num_classes, class_loss, encoder, width, pyramid_channels, head_channels)
    fine = [*_lateral(1, pyramid_channels), *_lateral(0, pyramid_channels)]
    smooth = Conv(pyramid_channels, name="smooth0")
    return [*heads, *fine, smooth, Conv(num_classes + 1, 1, name="segmentation_head")]


def _detector_encoder(encoder: str, width: int) -> list[Step]:
    """C0 to C5, each kept under its name."""
    deep = encoder == "resnet50"
    kind, factor = (bottleneck, 4) if deep else (basic_block, 1)
    twice = [*block(width, bias=False), *block(width, bias=False)]
    steps: list[Step] = [*named("c0", *twice), Keep("c0")]
    steps += [*named("c1", Conv(width, 7, 2, bias=False), Norm(), ReLU()), Keep("c1")]
    steps += named("c2", MaxPool(3, 2, 1))
    for level, blocks in enumerate(_RESNETS[encoder], 2):
        s, first = (1, 1) if level == 2 else (2, 0)
        channels = width * factor * 2 ** (level - 2)
        shortcut = deep or level > 2
        steps += [
            *stage(f"c{level}", channels, blocks, s, shortcut, kind, first),
            Keep(f"c{level}"),
        ]
    return steps


def _lateral(level: int, channels: int) -> list[Step]:
    """A level of the pyramid: a 1x1 convolution of the encoder's, plus the coarser sum."""
    conv = Conv(channels, 1, name=f"lateral{level}")
    if level == 5:
        return [conv, Keep("p5")]
    larger: list[Step] = [Back(f"p{level + 1}"), Resize(bilinear=level < 2), Keep("larger")]
    own: list[Step] = [Back(f"c{level}"), conv, Keep("own")]
    return [*own, *larger, Back("own"), Add("larger"), Keep(f"p{level}")]
