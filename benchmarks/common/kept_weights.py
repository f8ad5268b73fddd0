"""Weights that the repository keeps beside a row, so that anyone can score the row again."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from benchmarks.common.files import ROOT
from retina_course.data.files import write_atomically

KEPT = ROOT / "benchmarks" / "weights"
SMALL = 1_000_000  # bytes of weights that the repository can carry for each row


def in_half_precision(state: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of a `state_dict`; the whole numbers of batch norm stay as they are."""
    return save(
        {
            name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
            for name, value in state.items()
        }
    )


def keep(content: bytes, path: Path) -> None:
    """Write such a file where it is small enough."""
    if len(content) < SMALL:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
