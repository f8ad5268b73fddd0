"""The shape calculator, book/shape_calculator.md: the networks' steps as a script, and a table."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from itertools import product
from pathlib import Path
from typing import Any

import torch
from docutils.parsers.rst.directives.tables import CSVTable
from docutils.statemachine import StringList

from retina_course.models import blocks, create_model, list_models
from retina_course.models.detection.pyramid import ENCODERS
from retina_course.models.detection.retina_unet_detector import CLASS_LOSSES
from retina_course.models.linknet import UPSAMPLINGS
from retina_course.models.resnet import BLOCKS
from retina_course.models.retina_segmentor import SKIPS
from retina_course.models.segnet import HEADS
from retina_course.shapes import steps
from retina_course.shapes.networks import describe

TITLES = {
    "unet_small": "UNetSmall",
    "unet_large": "UNetLarge",
    "segnet": "SegNet",
    "retina_unet": "RetinaUNet",
    "retina_net": "RetinaNet (detector)",
    "retina_unet_detector": "Retina U-Net (detector)",
    "retina_segmentor": "RetinaSegmentor",
    "linknet": "LinkNet",
    "w_net": "WNet",
}
DETECTOR = {
    "class_loss": list(CLASS_LOSSES),
    "encoder": list(ENCODERS),
    "width": 32,
    "pyramid_channels": 64,
    "head_channels": 64,
}
# Options that change a shape, with their values, or with the first value where any number will do.
OPTIONS: dict[str, dict[str, Any]] = {
    "unet_large": {"fold": 1},
    "segnet": {"head": list(HEADS), "separable": [False, True]},
    "retina_net": DETECTOR,
    "retina_unet_detector": DETECTOR,
    "retina_segmentor": {"skip": list(SKIPS)},
    "linknet": {"encoder": list(BLOCKS), "up": list(UPSAMPLINGS)},
}
KINDS = [steps.Conv, steps.Transposed, steps.MaxPool, steps.Unpool, steps.Upsample, steps.Norm]
KINDS += [steps.ReLU, steps.Fold, steps.Unfold, steps.Resize]
HEADER = ["Layer", "Type", "Output (C×H×W)", "Parameters", "MACs", "Receptive field", "KiB"]


class Number:
    """A number that the reader will choose, or a sum of products of such numbers."""

    def __init__(self, terms: dict[tuple[str, ...], int]) -> None:
        self.terms = terms  # the names in a product, and its factor

    def __add__(self, other: "Number | int") -> "Number":
        terms = dict(self.terms)
        for names, factor in _number(other).terms.items():
            terms[names] = terms.get(names, 0) + factor
        return Number(terms)

    def __mul__(self, other: "Number | int") -> "Number":
        terms: dict[tuple[str, ...], int] = {}
        for (a, p), (b, q) in product(self.terms.items(), _number(other).terms.items()):
            names = tuple(sorted(a + b))
            terms[names] = terms.get(names, 0) + p * q
        return Number(terms)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> "Number":
        return self if exponent == 1 else self * self ** (exponent - 1)

    def __floordiv__(self, divisor: int) -> "Number":
        assert not any(factor % divisor for factor in self.terms.values()), "does not divide"
        return Number({names: factor // divisor for names, factor in self.terms.items()})


def _number(value: Number | int) -> Number:
    return value if isinstance(value, Number) else Number({(): value})


def plain(value: Any) -> Any:
    """A value as JSON has it; a `Number` as a list of products, `[factor, name, ...]`."""
    if isinstance(value, Number):
        return [[factor, *names] for names, factor in value.terms.items() if factor]
    return value


def defaults() -> dict[str, dict[str, Any]]:
    """What a kind of step has where a step does not say it, and its name in the table."""
    return {
        kind.__name__: {field.name: field.default for field in fields(kind) if _has_default(field)}
        | {"type": kind.type}
        for kind in KINDS
    }


def _has_default(field: Any) -> bool:
    return field.default is not MISSING and field.default is not None


def step_list(step: steps.Step) -> list[Any]:
    """A step as `[kind, settings]`."""
    told = {field.name: getattr(step, field.name) for field in fields(step)}
    usual = defaults().get(type(step).__name__, {})
    told = {k: plain(v) for k, v in told.items() if v is not None and v != usual.get(k, MISSING)}
    return [type(step).__name__, told]


def variants(name: str) -> list[dict[str, Any]]:
    """The step lists of a network, each with the options that it is for."""
    options = OPTIONS.get(name, {})
    choices = {key: values for key, values in options.items() if isinstance(values, list)}
    numbers = {key for key in options if key not in choices} | {"in_channels", "num_classes"}
    free: dict[str, Any] = {key: Number({(key,): 1}) for key in sorted(numbers)}
    found = []
    for values in product(*choices.values()):
        when = dict(zip(choices, values, strict=True))
        found.append({"when": when, "steps": describe(name, **free, **when)})
    if "fold" in numbers:  # without folding no network lies inside another
        found.insert(0, {"when": {"fold": 1}, "steps": describe(name, **{**free, "fold": 1})})
    return [{**one, "steps": [step_list(step) for step in one["steps"]]} for one in found]


def network(name: str) -> dict[str, Any]:
    """What the page knows of a network."""
    with torch.device("meta"):
        model = create_model(name)
    return {
        "title": TITLES[name],
        "multiple": model.size_multiple,
        "smallest": getattr(model, "total_stride", 1),
        "options": {"num_classes": 1, **OPTIONS.get(name, {})},
        "variants": variants(name),
    }


def description(names: Sequence[str]) -> dict[str, Any]:
    """All that the script needs for these networks."""
    messages = {
        "positive": blocks.NOT_POSITIVE,
        "size": blocks.WRONG_SIZE,
        "small": blocks.TOO_SMALL,
    }
    networks = {name: network(name) for name in names}
    return {"defaults": defaults(), "messages": messages, "networks": networks}


def table(name: str, size: tuple[int, int, int]) -> list[list[str]]:
    """The table of a network as the page shows it, ready to be read without the script."""
    described = describe(name, in_channels=size[0])
    rows = steps.predict_table(described, size)
    macs = iter(steps.predict_macs(described, size))
    places = (i for i, step in enumerate(described, 1) if steps.has_row(step))
    lines = [["input", "", rows[0].output_shape, "", "", "", ""]]
    for row, place in zip(rows[1:-1], places, strict=True):
        channels, height, width = map(int, row.output_shape.split("x"))
        first, last = steps.receptive_field(described[:place], height // 2)
        numbers = [row.params, next(macs), last - first + 1, channels * height * width // 256]
        lines.append([row.name, row.type, row.output_shape, *(f"{n:,}" for n in numbers)])
    return lines


class ShapeTable(CSVTable):
    """`{shape-table} Caption` with the options network and size, "C,H,W"."""

    option_spec = {**CSVTable.option_spec, "network": str, "size": str}

    def run(self) -> list[Any]:
        channels, height, width = map(int, self.options["size"].split(","))
        text = io.StringIO()
        rows = [HEADER, *table(self.options["network"], (channels, height, width))]
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.content = StringList(text.getvalue().splitlines(), source="retina_course.shapes")
        self.options["header-rows"] = 1
        return super().run()


def write(app, error):
    """Write the scripts into the built book: all networks, and the one of the live page."""
    if error or app.builder.format != "html":
        return
    for file, names in {"description": list_models(), "unet_small": ["unet_small"]}.items():
        text = json.dumps(description(names), separators=(",", ":"))
        target = Path(app.outdir, "_static", "shapes", f"{file}.js")
        target.write_text(f"window.retinaShapeDescription = {text};\n", encoding="utf-8")


def setup(app):
    app.add_directive("shape-table", ShapeTable)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
