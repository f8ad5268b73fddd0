"""Writing files: each appears whole or not at all."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".retina-course-"  # how the names of temporary files begin


def write_atomically(path: str | PathLike[str], data: bytes) -> None:
    """Write a file so that no reader sees half of it, even after a crash.

    The bytes go to a temporary file in the same folder, which is then renamed.

    Parameters
    ----------
    path : str or PathLike
        The file to write; its folder must exist. An existing file is replaced.
    data : bytes
        The content.

    Raises
    ------
    OSError
        The file cannot be written; it is named, and what was there before is unchanged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "map.bin"), b"vessels")
    ...     Path(folder, "map.bin").read_bytes()
    b'vessels'
    """
    write_together({Path(path): data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write several files as `write_atomically` does: where one finds no space, none appears.

    Parameters
    ----------
    files : mapping of Path to bytes
        The files and their content; their folders must exist.

    Raises
    ------
    OSError
        A file cannot be written; it is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_together({Path(folder, "a"): b"1", Path(folder, "b"): b"2"})
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['a', 'b']
    """
    temporary = {path: path.with_name(f"{TEMPORARY}{uuid4().hex}.tmp") for path in files}
    try:
        for path, data in files.items():
            with _named(path), temporary[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # else a machine that stops may keep the name alone
        for path in files:
            with _named(path):
                os.replace(temporary[path], path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def clear_leftovers(folder: Path, older_than: float = 60.0) -> list[Path]:
    """Remove what killed runs have left half-written in a folder: their temporary files.

    A younger one may be that of a run that is at work, and stays.

    Parameters
    ----------
    folder : Path
        The folder; the folders in it are not looked into.
    older_than : float, default 60.0
        Seconds since such a file was last written to.

    Returns
    -------
    list of Path
        The temporary files that stay.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, ".retina-course-1.tmp").write_bytes(b"half")
    ...     [path.name for path in clear_leftovers(Path(folder))]
    ...     clear_leftovers(Path(folder), older_than=0)
    ['.retina-course-1.tmp']
    []
    """
    stay = []
    for path in sorted(folder.glob(f"{TEMPORARY}*.tmp")):
        try:
            if time.time() - path.stat().st_mtime < older_than:
                stay.append(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass  # its run has just finished it
    return stay


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for the same folder, then run the block.

    What reads a file and writes it again needs it: of two processes that do so at the same time,
    the second one would write away what the first one has added. Windows and some network drives
    have no such lock; the block runs without it there.

    Parameters
    ----------
    folder : Path
        A folder, which exists; nothing is written into it.

    Yields
    ------
    None
        Nothing; the lock ends with the block, and with the process.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, alone_in(Path(folder)):
    ...     print("read, change, write")
    read, change, write
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a drive without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the block name the file that the user knows, not the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
