"""What the commands write: JSON files, a table of scores, and messages for errors."""

import errno
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from retina_course.data.files import clear_leftovers, write_atomically
from retina_course.data.image_files import ImageWarning


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


def make_folder(folder: Path) -> None:
    """Make a folder for results, before the long work, and find out whether it can be written.

    Parameters
    ----------
    folder : Path
        It may be there.

    Raises
    ------
    ValueError
        It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"The output folder {folder} cannot be made or written ({error.strerror}). Give "
            "another output (-o), or change who may write there."
        ) from error


def clear_up(folder: Path) -> None:
    """Remove what killed runs have left half-written in a folder; name what is too young for it.

    Parameters
    ----------
    folder : Path
        Where results are to be written; it may be absent.
    """
    if stay := clear_leftovers(folder):
        names = ", ".join(map(str, stay))
        text = f"unfinished, of a run that was stopped just now or is at work: {names}"
        print(f"retina-course: {text}", file=sys.stderr)


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


def digits(probability: float) -> str:
    """A probability with three decimals, or with as many as show that it is not 0 or 1.

    Parameters
    ----------
    probability : float
        Such as a threshold.

    Returns
    -------
    str
        The number.

    Examples
    --------
    >>> digits(0.38660), digits(0.00002), digits(0.99996)
    ('0.387', '2e-05', '0.99996')
    """
    text = f"{probability:.3f}"
    return f"{probability:.6g}" if text in ("0.000", "1.000") and probability % 1 else text


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print what the readers of images warn of, each once, without Python's file and line.

    Yields
    ------
    None
        Nothing; other warnings pass as before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("default", ImageWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, ImageWarning):
                print(f"retina-course: warning: {message}", file=sys.stderr)
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Let a command go on when nobody reads its output any more, as in `segment ... | head -1`.

    Yields
    ------
    None
        Nothing; what is then printed inside the block goes nowhere.
    """
    with redirect_stdout(_Patient.of(sys.stdout)), redirect_stderr(_Patient.of(sys.stderr)):
        yield


class _Patient:
    """A stream without "Broken pipe"."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @classmethod
    def of(cls, stream: TextIO | None) -> Any:
        """None, where a program has no such stream, stays None."""
        return None if stream is None else cls(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._closed_is_no_error():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._closed_is_no_error():
            self._stream.flush()

    @contextmanager
    def _closed_is_no_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # EINVAL: Windows
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # also for what is still in the buffer
            os.close(nowhere)
