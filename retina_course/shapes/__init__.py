"""Shapes: tables of layers read, traced and compared; the arithmetic that predicts them."""

from retina_course.shapes import arithmetic, steps
from retina_course.shapes.tables import Row, ShapeMismatch, Table, compare, read, render
from retina_course.shapes.tracing import macs, summary, trace

__all__ = [
    "Row",
    "ShapeMismatch",
    "Table",
    "arithmetic",
    "compare",
    "macs",
    "read",
    "render",
    "steps",
    "summary",
    "trace",
]
