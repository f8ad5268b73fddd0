"""Where a result comes from, and how it is written: shared by the programs of this folder."""

import datetime
import json
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

from retina_course.data.files import write_atomically

ROOT = Path(__file__).parents[1]


def provenance(device: torch.device) -> dict:
    """Where, when and from which code a result comes.

    Without git and a history the commit is that which RETINA_COURSE_COMMIT names, or "unknown".
    """
    git = ["git", "-C", str(ROOT)]
    # Results are no code: the rows that a run writes do not change what the next one computes.
    code = ["retina_course", "benchmarks", ":!retina_course/results", ":!retina_course/weights"]
    try:
        commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", *code])
    except (OSError, subprocess.CalledProcessError):  # a copy without its history, or no git
        commit, changed = os.environ.get("RETINA_COURSE_COMMIT", "unknown"), b""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return {
        "commit": commit + ("+changes" if changed else ""),
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def cpu_name() -> str:
    """The processor's name where the system tells it (Linux), else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def slug(device: str) -> str:
    """A device's name as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())
