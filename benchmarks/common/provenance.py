"""Where a result comes from: stored beside the numbers by every program."""

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from benchmarks.common import datasets, digests
from benchmarks.common.files import ROOT
from benchmarks.common.index import Program

TRIED = ("validation", "variants")


def provenance(
    device: torch.device,
    program: Program,
    *,
    inputs: Iterable[str] = (),
    since: float | None = None,
) -> dict:
    """Where, when, from which code and from which data a result comes.

    A long program asks before its run, since the code may change while it goes on. Without git and
    a history the commit is that which RETINA_COURSE_COMMIT names, or "unknown".

    Parameters
    ----------
    inputs : stored files that were read, besides those that the program's index entry names.
    since : where the time of the whole run is known, `time.perf_counter()` at its beginning.
    """
    found = {
        "commit": commit(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "code": digests.of_code(Path(program.path)),
    }
    if program.data:
        found["data"] = {name: datasets.digest(name) for name in program.data}
    if read := digests.of_files([*program.inputs, *inputs]):
        found["inputs"] = read
    if since is not None:
        found["seconds"] = round(time.perf_counter() - since, 1)
    return found


def sources(content: object) -> Iterator[dict]:
    """Every provenance of a stored result, but of what was tried beside it and is kept as it is."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "provenance":
                yield value
            elif key not in TRIED:
                yield from sources(value)
    elif isinstance(content, list):
        for value in content:
            yield from sources(value)


def commit() -> str:
    """The commit of this copy, with "+changes" where its code differs from it."""
    git = ["git", "-C", str(ROOT)]
    # Results are no code: the rows that a run writes do not change what the next one computes.
    paths = ["retina_course", "benchmarks", ":!retina_course/results", ":!retina_course/weights"]
    try:
        name = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", *paths])
    except (OSError, subprocess.CalledProcessError):  # a copy without its history, or no git
        name, changed = os.environ.get("RETINA_COURSE_COMMIT", "unknown"), b""
    return name + ("+changes" if changed else "")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def cpu_name() -> str:
    """The processor's name where the system tells it (Linux), else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
