"""Writing files: each appears whole or not at all."""

import os
from os import PathLike
from pathlib import Path


def write_atomically(path: str | PathLike[str], data: bytes) -> None:
    """Write a file so that no reader sees half of it, even after a crash.

    The bytes go to a temporary file in the same folder, which is then renamed.

    Parameters
    ----------
    path : str or PathLike
        The file to write; its folder must exist. An existing file is replaced.
    data : bytes
        The content.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "map.bin"), b"vessels")
    ...     Path(folder, "map.bin").read_bytes()
    b'vessels'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
