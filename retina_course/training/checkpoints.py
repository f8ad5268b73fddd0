"""What a run leaves behind: its history, and a checkpoint to continue from."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass
class History:
    """What `fit` measured.

    Parameters
    ----------
    loss : list of float, optional
        The loss of each step.
    validation : list of dict, optional
        What `validate` returned, each time with its `step`.
    seconds : float, default 0.0
        Time spent, without the writing of checkpoints.

    Examples
    --------
    >>> from retina_course.training import History
    >>> History(loss=[0.9, 0.7]).loss[-1]
    0.7
    """

    loss: list[float] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def to_builtin(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into Python's, since a checkpoint is read without NumPy's.

    Parameters
    ----------
    value : object
        Anything; dicts, lists and tuples are gone through.

    Returns
    -------
    object
        The same with numbers and lists of Python in place of NumPy's.

    Examples
    --------
    >>> import numpy as np
    >>> to_builtin({"f1": np.float64(0.5), "seeds": np.arange(2)})
    {'f1': 0.5, 'seeds': [0, 1]}
    """
    if isinstance(value, dict):
        return {key: to_builtin(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_builtin(item) for item in value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def save(
    path: Path, step: int, history: History, state: Mapping[str, Any], run: dict[str, Any]
) -> None:
    """Write a checkpoint beside its place, then move it there: never half a file.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made where it does not exist.
    step : int
        Number of steps done.
    history : History
        What was measured in them.
    state : dict
        By name, everything with a `state_dict`: model, optimizer, scaler.
    run : dict
        What the run must agree in to be continued, see `resume`.
    """
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


def resume(
    path: Path, state: Mapping[str, Any], run: dict[str, Any], device: torch.device
) -> tuple[int, History]:
    """Read a checkpoint that `save` wrote, and load its parts in place.

    Parameters
    ----------
    path : Path
        The checkpoint.
    state : dict
        By name, everything with a `load_state_dict`: model, optimizer, scaler.
    run : dict
        What the stored run must be equal in: seed, steps, learning rate, settings.
    device : torch.device
        Where the tensors go.

    Returns
    -------
    step : int
        Number of steps done.
    history : History
        What was measured in them.

    Raises
    ------
    ValueError
        If the file is damaged or not a checkpoint of `fit`, or if it belongs to another run or to
        another model.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        step, history, stored = content["step"], content["history"], content["run"]
    except (MemoryError, PermissionError, torch.OutOfMemoryError):
        raise  # nothing is wrong with the file
    except Exception as error:
        raise ValueError(
            f"{path} is not a checkpoint of fit, or it is damaged ({error}). "
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
