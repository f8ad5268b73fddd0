"""What the losses of three libraries give on stored inputs: golden values for tests and chapter.

    python -m pip install --no-deps monai segmentation-models-pytorch
    python -m benchmarks.lessons.loss_peers

Of segmentation_models_pytorch only the losses are imported: its other parts need torchvision.
Writes retina_course/results/loss_peers.json: the inputs, each library's value and the norm of its
gradient on ordinary inputs, and what its Dice does in the cases where the libraries differ.
"""

import importlib.util
import inspect
import math
import sys
import time
import types
import warnings
from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course.training.losses import SMOOTH, DiceLoss

PROGRAM = Program(
    __file__,
    question="Do the losses agree with MONAI, segmentation_models_pytorch and torchmetrics?",
    results=("loss_peers.json",),
    commands=("python -m benchmarks.lessons.loss_peers",),
    hours=0.01,
    needs=("monai", "segmentation-models-pytorch"),
)
FAR = 30.0  # the sigmoid of -30 is below 1e-13


def smp_losses() -> types.ModuleType:
    """`segmentation_models_pytorch.losses` without the package's own import.

    Raises
    ------
    ModuleNotFoundError : the package is not installed.
    """
    name = "segmentation_models_pytorch"
    package = types.ModuleType(name)
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"{name} is not installed; see the head of {PROGRAM.file}.")
    package.__path__ = spec.submodule_search_locations
    sys.modules[name] = package
    return importlib.import_module(f"{name}.losses")


def inputs() -> dict[str, tuple[Tensor, Tensor]]:
    """Small tensors that a file can hold: logits with two decimals, right more often than not."""
    generator = torch.Generator().manual_seed(0)
    row, column = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    lines = torch.stack([(row - column).abs() < 2, (column - 5).abs() < 1])[:, None].float()
    noise = torch.randn(2, 1, 12, 12, generator=generator)
    regions = torch.stack([(row > 5).long() + (column > 7).long(), (column > row).long()])
    many = torch.randn(2, 3, 12, 12, generator=generator)
    many = many + 2 * torch.nn.functional.one_hot(regions, 3).movedim(-1, 1)
    binary = (2 * lines - 1 + 1.5 * noise).mul(100).round() / 100
    return {
        "one output": (binary, lines),
        "one image": (binary[:1], lines[:1]),
        "hard map": (FAR * (2.0 * (binary > 0) - 1), lines),
        "three outputs": (many.mul(100).round() / 100, regions),
    }


def agreement(smp: types.ModuleType, monai: types.ModuleType) -> dict:
    """name of ours: (input, library, how the library is called)."""
    sigmoid, softmax = {"sigmoid": True, "batch": True}, {"softmax": True, "to_onehot_y": True}
    softmax["batch"] = True
    weights = {"alpha": 0.3, "beta": 0.7}
    exact = {"smooth_nr": 1e-6, "smooth_dr": 1e-6, "smooth": 1e-12}
    return {
        "cross-entropy": [
            ("one output", "smp", smp.SoftBCEWithLogitsLoss()),
            ("three outputs", "smp", smp.SoftCrossEntropyLoss(smooth_factor=0.0)),
        ],
        "Dice": [
            ("one output", "smp", smp.DiceLoss("binary")),
            ("one output", "MONAI", monai.DiceLoss(**sigmoid)),
            ("hard map", "torchmetrics", metric(BinaryF1Score())),
            ("three outputs", "smp", smp.DiceLoss("multiclass")),
            ("three outputs", "MONAI", monai.DiceLoss(**softmax)),
        ],
        "Dice, squared": [("one output", "MONAI", monai.DiceLoss(squared_pred=True, **sigmoid))],
        "Dice, per image": [("one output", "MONAI", monai.DiceLoss(sigmoid=True))],
        "IoU": [
            ("one output", "smp", smp.JaccardLoss("binary")),
            ("one output", "MONAI", monai.DiceLoss(jaccard=True, **sigmoid)),
            ("hard map", "torchmetrics", metric(BinaryJaccardIndex())),
            ("three outputs", "smp", smp.JaccardLoss("multiclass")),
            ("three outputs", "MONAI", monai.DiceLoss(jaccard=True, **softmax)),
        ],
        "cross-entropy + Dice": [("one output", "MONAI", monai.DiceCELoss(**sigmoid))],
        "focal": [
            ("one output", "smp", smp.FocalLoss("binary")),
            ("one output", "MONAI", monai.FocalLoss()),
            ("three outputs", "smp", smp.FocalLoss("multiclass")),
            ("three outputs", "MONAI", monai.FocalLoss(use_softmax=True, to_onehot_y=True)),
        ],
        "focal, alpha 0.25": [
            ("one output", "smp", smp.FocalLoss("binary", alpha=0.25)),
            ("one output", "MONAI", monai.FocalLoss(alpha=0.25)),
        ],
        "Tversky": [
            ("one output", "smp", smp.TverskyLoss("binary", **weights)),
            ("one output", "MONAI", monai.TverskyLoss(**sigmoid, **weights)),
            ("three outputs", "smp", smp.TverskyLoss("multiclass", **weights)),
            ("three outputs", "MONAI", monai.TverskyLoss(**softmax, **weights)),
        ],
        "clDice": [
            ("one image", "MONAI", monai.SoftclDiceLoss(iter_=5, sigmoid=True, **exact)),
        ],
    }


def metric(one: Callable) -> Callable[[Tensor, Tensor], Tensor]:
    """A score as a loss, without a gradient. It takes logits where a value is outside [0, 1]."""
    return lambda logits, target: 1 - one(logits, target.int())


def corners() -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs that are not ordinary: filled with one value each, or made of two such images."""
    empty, full = torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    half = empty.clone()
    half[..., :32] = 1
    small, perfect = empty.clone(), FAR * (2 * half - 1)
    small[..., :6, :6] = 1
    rare = empty.flatten().index_fill(0, torch.arange(410), 1).view_as(empty)  # a tenth
    return {
        "perfect logits": (FAR * (2 * rare - 1), rare),
        "perfect probabilities": (rare, rare),
        "no vessel: none found": (-FAR * full, empty),
        "no vessel: half found": (perfect, empty),
        "vessels: none found": (-FAR * full, half),
        "perfect + missed image": (
            torch.cat([perfect, -FAR * full]),
            torch.cat([half, small]),
        ),
        "perfect + empty image": (
            torch.cat([perfect, perfect]),
            torch.cat([half, empty]),
        ),
        "float16, 512 x 512": (
            torch.full((1, 1, 512, 512), 2.0).half(),
            torch.ones(1, 1, 512, 512),
        ),
    }


def stored(logits: Tensor, target: Tensor) -> dict:
    """Shapes, and the values as text: one line a tensor."""
    return {
        "logits_shape": list(logits.shape),
        "logits": " ".join(f"{value:.2f}" for value in logits.flatten().tolist()),
        "target_shape": list(target.shape),
        "target": "".join(str(int(value)) for value in target.flatten().tolist()),
    }


def called(loss: Callable, logits: Tensor, target: Tensor) -> dict:
    """Value and norm of the gradient; None stands for what is not a finite number."""
    logits = logits.clone().requires_grad_()
    if logits.shape[1] > 1 and type(loss).__module__.startswith("monai"):
        target = target[:, None]
    value = loss(logits, target)
    norm = None
    if value.requires_grad:
        value.backward()
        norm = finite(logits.grad.float().norm().item())
    return {"value": finite(value.float().item()), "gradient_norm": norm}


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def defaults(function: Callable, names: tuple[str, ...]) -> dict:
    """What the library's signature says where the caller says nothing."""
    found = inspect.signature(function).parameters
    return {name: found[name].default for name in names if name in found}


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    warnings.simplefilter("ignore")
    smp, monai = smp_losses(), importlib.import_module("monai.losses")
    given = inputs()
    rows = [
        {"loss": name, "input": case, "library": library} | called(loss, *given[case])
        for name, calls in agreement(smp, monai).items()
        for case, library, loss in calls
    ]
    # As a reader meets them: only what a call cannot do without is set.
    dice = {
        "this package": lambda logits, target: DiceLoss()(logits, target)[1],
        "smp": smp.DiceLoss("binary"),
        "MONAI": monai.DiceLoss(),
        "MONAI, sigmoid": monai.DiceLoss(sigmoid=True),
        "torchmetrics": metric(BinaryF1Score()),
    }
    names = ("smooth", "eps", "smooth_nr", "smooth_dr", "from_logits", "sigmoid", "batch")
    names += ("squared_pred", "include_background", "threshold", "zero_division")
    content = {
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
        "versions": {
            "smp": version("segmentation-models-pytorch"),
            "MONAI": version("monai"),
            "torchmetrics": version("torchmetrics"),
        },
        "inputs": {case: stored(*pair) for case, pair in given.items()},
        "agreement": rows,
        "corners": {
            case: {name: called(one, *pair) for name, one in dice.items()}
            for case, pair in corners().items()
        },
        "defaults": {
            "this package": {"smooth": SMOOTH} | defaults(DiceLoss, ("squared", "per_image")),
            "smp": defaults(smp.DiceLoss.__init__, names),
            "MONAI": defaults(monai.DiceLoss.__init__, names),
            "torchmetrics": defaults(BinaryF1Score.__init__, names),
        },
    }
    write_json(RESULTS / "loss_peers.json", content)


if __name__ == "__main__":
    main()
