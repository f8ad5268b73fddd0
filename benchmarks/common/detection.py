"""What the programs of the detectors share: their recipe, and what of them is counted."""

from torch import Tensor, nn

from benchmarks.common.rows import OPTIMIZER
from retina_course.training import default_device


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
