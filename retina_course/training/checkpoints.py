"""What a run leaves behind: its history, and a checkpoint to continue from."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from retina_course.data.files import write_atomically


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
    """Write a checkpoint, whole or not at all: else the one before stays.

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

    Raises
    ------
    ValueError
        If it could not be read again, see `check_plain`.
    OSError
        If the file cannot be written; it is named.
    """
    check_plain(run, "settings")
    check_plain(history.validation[-1:], "what validate returns")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: part.state_dict() for name, part in state.items()}
    content |= {"step": step, "history": asdict(history), "run": run}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def check_plain(value: Any, what: str) -> None:
    """Refuse what a checkpoint could hold and would not give back, as it is read without pickle.

    Parameters
    ----------
    value : object
        To be stored.
    what : str
        What the message calls it.

    Raises
    ------
    ValueError
        If it holds something else than numbers, texts, None, tensors, lists, tuples and dicts.

    Examples
    --------
    >>> check_plain({"data": Path("eyes")}, "settings")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: A checkpoint cannot hold settings {'data': ...}: give numbers, ...
    """
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError):  # the last two: of local functions
        raise ValueError(
            f"A checkpoint cannot hold {what} {value!r}: give numbers, texts, lists and dicts."
        ) from None


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
        If the file is damaged or not a checkpoint of `fit`, if it belongs to another run or to
        another model, or if it is a folder.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        step, history, stored = content["step"], content["history"], content["run"]
    except (MemoryError, PermissionError, torch.OutOfMemoryError):
        raise  # nothing is wrong with the file
    except IsADirectoryError:  # not to be deleted
        raise ValueError(f"{path} is a folder: give the checkpoint the name of a file.") from None
    except Exception as error:
        raise ValueError(
            f"{path} is not a checkpoint of fit, or it is damaged ({error}). "
            "Delete it to start the run from its beginning."
        ) from error
    if stored != run:
        raise ValueError(
            f"{path} belongs to another run: {differences(stored, run)}. "
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


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Name the settings in which two runs differ.

    Parameters
    ----------
    there : mapping
        The settings of the stored run.
    here : mapping
        Those asked for; a setting that is missing in one counts as None.

    Returns
    -------
    str
        Each with its two values; settings inside a dict are compared one by one.

    Examples
    --------
    >>> differences({"seed": 0, "recipe": {"crop": 64}}, {"seed": 0, "recipe": {"crop": 32}})
    'crop is 64 there, 32 here'
    """
    found = []
    for name in dict.fromkeys([*there, *here]):
        one, other = there.get(name), here.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += [text] if (text := differences(one, other)) else []
        elif one != other:
            found.append(f"{name} is {one!r} there, {other!r} here")
    return "; ".join(found)


def without_wrappers(model: nn.Module) -> nn.Module:
    """The network that `torch.compile` or a parallel wrapper was put around.

    Parameters
    ----------
    model : nn.Module
        Any network.

    Returns
    -------
    nn.Module
        The network whose weights have their own names, without `module.` or `_orig_mod.`.

    Examples
    --------
    >>> from torch import nn
    >>> type(without_wrappers(nn.DataParallel(nn.Identity()))).__name__
    'Identity'
    """
    if isinstance(model, nn.DataParallel | DistributedDataParallel):
        return without_wrappers(model.module)
    inner = getattr(model, "_orig_mod", None)
    return without_wrappers(inner) if isinstance(inner, nn.Module) else model
