"""Take up what a GPU run brought back: rows for the book, weights for later.

    python -m benchmarks.gpu.take_up FOLDER [FOLDER ...]

Each folder holds the archives of one `benchmarks.gpu.run`; a later one adds to an earlier one. The
comparison's rows go to retina_course/results/equal_budget/, all else that the book reads to
retina_course/results/gpu/<device>.json, the weights to runs/gpu_weights/. The boundary and the
topology of the comparison's maps are scored here, from the masks that came back.
"""

import argparse
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common.files import RESULTS, RUNS, slug, write_json
from benchmarks.common.shape_scores import TOLERANCE, shape_scores
from retina_course.data.datasets import ChaseDB1
from retina_course.data.files import write_atomically

Files = dict[str, bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--commit", help="what the machine ran, where the rows do not say it")
    options = parser.parse_args()
    files: Files = {}
    for folder in options.folders:
        files |= read_archives(folder)
    rows = [json.loads(text) for name, text in files.items() if name.endswith(".json")]
    rows = [row for row in rows if isinstance(row, dict) and "kind" in row]
    report = json.loads(files["report.json"])
    source = report.get("provenance") or {"device": report["device"], "torch": report["torch"]}
    device = slug(source["device"])
    for row in rows:
        row.setdefault("provenance", source | {"commit": options.commit})
        if row["kind"] == "equal":
            take_up_row(row, files, device)
    report["provenance"] = source | {"commit": source.get("commit", options.commit)}
    report |= {
        kind: [brief(row) for row in rows if row["kind"] == kind] for kind in ("search", "fold")
    }
    report["race"]["f1"] = next(row["f1"] for row in rows if row["kind"] == "race")
    write_json(RESULTS / "gpu" / f"{device}.json", report)
    for name, content in files.items():
        if name.endswith(".safetensors"):
            (RUNS / "gpu_weights").mkdir(parents=True, exist_ok=True)
            write_atomically(RUNS / "gpu_weights" / name, content)


def read_archives(folder: Path) -> Files:
    """All files in the archives of a folder, by name."""
    found: Files = {}
    for path in sorted(folder.glob("gpu_*.tar*")):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    found[member.name] = content.read()
    return found


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """A trial's row without what only the next job needed."""
    keys = ("name", "network", "lr", "steps", "fold", "training_seconds", "gigabytes")
    scores = {key: value for key, value in row["held_out"].items() if key != "histogram"}
    return {key: row[key] for key in keys if key in row} | {"held_out": scores}


def take_up_row(row: dict[str, Any], files: Files, device: str) -> None:
    """Write one row of the comparison, with the scores of its masks' shapes."""
    shapes = []
    for photograph in ChaseDB1(split="test"):
        mask = np.asarray(Image.open(io.BytesIO(files[f"{row['name']}_{photograph.name}.png"])))
        truth, fov = photograph.ground_truth, photograph.fov
        shapes.append({"name": photograph.name} | shape_scores(mask, truth, fov, TOLERANCE))
    row["shapes"] = shapes
    row["tolerance"] = TOLERANCE
    write_json(RESULTS / "equal_budget" / f"{row['network']}_seed{row['seed']}_{device}.json", row)


if __name__ == "__main__":
    main()
