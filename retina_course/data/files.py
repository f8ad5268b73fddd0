"""Files that appear whole or not at all."""

import os
from os import PathLike
from pathlib import Path


def write_atomically(path: str | PathLike, data: bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
