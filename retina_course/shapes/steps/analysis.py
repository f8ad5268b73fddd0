"""What follows from a list of steps: the table, the operations, the receptive field."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

from retina_course.shapes.steps.base import Function, Layer, Link, Shape
from retina_course.shapes.steps.links import Back, Keep
from retina_course.shapes.tables import Row

Step = Layer | Link
Steps = Sequence[Step]


def follow(steps: Steps, shape: Sequence[int]) -> Iterator[tuple[Step, Shape, Shape, int]]:
    """Send a feature map through the steps, one after the other.

    Parameters
    ----------
    steps : sequence of Layer or Link
        The description of the network.
    shape : sequence of int
        Shape of the input, `(C, H, W)`.

    Yields
    ------
    step : Layer or Link
        The step.
    x, y : Shape
        The shapes before and after it.
    parameters : int
        Parameters that it adds; 0 for a layer whose name came before.

    Raises
    ------
    ValueError
        If a step does not fit; the message names the step and the sizes.

    Examples
    --------
    >>> from retina_course.shapes.steps import Concat, Conv, Keep, MaxPool, Upsample, follow
    >>> steps = [Conv(8), Keep("a"), MaxPool(), Upsample(), Concat("a")]
    >>> for step, x, y, parameters in follow(steps, (3, 32, 32)):
    ...     print(f"{type(step).__name__:8} {x!s:8} -> {y!s:8} {parameters}")
    Conv     3x32x32  -> 8x32x32  224
    Keep     8x32x32  -> 8x32x32  0
    MaxPool  8x32x32  -> 8x16x16  0
    Upsample 8x16x16  -> 8x32x32  0
    Concat   8x32x32  -> 16x32x32 0
    """
    x = Shape(*shape)
    kept: dict[str, Shape] = {}
    modules: dict[str, tuple[Step, int]] = {}
    for number, step in enumerate(steps, 1):
        name = getattr(step, "name", "")
        try:
            y = step.output(x, kept)
            parameters = step.parameters(x) if isinstance(step, Layer) else 0
            if modules.get(name, (step, parameters)) != (step, parameters):
                raise ValueError("this name is taken by a layer with other settings or channels.")
        except ValueError as error:
            label = f"{type(step).__name__} {name}".strip()
            raise ValueError(f"Step {number}, {label}: {error}") from None
        yield step, x, y, 0 if name in modules else parameters
        if name:
            modules[name] = step, parameters
        x = y


def predict_table(steps: Steps, shape: Sequence[int]) -> list[Row]:
    """The table that `shapes.trace` would give for the network.

    Parameters
    ----------
    steps : sequence of Layer or Link
        The description of the network.
    shape : sequence of int
        Shape of the input, `(C, H, W)`.

    Returns
    -------
    list of Row
        The input, each layer, and the total; a layer without a name has its number as name.

    Examples
    --------
    >>> from retina_course import shapes
    >>> from retina_course.shapes.steps import Conv, MaxPool, Norm, ReLU, predict_table
    >>> shapes.render(predict_table([Conv(8), Norm(), ReLU(), MaxPool()], (3, 64, 64)))
    input          Input                   3x64x64          0
    1              Conv2d                  8x64x64        224
    2              BatchNorm2d             8x64x64         16
    3              ReLU                    8x64x64          0
    4              MaxPool2d               8x32x32          0
    TOTAL                                  8x32x32        240
    """
    rows, total, y = [Row("input", "Input", str(Shape(*shape)), 0)], 0, Shape(*shape)
    for step, _, y, parameters in follow(steps, shape):
        total += parameters
        if has_row(step):
            rows.append(Row(step.name or str(len(rows)), step.type, str(y), parameters))
    return [*rows, Row("TOTAL", "", str(y), total)]


def predict_macs(steps: Steps, shape: Sequence[int]) -> list[int]:
    """Multiply-accumulates of each layer, biases not counted.

    Parameters
    ----------
    steps : sequence of Layer or Link
        The description of the network.
    shape : sequence of int
        Shape of the input, `(C, H, W)`.

    Returns
    -------
    list of int
        One number per layer, in the order of the table's rows.

    Examples
    --------
    >>> from retina_course.shapes.steps import Conv, ReLU, predict_macs
    >>> predict_macs([Conv(8), ReLU(), Conv(1, k=1)], (3, 64, 64))  # 8 x 27 and 8 per pixel
    [884736, 0, 32768]
    """
    return [step.macs(x, y) for step, x, y, _ in follow(steps, shape) if has_row(step)]


def has_row(step: Step) -> TypeGuard[Layer]:
    """Whether a step has a row in the table.

    Parameters
    ----------
    step : Layer or Link
        The step.

    Returns
    -------
    bool
        True for a layer that is not a `Function`.
    """
    return isinstance(step, Layer) and not isinstance(step, Function)


def receptive_field(steps: Steps, pixel: int = 0) -> tuple[int, int]:
    """The input pixels that can change one output pixel, along one side.

    Positions outside the image lie in the padding. Dilated or strided kernels may leave out pixels
    between the first and the last, so after one of them the answer can be wider than the true one.

    Parameters
    ----------
    steps : sequence of Layer or Link
        The description of the network.
    pixel : int, default 0
        Position of the output pixel.

    Returns
    -------
    tuple of int
        Positions of the first and of the last input pixel.

    Raises
    ------
    ValueError
        If no input pixel can change the output pixel.

    Examples
    --------
    >>> from retina_course.shapes.steps import Conv, MaxPool, receptive_field
    >>> receptive_field([Conv(8), Conv(8)], pixel=10)
    (8, 12)
    >>> receptive_field([Conv(8), MaxPool(), Conv(8)], pixel=10)
    (17, 24)
    """
    seen = [pixel]  # walks backwards: the positions that each feature map must show
    needed: dict[str, list[int]] = {}  # likewise, for each kept map
    for step in reversed(steps):
        if isinstance(step, Keep):
            seen = seen + needed.pop(step.of, [])
        elif isinstance(step, Link):
            needed[step.of] = needed.get(step.of, []) + seen
            seen = [] if isinstance(step, Back) else seen
        elif seen:
            first, last = step.reads(min(seen), max(seen))
            seen = [first, last] if first <= last else []
    if not seen:
        raise ValueError(f"No input pixel can change output pixel {pixel}.")
    return min(seen), max(seen)


def named(name: str, *layers: Layer) -> list[Layer]:
    """Name layers as an `nn.Sequential` of this name does: `name.0`, `name.1`, ...

    Parameters
    ----------
    name : str
        Name of the sequence.
    *layers : Layer
        Its layers, in order.

    Returns
    -------
    list of Layer
        Copies of the layers, with names.

    Examples
    --------
    >>> from retina_course.shapes.steps import Conv, ReLU, named
    >>> [layer.name for layer in named("enc1", Conv(4), ReLU())]
    ['enc1.0', 'enc1.1']
    """
    return [replace(layer, name=f"{name}.{i}") for i, layer in enumerate(layers)]
