"""Shape tables: read a documented one, compare two of them, show one.

A table is a list of rows in execution order: the input, each layer, and a last row TOTAL with the
output and the number of parameters. A layer is a module without children. `torch.cat`,
`F.interpolate` and functional activations are not modules and do not have a row.
"""

import csv
import difflib
import html
from collections.abc import Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One row of a shape table.

    Parameters
    ----------
    name : str
        Name of the layer; a label, which `compare` does not look at.
    type : str
        Class of the layer, e.g. "Conv2d".
    output_shape : str
        Shape of the output for one image, `CxHxW`.
    params : int
        Number of parameters.
    """

    name: str
    type: str
    output_shape: str
    params: int


class ShapeMismatch(AssertionError):
    """A model and its documented table differ; the message shows where."""


def read(table: str | PathLike) -> list[Row]:
    """Read a shape table: a documented one by its name, or a CSV file.

    Parameters
    ----------
    table : str or PathLike
        Name of a documented table, e.g. "unet_small_3x128x128", or a path that ends in `.csv`.

    Returns
    -------
    list of Row
        The rows.

    Raises
    ------
    ValueError
        If there is no such table, or the file's columns are not name, type, output_shape, params.

    Examples
    --------
    >>> from retina_course import shapes
    >>> rows = shapes.read("unet_small_3x128x128")
    >>> len(rows)
    30
    >>> rows[1]
    Row(name='enc1.0', type='Conv2d', output_shape='4x128x128', params=112)
    """
    folder = files(__package__) / "documented"
    path = Path(table) if str(table).endswith(".csv") else folder / f"{table}.csv"
    if not path.is_file():
        names = sorted(f.name[:-4] for f in folder.iterdir() if f.name.endswith(".csv"))
        raise ValueError(f"No shape table {str(table)!r}. Documented ones: {', '.join(names)}.")
    reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    if reader.fieldnames != list(Row._fields):
        raise ValueError(
            f"{path.name} has the columns {reader.fieldnames}, expected {list(Row._fields)}."
        )
    lines = (line.values() for line in reader)
    return [Row(name, kind, shape, int(params)) for name, kind, shape, params in lines]


def compare(traced: Sequence[Row], documented: Sequence[Row]) -> int:
    """Compare two tables row by row: type, output shape and parameters (names are labels).

    Parameters
    ----------
    traced, documented : sequence of Row
        The model's table and the expected one.

    Returns
    -------
    int
        Number of layers that agree: the rows between the input and TOTAL.

    Raises
    ------
    ShapeMismatch
        If they differ. The message is a diff: "-" documented, "+" traced.

    Examples
    --------
    >>> from retina_course import create_model, shapes
    >>> documented = shapes.read("unet_small_3x128x128")
    >>> model = create_model("unet_small", num_classes=32)
    >>> shapes.compare(shapes.trace(model, (1, 3, 128, 128)), documented)
    28
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
    """A shape table that shows itself: as HTML in a notebook and in the book, as text elsewhere.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
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
        """One row as HTML; the input and the total, which are not layers, without number."""
        layer = 0 < number < len(self.rows) - 1
        cells = (
            (str(number) if layer else "", "right"),
            (f"<code>{html.escape(row.name)}</code>" if layer else row.name, "left"),
            (row.type if layer else "", "left"),
            (row.output_shape.replace("x", " x "), "right"),
            (f"{row.params:,}", "right"),
        )
        return "<tr>" + "".join(f'<td style="text-align: {s}">{t}</td>' for t, s in cells) + "</tr>"


def render(rows: Sequence[Row]) -> Table:
    """Show a table, documented or traced, at the end of a notebook cell.

    Parameters
    ----------
    rows : sequence of Row
        The table.

    Returns
    -------
    Table
        The table as an object that shows itself.

    Examples
    --------
    >>> from retina_course import shapes
    >>> shapes.render(shapes.read("unet_small_3x128x128")[:3])
    input          Input                 3x128x128          0
    enc1.0         Conv2d                4x128x128        112
    enc1.1         BatchNorm2d           4x128x128          8
    """
    return Table(rows)


def _line(row: Row) -> str:
    """A row as a line of text."""
    return f"{row.name:<14} {row.type:<16} {row.output_shape:>14} {row.params:>10,}"


def _around(lines: list[str], context: int = 2) -> list[str]:
    """The lines that differ, with `context` equal ones on either side."""
    near = {
        j
        for i, line in enumerate(lines)
        if not line.startswith("  ")
        for j in range(i - context, i + context + 1)
    }
    kept: list[str] = []
    for i, line in enumerate(lines):
        if i in near:
            kept.append(line)
        elif kept and kept[-1] != "  ...":
            kept.append("  ...")
    return kept
