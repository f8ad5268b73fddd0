"""What a run leaves behind: its history, and a checkpoint to continue from."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch


@dataclass
class History:
    """What `fit` measured: the loss of each step, and what `validate` returned, with its step."""

    loss: list[float] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)
    seconds: float = 0.0


def plain(value: object) -> object:
    """NumPy's numbers and arrays as Python's: a checkpoint is read back with no others."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def save(path: Path, step: int, history: History, state: dict, run: dict) -> None:
    """Write the checkpoint beside its place, then move it there: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: part.state_dict() for name, part in state.items()}
    content |= {"step": step, "history": asdict(history), "run": run}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def resume(path: Path, state: dict, run: dict, device: torch.device) -> tuple[int, History]:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        step, history, stored = content["step"], content["history"], content["run"]
    except (MemoryError, PermissionError, torch.OutOfMemoryError):
        raise  # nothing is wrong with the file
    except Exception as error:
        raise ValueError(
            f"{path} is no checkpoint of fit, or it is damaged ({error}). "
            "Delete it to start the run from its beginning."
        ) from error
    if stored != run:
        raise ValueError(
            f"{path} belongs to another run: {stored} there, {run} asked for. "
            "Choose another file, or delete it to start again."
        )
    try:
        for name, part in state.items():
            part.load_state_dict(content[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} belongs to another model: {str(error).splitlines()[0]} "
            "Choose another file, or delete it to start again."
        ) from error
    return step, History(**history)
