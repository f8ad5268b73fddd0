"""The benchmark: every network, three seeds, two recipes, several scales, on CHASE_DB1.

    python benchmarks/leaderboard.py list
    python benchmarks/leaderboard.py run --output runs/ [--minutes 60] [--only unet_small ...]

`run` works through the pieces in their order, one after the other, and writes for each one file
into retina_course/results/leaderboard/, which the book reads. It can be killed at any time: given
again, it goes on in the middle of the piece, and a finished piece is never done again. With
--minutes no piece begins after that time. Two processes may work in one output with different
--only. The name of a row holds the device: another machine adds rows and replaces none. Maps of
the test photographs (PNG, 65535 = 1) and the weights stay in the output. The data folder is
RETINA_COURSE_DATA.

The protocol is that of chase_db1.py: the first 8 images train, the last 20 test, inside the field
of view, threshold from the training images, weights after the last step.
"""

import argparse
import io
import json
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from chase_db1 import recipe_row, smooth
from documented_linknet import FOV_DIAMETER, SIDE, train_as_documented
from PIL import Image
from provenance import ROOT, provenance, slug, write_json

from retina_course import shapes, weights
from retina_course.data.datasets import ChaseDB1
from retina_course.data.files import write_atomically
from retina_course.evaluation import error_analysis, metrics
from retina_course.inference import segment_all
from retina_course.training import default_device, default_precision
from retina_course.training.recipe import Recipe, learning_rate, train_vessels

ROWS = ROOT / "retina_course" / "results" / "leaderboard"
SEEDS = (0, 1, 2)
# Steps, crop and scale of the course's recipe where a GPU is there, then on a CPU. SegNet and
# RetinaUNet need more than a second a step on a CPU: fewer steps of smaller crops, and the rows
# say so.
ON_GPU = {"steps": 6000, "crop": 256, "fov_diameter": 640}
OWN_SCALE = {"linknet": {"fov_diameter": 960}}  # its stem divides by 4
ON_CPU = {
    "unet_small": {"steps": 8000},
    "unet_large": {"steps": 6000},
    "retina_segmentor": {"steps": 2000},
    "linknet": {"steps": 3000} | OWN_SCALE["linknet"],
    "segnet": {"steps": 1000, "crop": 128},
    "retina_unet": {"steps": 400, "crop": 128},
}
# What more steps give, on a CPU. RetinaSegmentor's are as many as UNetLarge's: a pair with equal
# budgets, an hour each.
LONGER = {"unet_small": {"steps": 16000}, "retina_segmentor": {"steps": 6000}}
OPTIONS = {"unet_large": {"fold": 4}}
SCALES = (512, 640, 960)  # besides each network's own


@dataclass(frozen=True)
class Piece:
    """One training and its scores."""

    model: str
    seed: int
    training: str  # "course" or "documented"
    recipe: dict = field(hash=False)

    @property
    def name(self) -> str:
        r = self.recipe
        return (
            f"{self.model}_{self.training}_{r['fov_diameter']}px_{r['crop']}crop_"
            f"{r['steps']}steps_seed{self.seed}"
        )


def pieces(device: torch.device) -> list[Piece]:
    """All pieces in order: own scales, the documented recipe, more steps, then other scales."""
    own = {
        name: ON_GPU | (of_cpu if device.type == "cpu" else OWN_SCALE.get(name, {}))
        for name, of_cpu in ON_CPU.items()
    }
    found = [Piece(name, seed, "course", recipe) for seed in SEEDS for name, recipe in own.items()]
    documented = {"steps": 200, "crop": SIDE, "fov_diameter": FOV_DIAMETER}
    found += [Piece("linknet", seed, "documented", documented) for seed in SEEDS]
    if device.type == "cpu":
        found += [
            Piece(name, seed, "course", own[name] | longer)
            for seed in SEEDS
            for name, longer in LONGER.items()
        ]
    found += [
        Piece(name, seed, "course", recipe | {"fov_diameter": scale})
        for scale in SCALES
        for seed in SEEDS
        for name, recipe in own.items()
        if scale != recipe["fov_diameter"]
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["list", "run"])
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="budget")
    parser.add_argument("--only", nargs="+", default=[""], help="pieces whose name begins so")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, also on a GPU
    device, began, failed = default_device(), time.monotonic(), []
    wanted = [p for p in pieces(device) if p.name.startswith(tuple(options.only))]
    if not wanted:
        parser.error(f"no piece begins with {' or '.join(options.only)}; `list` names them all")
    machine = slug(provenance(device)["device"])
    for piece in wanted:
        row = ROWS / f"{piece.name}_{machine}.json"
        if row.exists() or options.action == "list":
            print(f"{'finished' if row.exists() else 'open    '}  {row.stem}")
        elif time.monotonic() - began > 60 * options.minutes:
            print(f"left      {row.stem}: the {options.minutes:g} minutes are over")
        else:
            folder = options.output / row.stem
            folder.mkdir(parents=True, exist_ok=True)
            try:
                train(piece, folder, device)
                write_json(row, score(piece, folder, device))
            except Exception:  # the other pieces do not depend on this one
                traceback.print_exc()
                failed.append(row.stem)
            else:
                print(f"written   {row.stem}", flush=True)
    if failed:
        raise SystemExit(f"Failed, see above: {', '.join(failed)}")


def train(piece: Piece, folder: Path, device: torch.device) -> None:
    """Train one piece, unless its weights are there; what it cost stands beside them."""
    if (folder / "training.json").exists():
        return
    begun = folder / "begun.json"  # the code may change while a long run goes on, or is resumed
    if not begun.exists():
        write_json(begun, provenance(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    photographs = list(ChaseDB1(split="train"))
    options = OPTIONS.get(piece.model, {})
    precision = torch.bfloat16 if device.type == "cpu" else default_precision(device)
    if piece.training == "documented":
        model, history, recipe = train_as_documented(photographs, piece.seed, folder, device)
    else:
        chosen = Recipe(lr=learning_rate(piece.model), **piece.recipe)
        model, history = train_vessels(
            piece.model,
            photographs,
            chosen,
            options=options,
            seed=piece.seed,
            checkpoint=folder / "checkpoint.pt",
            device=device,
            precision=precision,
            every=100 if device.type == "cpu" else 1000,  # steps between two checkpoints
        )
        recipe = recipe_row(chosen, precision)
    card = {
        "model": piece.model,
        "options": {"num_classes": 1, **options},
        "fov_diameter": piece.recipe["fov_diameter"],
    }
    weights.save(folder / "weights.safetensors", model, card)
    cost = {"seconds": history.seconds, "loss": smooth(history.loss)}
    if device.type == "cuda":
        cost["gigabytes"] = torch.cuda.max_memory_allocated(device) / 1e9
    source = json.loads(begun.read_text())
    write_json(folder / "training.json", cost | {"recipe": recipe, "provenance": source})
    (folder / "checkpoint.pt").unlink(missing_ok=True)  # hundreds of megabytes


def score(piece: Piece, folder: Path, device: torch.device) -> dict:
    """The row of one trained piece: scores with and without flips, and where they come from."""
    model, card = weights.load(folder / "weights.safetensors")
    training, test = list(ChaseDB1(split="train")), list(ChaseDB1(split="test"))
    height = width = piece.recipe["crop"]
    row = {
        "model": piece.model,
        "options": card["options"],
        "training": piece.training,
        "seed": piece.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_size": [1, 3, height, width],
        "macs": shapes.macs(model, (1, 3, height, width)),
        "dataset": {"name": "CHASE_DB1", "digest": ChaseDB1(split="all").digest()},
        **json.loads((folder / "training.json").read_text()),  # and its provenance
        "scored": provenance(device),
    }
    model.to(device)
    for name, flips in (("no_flips", False), ("flips", True)):
        p, t, fov = segment_all(model, training, card, flips=flips)
        threshold = metrics.best_threshold(*metrics.pool(p, t, fov))
        began = time.perf_counter()
        p, t, fov = segment_all(model, test, card, flips=flips)
        seconds = (time.perf_counter() - began) / len(test)
        row[name] = metrics.evaluate(p, t, fov, threshold)
        row[name]["seconds_per_image"] = seconds
        for image, photograph in zip(row[name]["per_image"], test, strict=True):
            image["name"] = photograph.name
        pooled = metrics.pool(p, t, fov)
        row[name]["f1_at_half"] = metrics.binary_scores(pooled[0] >= 0.5, pooled[1])["f1"]
    found = [(one >= threshold) & within for one, within in zip(p, fov, strict=True)]
    row["calibration"] = error_analysis.calibration(*pooled)
    inside = [drawn & within for drawn, within in zip(t, fov, strict=True)]
    row["sensitivity_by_place"] = error_analysis.sensitivity_by_place(found, inside)
    row["false_positives"] = error_analysis.false_positives_by_place(found, inside, fov)
    for photograph, probability in zip(test, p, strict=True):
        grey, buffer = np.round(probability * 65535).astype(np.uint16), io.BytesIO()
        Image.fromarray(grey).save(buffer, "PNG")
        write_atomically(folder / f"{photograph.name}.png", buffer.getvalue())
    weights.save(folder / "weights.safetensors", model, card | {"threshold": threshold})
    return row


if __name__ == "__main__":
    main()
