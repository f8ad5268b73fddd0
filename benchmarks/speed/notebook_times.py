"""Run every notebook from the top, time it, and write the page book/notebook_times.md.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.notebook_times [notebooks/06_*.ipynb]

The notebooks are left as they are. Writes retina_course/results/notebook_times/<device>.json, one
file a device (a GPU where there is one), notebook by notebook; the page is made of all of them.
"""

import time
from pathlib import Path

import nbformat

from benchmarks.common.files import RESULTS, ROOT, read_json, slug, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import device_name, provenance
from retina_course.data.files import write_atomically
from retina_course.training import default_device
from tools.execution import execute

PROGRAM = Program(
    __file__,
    question="How long does each notebook run?",
    results=("notebook_times/*.json",),
    also=("book/notebook_times.md",),
    commands=("python -m benchmarks.speed.notebook_times",),
)
TIMES = RESULTS / "notebook_times"
PAGE = ROOT / "book" / "notebook_times.md"
TEXT = """# How long each notebook runs

Seconds for all cells of a notebook in a fresh kernel, its start included. Measured by
`benchmarks/speed/notebook_times.py`, which writes this page. Other work on a machine makes them
longer; yours will differ.

{table}

{devices}
"""
NO_GPU = (
    "No GPU has been measured yet: no row of one is here. The program adds a column for each "
    "device that it runs on."
)


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    options = parser.parse_args()
    device = device_name(default_device())
    file = TIMES / f"{slug(device)}.json"
    times = read_json(file)["notebooks"] if file.exists() else {}
    for path in options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        source = provenance(default_device(), PROGRAM, inputs=[f"notebooks/{path.name}"])
        notebook = nbformat.read(path, as_version=4)
        began = time.perf_counter()
        execute(notebook, path.resolve().parent)
        seconds = time.perf_counter() - began
        times[path.stem] = {"seconds": seconds, "provenance": source}
        content = {
            "device": device,
            "gpu": default_device().type == "cuda",
            "notebooks": dict(sorted(times.items())),
        }
        write_json(file, content)
        print(f"{path.stem}: {seconds:.0f} s", flush=True)
    write_atomically(PAGE, page().encode())


def page() -> str:
    """The page, from the stored times of all devices."""
    stored = [read_json(file) for file in sorted(TIMES.glob("*.json"))]
    names = sorted({name for one in stored for name in one["notebooks"]})
    lines = [
        "| Notebook | " + " | ".join(f"{kind(one)}, s" for one in stored) + " |",
        "|---|" + "---:|" * len(stored),
    ]
    for name in names:
        found = [one["notebooks"].get(name) for one in stored]
        cells = (f"{one['seconds']:.0f}" if one else "" for one in found)
        lines.append(f"| [](../notebooks/{name}.ipynb) | " + " | ".join(cells) + " |")
    totals = (
        f"{sum(t['seconds'] for t in one['notebooks'].values()):.0f}"
        if len(one["notebooks"]) == len(names)  # a part would be read as a fast device
        else ""
        for one in stored
    )
    lines.append("| all | " + " | ".join(totals) + " |")
    devices = [f"- {kind(one)}: {versions(one)}" for one in stored]
    if not any(one["gpu"] for one in stored):
        devices.append(f"- {NO_GPU}")
    return TEXT.format(table="\n".join(lines), devices="\n".join(devices))


def kind(device: dict) -> str:
    return f"{'GPU' if device['gpu'] else 'CPU'} {device['device']}"


def versions(device: dict) -> str:
    """Versions, threads and commits of one device's times, each said once."""
    sources = [one["provenance"] for one in device["notebooks"].values()]
    said = {
        f"PyTorch {s['torch']}, Python {s['python']}, {s['threads']} thread(s), "
        f"commit {s['commit'][:10]}{s['commit'][40:]}, {s['date']}": None
        for s in sources
    }
    return "; ".join(said)


if __name__ == "__main__":
    main()
