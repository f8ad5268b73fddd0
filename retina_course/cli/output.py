"""What the commands write: JSON files, a table of scores, and messages for errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retina_course.data.files import write_atomically


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : mapping
        Strings, numbers, lists and dicts. NaN, which JSON lacks, becomes null.
    """
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: a score that is not defined is null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def score_table(result: Mapping[str, Any], columns: Sequence[str]) -> str:
    """A table of scores as text, one line per score.

    Parameters
    ----------
    result : mapping
        For each column a dict of scores; the rows are those of `result["mean"]`.
    columns : sequence of str
        The columns, from left to right.

    Returns
    -------
    str
        The lines, joined; a score that a column lacks stays empty.

    Examples
    --------
    >>> print(score_table({"mean": {"f1": 0.8}, "sd": {"f1": 0.01}}, ["mean", "sd"]))
                                   mean               sd
    f1                           0.8000           0.0100
    """
    lines = [" " * 18 + "".join(f"{column:>17}" for column in columns)]
    for name in result["mean"]:
        cells = (result[column].get(name) for column in columns)
        lines.append(
            f"{name:<18}" + "".join(f"{'' if c is None else f'{c:.4f}':>17}" for c in cells)
        )
    return "\n".join(lines)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise what CPUs and GPUs raise where memory runs out as a MemoryError that says what to do.

    Yields
    ------
    None
        Nothing; other errors of the block pass unchanged.

    Raises
    ------
    MemoryError
        Memory ran out inside the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        texts = ("out of memory", "can't allocate memory", "not enough memory")
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in texts):
            raise
        raise MemoryError(
            "Not enough memory. Less is needed for a smaller photograph, and in training with a "
            "smaller --crop or --batch-size; or choose another --device."
        ) from error


def message(error: Exception) -> str:
    """An error as one message for the user, without Python's error numbers.

    Parameters
    ----------
    error : Exception
        What a command raised.

    Returns
    -------
    str
        The message, with the file's name where the system refused a file.

    Examples
    --------
    >>> message(FileExistsError(17, "File exists", "results"))
    'File exists: results'
    """
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)
