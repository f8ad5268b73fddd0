"""The pieces of a GPU run: each trains one network and returns what is known of it."""

import io
import json
import os
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.common.equal_budget import build, diameter, train
from benchmarks.common.folds import FOLDS
from benchmarks.common.kept_weights import in_half_precision
from benchmarks.common.networks import training_precision
from benchmarks.common.rows import smooth
from benchmarks.common.scales import SCALES, best_threshold, by_probability, ranking_at
from benchmarks.gpu import data
from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference.segmentation import segment_all
from retina_course.training.any_camera import (
    CameraRecipe,
    synthetic_eyes,
    train_any_camera,
)
from retina_course.training.devices import default_device
from retina_course.training.recipe import Recipe


def run(job: dict[str, Any], folder: Path) -> None:
    """Do one job, and write its JSON file last: what has one is finished."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    began = time.perf_counter()
    kinds = {"search": search, "fold": fold, "equal": equal, "camera": camera, "race": race}
    row = kinds[job["kind"]](job, folder)
    row = job | row | {"seconds": time.perf_counter() - began}
    row["provenance"] = json.loads((folder / "provenance.json").read_text())
    (folder / f"{job['name']}.json").write_text(json.dumps(row))


def paint(shard: int, folder: Path, count: int, shards: int, scale: float) -> None:
    """A part of the synthetic eyes; the last part that is done puts all together."""
    torch.set_num_threads(1)
    part = count // shards
    eyes = synthetic_eyes(part, scale, seed=1000 + shard)
    content = {"images": (255 * eyes.images).round().byte(), "targets": eyes.targets.bool()}
    write(folder / f"eyes_{shard}.pt", content | {"scale": scale})
    paths = [folder / f"eyes_{i}.pt" for i in range(shards)]
    if all(path.exists() for path in paths) and not (folder / "synthetic.pt").exists():
        parts = [torch.load(path, weights_only=True) for path in paths]
        together = {key: torch.cat([part[key] for part in parts]) for key in ("images", "targets")}
        write(folder / "synthetic.pt", together | {"scale": scale})


def write(path: Path, content: dict[str, Any]) -> None:
    """A file that is there is whole."""
    temporary = path.with_suffix(f".{os.getpid()}")
    torch.save(content, temporary)
    temporary.replace(path)


def search(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One learning rate, tried on two of the four training children."""
    model, cost = train_equal(job, data.chase("train", "not a", job["photographs"]), folder)
    maps = held_out_maps(model, job, data.chase("train", "a", job["photographs"]))
    return cost | {"held_out": ranking(*maps)}


def fold(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe without two children, and its probabilities for them: for the threshold."""
    model, cost = train_equal(
        job, data.chase("train", f"not {job['fold']}", job["photographs"]), folder
    )
    maps = held_out_maps(model, job, data.chase("train", job["fold"], job["photographs"]))
    return cost | {
        "held_out": ranking(*maps),
        "histogram": by_probability(*metrics.pool(*maps)).tolist(),
    }


def equal(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The recipe with all training children, and the test half by the threshold of the folds."""
    model, cost = train_equal(job, data.chase("train", limit=job["photographs"]), folder)
    save_weights(model, folder / f"{job['name']}.safetensors")
    test = data.chase("test", limit=job["photographs"])
    plain = segment_all(model, test, {"fov_diameter": diameter(job["network"])}, flips=False)
    maps = held_out_maps(model, job, test)
    cut = job["threshold"] if "threshold" in job else folds_threshold(job, folder)
    pooled = counts(*maps)
    row = {"pooled": pooled.scores(cut), "f1_at_half": pooled.scores(0.5)["f1"], "per_image": []}
    for photograph, *one in zip(test, *maps, strict=True):
        scores = metrics.scores(*metrics.pool(*([part] for part in one)), cut)
        row["per_image"].append({"name": photograph.name} | scores)
    for photograph, probability in zip(test, maps[0], strict=True):
        found = Image.fromarray((probability >= cut) & photograph.fov)
        buffer = io.BytesIO()
        found.save(buffer, "PNG", optimize=True)
        (folder / f"{job['name']}_{photograph.name}.png").write_bytes(buffer.getvalue())
    found = {"flips": row, "no_flips": counts(*plain).scores(cut), "threshold": cut}
    return cost | found | {"histogram": by_probability(*metrics.pool(*maps)).tolist()}


def race(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The F1 of the test half at each point of `smoke.race`, threshold from the training half."""
    states = torch.load(folder / "race.pt", weights_only=True)
    model, found = build("unet_small").to(default_device()), []
    for state in states:
        model.load_state_dict(state)
        sets = [data.chase(split, limit=job["photographs"]) for split in ("train", "test")]
        card = {"fov_diameter": 640}
        training, test = (segment_all(model.eval(), one, card, flips=False) for one in sets)
        cut = counts(*training).best_threshold()
        found.append(counts(*test).scores(cut)["f1"])
    return {"f1": found}


def camera(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A network for any camera; photographs that it was not trained on, at several scales."""
    sources, shares = [], []
    for name, share in job["sources"].items():
        if name.startswith("synthetic"):
            wait_for(folder / "synthetic.pt", folder)
            sources.append(data.synthetic(folder / "synthetic.pt"))
        else:
            sources.append(data.scaled(name, job.get("without"), job["photographs"]))
        shares.append(share)
    recipe, device = CameraRecipe(**job["recipe"]), default_device()
    model, history = train_any_camera(
        job["network"],
        sources,
        recipe,
        shares=shares,
        seed=job["seed"],
        device=device,
        precision=training_precision(device),
        capture=captured(job, folder),
        progress=False,
        every=recipe.steps,
    )
    if job["keep"]:
        save_weights(model, folder / f"{job['name']}.safetensors")
    row = {"training_seconds": history.seconds, "loss": smooth(history.loss)}
    row["recipe"] = asdict(recipe)
    model.to(device)
    for name, photographs in seen_never(job).items():
        row[name] = ranking_at(model, photographs, job.get("scales", SCALES))
    return row


def seen_never(job: dict[str, Any]) -> dict[str, list[Photograph]]:
    """The training photographs of both sets that a job was not trained on."""
    held_out = job["without"].removeprefix("not ") if "without" in job else None
    sets = {"chase": partial(data.chase, "train"), "hrf": data.hrf}
    return {
        name: load(held_out if name in job["sources"] else None, job["photographs"])
        for name, load in sets.items()
        if held_out or name not in job["sources"]
    }


def train_equal(
    job: dict[str, Any], photographs: list[Photograph], folder: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """The course's recipe at the budget of the job, and what it cost."""
    device = default_device()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    budget = {key: job[key] for key in ("steps", "crop", "batch_size", "lr")}
    model, history = train(
        job["network"],
        photographs,
        Recipe(fov_diameter=diameter(job["network"]), **budget),
        seed=job["seed"],
        capture=captured(job, folder),
        progress=False,
        # A CPU needs long enough to be stopped; a GPU would wait for the file.
        checkpoint=folder / f"{job['name']}.pt" if device.type == "cpu" else None,
        every=100 if device.type == "cpu" else job["steps"],
    )
    cost = {"training_seconds": history.seconds, "loss": smooth(history.loss)}
    cost["precision"] = str(training_precision(device)).removeprefix("torch.")
    if device.type == "cuda":
        cost["gigabytes"] = torch.cuda.max_memory_allocated(device) / 1e9
    return model, cost


def captured(job: dict[str, Any], folder: Path) -> bool:
    """Whether the smoke test has seen this network right as a CUDA graph."""
    path = folder / "captured.json"
    return path.exists() and job["network"] in json.loads(path.read_text())


def held_out_maps(model: nn.Module, job: dict[str, Any], photographs: list[Photograph]) -> tuple:
    card = {"fov_diameter": diameter(job["network"])}
    return segment_all(model, photographs, card, flips=job["kind"] != "search")


def counts(probabilities: list, truths: list, fovs: list) -> PixelCounts:
    found = PixelCounts()
    for maps in zip(probabilities, truths, fovs, strict=True):
        found.add(*metrics.pool(*([one] for one in maps)))
    return found


def ranking(probabilities: list, truths: list, fovs: list) -> dict[str, float]:
    """AUC, average precision, and the F1 of the best threshold: to choose, never to report."""
    found = counts(probabilities, truths, fovs)
    best = found.best_threshold()
    return found.ranking() | {"best_threshold": best, "best_f1": found.scores(best)["f1"]}


def folds_threshold(job: dict[str, Any], folder: Path) -> float:
    """The threshold with the highest F1 of the held-out children; waits for their two folds."""
    paths = [folder / f"fold_{job['network']}_{part}.json" for part in FOLDS]
    for path in paths:
        wait_for(path, folder)
    pixels = sum(np.array(json.loads(path.read_text())["histogram"]) for path in paths)
    return best_threshold(pixels)


def wait_for(path: Path, folder: Path) -> None:
    """Until another job has written a file; its failure is ours."""
    while not path.exists():
        if list(folder.glob(f"{path.stem}.error.txt")) or list(folder.glob("paint_*.error.txt")):
            raise RuntimeError(f"{path.name} will not come: its job failed.")
        time.sleep(1)


def save_weights(model: nn.Module, path: Path) -> None:
    path.write_bytes(in_half_precision(model.state_dict()))
