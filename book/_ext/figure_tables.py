"""The page book/interactive.md without its scripts: tables of what torch and the losses compute."""

import csv
import io
from typing import Any

import torch
import torch.nn.functional as F
from docutils.parsers.rst.directives.tables import CSVTable
from docutils.statemachine import StringList

from retina_course.training.losses import CrossEntropyLoss, DiceLoss, FocalLoss, TverskyLoss

IMAGE = [[1, 3, 0, 2], [7, 2, 5, 4], [0, 6, 8, 1], [2, 4, 3, 9]]  # the step-through begins with it
PIXELS = 999  # besides the one that is looked at
LOSSES = ("Cross-entropy", "Focal", "Dice", "Tversky")


def gradients(
    logit: float,
    *,
    target: int,
    gamma: float = 2.0,
    alpha: float = 0.3,
    pixels: int = PIXELS,
    share: float = 0.1,
    right: float = 0.9,
) -> list[float]:
    """The gradient of each loss by one pixel's logit, times the number of pixels.

    The other pixels have the probability `right` of their true class; a `share` of them is vessel.
    """
    vessel = round(share * pixels)
    truth = torch.tensor([target] + [1] * vessel + [0] * (pixels - vessel), dtype=torch.float64)
    inside = torch.tensor(right, dtype=torch.float64).logit()
    others = torch.where(truth[1:] == 1, inside, -inside)
    losses = (CrossEntropyLoss(), FocalLoss(gamma), DiceLoss(), TverskyLoss(alpha, 1 - alpha))
    found = []
    for loss in losses:
        own = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
        value = loss(torch.cat([own, others]).view(1, 1, 1, -1), truth.view(1, 1, 1, -1))
        (value[1] if isinstance(value, tuple) else value).backward()
        assert own.grad is not None
        found.append(float(own.grad) * len(truth))
    return found


def unpooling(image: list[list[int]]) -> tuple[Any, Any, Any]:
    """Pooled numbers, their indices and the unpooled image, by torch."""
    x = torch.tensor(image, dtype=torch.float32)[None, None]
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(pooled, indices, 2, output_size=x.shape)
    return tuple(one[0, 0].int().tolist() for one in (pooled, indices, back))


def gradient_rows() -> list[list[str]]:
    """Header and rows of the losses' table."""
    rows = [["Pixel", "Logit", *LOSSES]]
    for target, word in ((1, "vessel"), (0, "background")):
        for logit in (-4, -2, 0, 2, 4):
            found = gradients(logit, target=target)
            rows.append([word, f"{logit}", *(f"{round(value, 3) + 0.0:.3f}" for value in found)])
    return rows


def unpooling_rows() -> list[list[str]]:
    """Header and rows of the pooling's table."""
    pooled, indices, back = unpooling(IMAGE)
    rows = [["Row", "Image", "Pooled", "Indices", "Unpooled"]]
    for y, (before, after) in enumerate(zip(IMAGE, back, strict=True)):
        half = [pooled[y], indices[y]] if y < len(pooled) else [[], []]
        rows.append([str(y), *(" ".join(map(str, part)) for part in (before, *half, after))])
    return rows


class _Table(CSVTable):
    """A table whose rows are computed when the book is built."""

    make = staticmethod(gradient_rows)

    def run(self) -> list[Any]:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.make())
        self.content = StringList(text.getvalue().splitlines(), source="figure_tables")
        self.options["header-rows"] = 1
        return super().run()


class GradientTable(_Table):
    """`{gradient-table} Caption`."""


class UnpoolingTable(_Table):
    """`{unpooling-table} Caption`."""

    make = staticmethod(unpooling_rows)


def setup(app):
    app.add_directive("gradient-table", GradientTable)
    app.add_directive("unpooling-table", UnpoolingTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
