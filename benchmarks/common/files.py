"""Where results lie, and how they are written."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from retina_course.data.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "retina_course" / "results"
WEIGHTS = ROOT / "retina_course" / "weights"
RUNS = ROOT / "runs"  # unfinished work, not in git


def write_json(path: Path, content: dict) -> None:
    """Write a whole file or nothing; the folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def once(path: Path, code: dict[str, str], run: Callable[[], dict]) -> dict:
    """What `run()` returns, from the file `path` where the same code has stored it before.

    So a program that was killed goes on with the first run that is not finished, and a run that
    other code has made is made again.

    Parameters
    ----------
    code : the digests of `provenance(...)["code"]`.
    """
    if not path.exists() or read_json(path)["code"] != code:
        write_json(path, {"code": code, "run": run()})
    return read_json(path)["run"]


def slug(device: str) -> str:
    """A device's name as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
