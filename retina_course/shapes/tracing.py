"""The shape table, the summary and the operations of a model, found by running a copy of it.

The copy runs on the "meta" device, which computes shapes and no values: a network of any size takes
milliseconds, and the model itself stays as it is.
"""

import copy
from collections.abc import Sequence

import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from retina_course.shapes.tables import Row


def trace(model: nn.Module, input_size: Sequence[int]) -> list[Row]:
    """The shape table of a model for one input size.

    Parameters
    ----------
    model : Module
        The network.
    input_size : sequence of int
        Shape of the input, `(N, C, H, W)`.

    Returns
    -------
    list of Row
        The input, each layer in execution order, and TOTAL. A module that is called twice has two
        rows, and its parameters are counted once.

    Raises
    ------
    ValueError
        If `input_size` is not `(N, C, H, W)`, or the model refuses it.

    Examples
    --------
    >>> from torch import nn
    >>> from retina_course import shapes
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2))
    >>> for row in shapes.trace(model, (1, 3, 64, 64)):
    ...     print(row.name, row.type, row.output_shape, row.params)
    input Input 3x64x64 0
    0 Conv2d 8x64x64 224
    1 MaxPool2d 8x32x32 0
    TOTAL  8x32x32 224
    """
    if len(input_size) != 4:
        raise ValueError(f"Expected input_size (N, C, H, W), got {tuple(input_size)}.")
    model_copy, statistics = _run(model, input_size)
    names = {id(module): name for name, module in model_copy.named_modules()}
    rows = [Row("input", "Input", _chw(input_size), 0)]
    for layer in statistics.summary_list:
        # A container has its layers' rows; the network itself (depth 0) is the row TOTAL.
        if layer.is_leaf_layer and layer.depth > 0:
            shape = _chw(layer.output_size)
            parameters = 0 if layer.is_recursive else _count(layer.module)
            rows.append(Row(names[id(layer.module)], layer.class_name, shape, parameters))
    output = _chw(statistics.summary_list[0].output_size)
    return [*rows, Row("TOTAL", "", output, _count(model))]


def summary(model: nn.Module, input_size: Sequence[int]) -> str:
    """The text of `torchinfo.summary`, in columns that fit the book's page.

    torchinfo 1.8.0 writes "Units.MEGABYTES" for the unit of its mult-adds: here it reads "M".
    It counts a transposed convolution by its output pixels, and batch norm's weights as
    operations, so that its mult-adds are higher than those of `macs`.

    Parameters
    ----------
    model : Module
        The network.
    input_size : sequence of int
        Shape of the input, `(N, C, H, W)`.

    Returns
    -------
    str
        The table, to be printed.
    """
    _, statistics = _run(model, input_size)
    statistics.formatting.col_width = 19
    text = str(statistics)
    for unit, letter in {"MEGABYTES": "M", "GIGABYTES": "G", "TERABYTES": "T"}.items():
        text = text.replace(f"Units.{unit}", letter)
    return "\n".join(line.rstrip() for line in text.splitlines())


def macs(model: nn.Module, input_size: Sequence[int]) -> int:
    """Multiply-accumulates of all convolutions, transposed ones counted by their input pixels.

    Parameters
    ----------
    model : Module
        The network.
    input_size : sequence of int
        Shape of the input, `(N, C, H, W)`.

    Returns
    -------
    int
        Multiply-accumulates of one forward pass, biases not counted.

    Examples
    --------
    >>> from torch import nn
    >>> from retina_course import shapes
    >>> conv = nn.Conv2d(3, 8, 3, padding=1)
    >>> shapes.macs(conv, (1, 3, 64, 64)) == 3 * 3 * 3 * 8 * 64 * 64
    True
    """
    model_copy = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model_copy(torch.empty(*input_size, device="meta"))
    return counter.get_total_flops() // 2


def _count(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def _run(
    model: nn.Module, input_size: Sequence[int]
) -> tuple[nn.Module, torchinfo.ModelStatistics]:
    """Run a copy of the model on the "meta" device: the copy, and what torchinfo has seen."""
    model_copy = copy.deepcopy(model).to("meta")
    x = torch.empty(*input_size, device="meta")
    try:
        statistics = torchinfo.summary(
            model_copy, input_data=x, device="meta", verbose=0, mode="eval"
        )
    except RuntimeError as error:  # torchinfo hides the model's own message behind its own
        raise (error.__cause__ or error) from None
    return model_copy, statistics


def _chw(size: Sequence[int]) -> str:
    """A shape without its batch, as text."""
    return "x".join(str(side) for side in size[1:])
