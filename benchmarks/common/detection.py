"""The detectors' training, and what of them is counted."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.common.rows import OPTIMIZER
from retina_course.data.detection import RandomAffine
from retina_course.training import History, default_device, fit, seed_everything


class Detecting(nn.Module):
    """What a detector computes to find boxes: its network without the segmentation."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, segment=False).classes


def recipe_of(steps: int, batch_size: int, lr: float, bfloat16: bool, **more) -> dict:
    """The stored recipe; a GPU trains in bfloat16 whether asked or not."""
    half = bfloat16 or default_device().type == "cuda"
    return {
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        **more,
        "optimizer": OPTIMIZER,
        "precision": "bfloat16" if half else "float32",
    }


def train_detector(
    build: Callable[[], nn.Module],
    sample: RandomAffine,
    recipe: dict,
    *,
    seed: int,
    checkpoint: Path,
    settings: dict,
) -> tuple[nn.Module, History]:
    """A detector trained by `recipe_of(...)`; killed, it goes on from its checkpoint."""
    seed_everything(seed)
    model = build().to(default_device())
    history = fit(
        model,
        sample,
        recipe["steps"],
        lr=recipe["lr"],
        seed=seed,
        precision=torch.bfloat16 if recipe["precision"] == "bfloat16" else None,
        checkpoint=checkpoint,
        settings=settings | recipe,
    )
    return model, history
