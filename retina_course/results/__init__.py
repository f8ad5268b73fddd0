"""What `benchmarks/` measured: JSON with provenance, and pictures, read by the chapters."""

import json
from importlib.resources import files


def read(name: str) -> dict:
    """The stored result `name` (without `.json`).

    Raises
    ------
    ValueError : no such result; the message lists those that exist.
    """
    folder = files(__package__)
    names = sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json"))
    if name not in names:
        raise ValueError(f"No stored result {name!r}. Available: {', '.join(names)}.")
    return json.loads((folder / f"{name}.json").read_text())
