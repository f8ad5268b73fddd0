"""Shape arithmetic: the table of a network, computed before the network exists.

A small language describes a network as a list of steps, e.g. `[Conv(8), Norm(), MaxPool()]`: layers
(`layers`), functions, which have no row in the table (`functions`), and the links between them
(`links`). The table, the operations and the receptive field follow from the list (`analysis`), by
the formulas in `shapes.arithmetic`: with integers only, without tensors.
"""

from retina_course.shapes.steps.analysis import (
    Step,
    Steps,
    follow,
    has_row,
    named,
    predict_macs,
    predict_table,
    receptive_field,
)
from retina_course.shapes.steps.base import Function, Layer, Link, Shape
from retina_course.shapes.steps.functions import Fold, Resize, Unfold
from retina_course.shapes.steps.layers import (
    Conv,
    MaxPool,
    Norm,
    ReLU,
    Transposed,
    Unpool,
    Upsample,
)
from retina_course.shapes.steps.links import Add, Back, Concat, Keep

__all__ = [
    "Add",
    "Back",
    "Concat",
    "Conv",
    "Fold",
    "Function",
    "Keep",
    "Layer",
    "Link",
    "MaxPool",
    "Norm",
    "ReLU",
    "Resize",
    "Shape",
    "Step",
    "Steps",
    "Transposed",
    "Unfold",
    "Unpool",
    "Upsample",
    "follow",
    "has_row",
    "named",
    "predict_macs",
    "predict_table",
    "receptive_field",
]
