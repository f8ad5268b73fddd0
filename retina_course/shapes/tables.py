"""Shape tables: read a documented one, trace a model into one, compare them, show them.

A table is a list of rows in execution order: the input, each layer, and a last row TOTAL with the
output and the number of parameters. A layer is a module without children. What is no module has
no row: `torch.cat`, `F.interpolate`, functional activations.
"""

import copy
import csv
import difflib
import html
from collections.abc import Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Row(NamedTuple):
    """One layer: its name (a label), its type, its output `CxHxW` and its parameters."""

    name: str
    type: str
    output_shape: str
    params: int


class ShapeMismatch(AssertionError):
    """A model and its documented table differ; the message shows where."""


def read(table: str | PathLike) -> list[Row]:
    """Read a table: the name of a documented one, e.g. "unet_small_3x128x128", or a CSV file.

    Raises
    ------
    ValueError : unknown name, or a file whose columns are not name, type, output_shape, params.
    """
    folder = files(__package__) / "documented"
    path = Path(table) if str(table).endswith(".csv") else folder / f"{table}.csv"
    if not path.is_file():
        names = sorted(f.name[:-4] for f in folder.iterdir() if f.name.endswith(".csv"))
        raise ValueError(f"No shape table {str(table)!r}. Documented ones: {', '.join(names)}.")
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(Row._fields):
            raise ValueError(
                f"{path.name} has the columns {reader.fieldnames}, expected {list(Row._fields)}."
            )
        return [Row(**{**line, "params": int(line["params"])}) for line in reader]


def trace(model: nn.Module, input_size: Sequence[int]) -> list[Row]:
    """The table of `model` for one input of `input_size` `(N, C, H, W)`.

    Runs a copy on the "meta" device, which computes shapes and no values: a network of any size
    takes milliseconds. The model itself stays as it is.

    Raises
    ------
    ValueError : an input size that is not `(N, C, H, W)`, or that the model refuses.
    """
    if len(input_size) != 4:
        raise ValueError(f"Expected input_size (N, C, H, W), got {tuple(input_size)}.")
    twin, statistics = _run(model, input_size)
    names = {id(module): name for name, module in twin.named_modules()}
    rows = [Row("input", "Input", _chw(input_size), 0)]
    for layer in statistics.summary_list:
        # A container has its layers' rows; the network itself (depth 0) is the row TOTAL.
        if layer.is_leaf_layer and layer.depth > 0:
            shape = _chw(layer.output_size)
            # A module called twice has two rows, and its parameters are counted once.
            parameters = 0 if layer.is_recursive else _count(layer.module)
            rows.append(Row(names[id(layer.module)], layer.class_name, shape, parameters))
    output = _chw(statistics.summary_list[0].output_size)
    return [*rows, Row("TOTAL", "", output, _count(model))]


def summary(model: nn.Module, input_size: Sequence[int]) -> str:
    """The text of `torchinfo.summary`, in columns that fit the book's page.

    torchinfo 1.8.0 writes "Units.MEGABYTES" for the unit of its mult-adds: here it reads "M".
    It counts a transposed convolution by its output pixels and batch norm's weights as
    operations, so its mult-adds lie above `macs`.
    """
    _, statistics = _run(model, input_size)
    statistics.formatting.col_width = 19
    text = str(statistics)
    for unit, letter in {"MEGABYTES": "M", "GIGABYTES": "G", "TERABYTES": "T"}.items():
        text = text.replace(f"Units.{unit}", letter)
    return "\n".join(line.rstrip() for line in text.splitlines())


def macs(model: nn.Module, input_size: Sequence[int]) -> int:
    """Multiply-accumulates of all convolutions, transposed ones by their input pixels."""
    twin = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(torch.empty(*input_size, device="meta"))
    return counter.get_total_flops() // 2


def compare(traced: Sequence[Row], documented: Sequence[Row]) -> int:
    """Compare two tables row by row: type, output shape and parameters (names are labels).

    Returns
    -------
    int : the number of layers that agree (the rows between input and TOTAL).

    Raises
    ------
    ShapeMismatch : they differ. The message is a diff: "-" documented, "+" traced.
    """
    ours, theirs = [row[1:] for row in traced], [row[1:] for row in documented]
    if ours == theirs:
        return len(documented) - 2
    matcher = difflib.SequenceMatcher(a=theirs, b=ours, autojunk=False)
    lines, wrong = [], 0
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            lines += ["  " + _line(row) for row in documented[i1:i2]]
            continue
        wrong += max(i2 - i1, j2 - j1)
        lines += ["- " + _line(row) for row in documented[i1:i2]]
        lines += ["+ " + _line(row) for row in traced[j1:j2]]
    raise ShapeMismatch(
        f"{wrong} row(s) differ (- documented, + traced):\n" + "\n".join(_around(lines))
    )


class Table:
    """A shape table that shows itself: HTML in a notebook and in the book, text elsewhere."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = list(rows)

    def __str__(self) -> str:
        return "\n".join(_line(row) for row in self.rows)

    __repr__ = __str__  # what a notebook stores beside the HTML

    def _repr_html_(self) -> str:
        head = "".join(
            f'<th style="text-align: {side}">{title}</th>'
            for title, side in zip(
                ("#", "Name", "Layer", "Output C x H x W", "Parameters"),
                ("right", "left", "left", "right", "right"),
                strict=True,
            )
        )
        body = "".join(self._html_row(i, row) for i, row in enumerate(self.rows))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _html_row(self, number: int, row: Row) -> str:
        layer = 0 < number < len(self.rows) - 1
        cells = (
            (str(number) if layer else "", "right"),
            (f"<code>{html.escape(row.name)}</code>" if layer else row.name, "left"),
            (row.type if layer else "", "left"),
            (row.output_shape.replace("x", " x "), "right"),
            (f"{row.params:,}" if row.params or not layer else "0", "right"),
        )
        return "<tr>" + "".join(f'<td style="text-align: {s}">{t}</td>' for t, s in cells) + "</tr>"


def render(rows: Sequence[Row]) -> Table:
    """Show a table, documented or traced, at the end of a notebook cell."""
    return Table(rows)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _run(
    model: nn.Module, input_size: Sequence[int]
) -> tuple[nn.Module, torchinfo.ModelStatistics]:
    twin = copy.deepcopy(model).to("meta")
    x = torch.empty(*input_size, device="meta")
    try:
        return twin, torchinfo.summary(twin, input_data=x, device="meta", verbose=0, mode="eval")
    except RuntimeError as error:  # torchinfo hides the model's own message behind its own
        raise (error.__cause__ or error) from None


def _chw(size: Sequence[int]) -> str:
    return "x".join(str(side) for side in size[1:])


def _line(row: Row) -> str:
    return f"{row.name:<14} {row.type:<16} {row.output_shape:>14} {row.params:>10,}"


def _around(lines: list[str], context: int = 2) -> list[str]:
    """The lines that differ, with `context` equal ones on either side."""
    near = {
        j
        for i, line in enumerate(lines)
        if not line.startswith("  ")
        for j in range(i - context, i + context + 1)
    }
    kept = []
    for i, line in enumerate(lines):
        if i in near:
            kept.append(line)
        elif kept and kept[-1] != "  ...":
            kept.append("  ...")
    return kept
