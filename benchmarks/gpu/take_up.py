"""Take up what a GPU run brought back: rows for the book, weights for later.

The comparison's rows go to retina_course/results/equal_budget/, all else that the book reads to
retina_course/results/gpu/<device>.json, the weights to runs/gpu_weights/. Those of the comparison's
small networks are kept in benchmarks/weights/equal_budget/, so that anyone can score a row again.
The boundary and the topology of the comparison's maps are scored here, from the masks that came
back, and so is their calibration, from the counted pixels: the temperature is that of the two
folds' held-out children.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load

from benchmarks.common.calibrated import calibrated, temperature_of
from benchmarks.common.equal_budget import build
from benchmarks.common.files import RESULTS, RUNS, slug, write_json
from benchmarks.common.kept_weights import KEPT, keep
from benchmarks.common.protocol import recipe_row
from benchmarks.common.scales import camera_card
from benchmarks.common.shape_scores import shape_scores, tolerance_of_observers
from retina_course import weights
from retina_course.data.datasets import ChaseDB1
from retina_course.data.files import write_atomically
from retina_course.evaluation import metrics
from retina_course.evaluation.topology import betti_numbers
from retina_course.models import create_model
from retina_course.shapes import macs
from retina_course.training.any_camera import CameraRecipe
from retina_course.training.recipe import Recipe

EQUAL = RESULTS / "equal_budget"
Files = dict[str, bytes]


def take_up(folders: Sequence[Path]) -> None:
    """Write the results of these folders' archives; a later one adds to an earlier one."""
    files: Files = {}
    rows: dict[str, dict[str, Any]] = {}
    report: dict[str, Any] = {}
    for folder in folders:
        found = read_archives(folder)
        files |= found
        report |= json.loads(found["report.json"])
        for name, text in found.items():
            row = json.loads(text) if name.endswith(".json") else []
            if "kind" in row:  # what a second call found finished keeps the first call's provenance
                rows.setdefault(name, {"provenance": report["provenance"]} | row)
    source = report["provenance"]
    device = slug(source["device"])
    tolerance = tolerance_of_observers()
    for row in rows.values():
        if row["kind"] == "equal":
            temperature = temperature_of(held_out_pixels(rows, row["network"]))
            take_up_row(row, files, device, tolerance, temperature)
        if row["kind"] == "camera":
            take_up_camera(row, files)
    write_json(RESULTS / "equal_budget_observer.json", observer_row(tolerance))
    report["device"] = source["device"]
    f1 = next(row["f1"] for row in rows.values() if row["kind"] == "race")
    race = {"device": source["device"], "runs": [race_row(report, f1)]}
    write_json(RESULTS / "time_to_f1" / f"{device}.json", race)
    for kind in ("search", "fold"):
        report[kind] = [brief(row) for row in rows.values() if row["kind"] == kind]
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


def held_out_pixels(rows: dict[str, dict[str, Any]], network: str) -> NDArray[np.int64]:
    """The counted pixels of the children that a network's two folds have not seen."""
    own = [row for row in rows.values() if row["kind"] == "fold" and row["network"] == network]
    return np.sum([row["histogram"] for row in own], axis=0)


def take_up_row(
    row: dict[str, Any],
    files: Files,
    device: str,
    tolerance: float,
    temperature: float | None,
) -> None:
    """Write one row of the comparison, with the scores of its masks' shapes, and keep its weights.

    Its calibration, too, where the temperature of held-out children is known. Large weights are not
    kept.
    """
    histogram = row.pop("histogram")
    if temperature is not None:
        row["calibration"] = calibrated(temperature, histogram)
    row |= {"shapes": [], "tolerance": tolerance}
    scored = {image["name"] for image in row["flips"]["per_image"]}
    for photograph in (photo for photo in ChaseDB1(split="test") if photo.name in scored):
        mask = np.asarray(Image.open(io.BytesIO(files[f"{row['name']}_{photograph.name}.png"])))
        scores = shape_scores(mask, photograph.ground_truth, photograph.fov, tolerance)
        row["shapes"].append({"name": photograph.name} | scores)
    name = f"{row['network']}_seed{row['seed']}_{device}"
    found = files.get(f"{row['name']}.safetensors")
    if found is not None:
        keep(found, KEPT / "equal_budget" / f"{name}.safetensors")
    write_json(EQUAL / f"{name}.json", row)


def take_up_camera(row: dict[str, Any], files: Files) -> None:
    """Write a network for any camera as `benchmarks.scores.any_camera` does."""
    name = row["name"].removeprefix("camera_").replace("_alone", "")
    source = name.removeprefix(f"{row['network']}_").rsplit("_seed", 1)[0]
    keys = ("seed", "recipe", "loss", "provenance")
    stored = {"model": row["network"], "source": source} | {key: row[key] for key in keys}
    stored |= {"shares": list(row["sources"].values()), "seconds": row["training_seconds"]}
    stored |= {"held_out": {key: row[key] for key in ("chase", "hrf") if key in row}}
    stored["precision"] = "bfloat16"
    write_json(RESULTS / "any_camera" / f"{name}.json", stored)
    if f"{row['name']}.safetensors" in files:
        model = build(row["network"])
        model.load_state_dict(load(files[f"{row['name']}.safetensors"]))
        folder = RUNS / "any_camera" / name
        folder.mkdir(parents=True, exist_ok=True)
        weights.save(
            folder / "weights.safetensors", model, camera_card(row["network"], CameraRecipe())
        )


def observer_row(tolerance: float) -> dict[str, Any]:
    """The same scores of the second observer, and the pieces in the ground truth."""
    shapes, pieces = [], []
    for photograph in ChaseDB1(split="test"):
        truth, fov = photograph.ground_truth, photograph.fov
        assert photograph.second_observer is not None
        scores = shape_scores(photograph.second_observer, truth, fov, tolerance)
        f1 = metrics.binary_scores(photograph.second_observer[fov], truth[fov])["f1"]
        shapes.append({"name": photograph.name, "f1": f1} | scores)
        pieces.append(betti_numbers(truth & fov).components)
    return {"shapes": shapes, "ground_truth_components": pieces, "tolerance": tolerance}


def race_row(report: dict[str, Any], f1: list[float]) -> dict[str, Any]:
    """The seconds to an F1 as `benchmarks.speed.time_to_f1` stores them."""
    race, recipe = report["race"], Recipe(steps=report["race"]["steps"])
    points = [point | {"f1": value} for point, value in zip(race["points"], f1, strict=True)]
    size = (recipe.batch_size, 3, recipe.crop, recipe.crop)
    per_step = 3 * macs(create_model("unet_small"), size)
    rate = report["matrix TFLOP/s"] * 1e12 / 2
    return {
        "model": "unet_small",
        "seed": 0,
        "recipe": recipe_row(recipe, torch.bfloat16),
        "captured": race["captured"],
        "points": points,
        "macs_per_step": per_step,
        "macs_per_second": rate,
        "limit_seconds": per_step * recipe.steps / rate,
        "provenance": report["provenance"],
    }
