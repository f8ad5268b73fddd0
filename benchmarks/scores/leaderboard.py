"""The benchmark: every network, three seeds, two recipes, several scales, on CHASE_DB1.

    python -m benchmarks.scores.leaderboard list
    python -m benchmarks.scores.leaderboard run --output runs/ [--minutes 60] [--only NAME ...]

`run` works through the pieces in their order, one after the other, and writes for each one file
into retina_course/results/leaderboard/, which the book reads. It can be killed at any time: given
again, it goes on in the middle of the piece, and a finished piece is never done again, unless its
file is deleted. With --minutes no piece begins after that time. Two processes may work in one
output with different --only. The name of a row holds the device: another machine adds rows and
replaces none. Maps of the test photographs (PNG, 65535 = 1) and the weights stay in the output.
The data folder is RETINA_COURSE_DATA.

The protocol is that of benchmarks/common/protocol.py.
"""

import io
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common import datasets
from benchmarks.common.attempts import Attempts
from benchmarks.common.documented_linknet import train_as_documented
from benchmarks.common.files import RESULTS, read_json, slug, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import OPTIONS, training_precision
from benchmarks.common.pieces import Piece, pieces
from benchmarks.common.protocol import recipe_row, score
from benchmarks.common.provenance import device_name, provenance
from benchmarks.common.rows import smooth
from retina_course import shapes, weights
from retina_course.data.datasets import ChaseDB1
from retina_course.data.files import write_atomically
from retina_course.evaluation import calibration, error_analysis, metrics
from retina_course.training import (
    Recipe,
    default_device,
    learning_rate,
    train_vessels,
)

PROGRAM = Program(
    __file__,
    question="How do all networks compare by one protocol, over seeds, scales and recipes?",
    results=("leaderboard/*.json",),
    commands=("python -m benchmarks.scores.leaderboard run --output runs/",),
    data=("CHASE_DB1",),
)
ROWS = RESULTS / "leaderboard"


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("action", choices=["list", "run"])
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="budget")
    parser.add_argument("--only", nargs="+", default=[""], help="pieces whose name begins so")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, also on a GPU
    device, began, attempts = default_device(), time.monotonic(), Attempts()
    wanted = [p for p in pieces(device) if p.name.startswith(tuple(options.only))]
    if not wanted:
        parser.error(f"no piece begins with {' or '.join(options.only)}; `list` names them all")
    machine = slug(device_name(device))
    for piece in wanted:
        row = ROWS / f"{piece.name}_{machine}.json"
        if row.exists() or options.action == "list":
            print(f"{'finished' if row.exists() else 'open    '}  {row.stem}")
        elif time.monotonic() - began > 60 * options.minutes:
            print(f"left      {row.stem}: the {options.minutes:g} minutes are over")
        else:
            folder = options.output / row.stem
            folder.mkdir(parents=True, exist_ok=True)
            with attempts.piece(row.stem):
                train(piece, folder, device)
                write_json(row, finished_row(piece, folder, device))
                print(f"written   {row.stem}", flush=True)
    attempts.finish()


def train(piece: Piece, folder: Path, device: torch.device) -> None:
    """Train one piece, unless its weights are there; what it cost stands beside them."""
    if (folder / "training.json").exists():
        return
    begun = folder / "begun.json"  # the code may change while a long run goes on, or is resumed
    if not begun.exists():
        write_json(begun, provenance(device, PROGRAM))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    photographs = list(ChaseDB1(split="train"))
    options = OPTIONS.get(piece.model, {})
    precision = training_precision(device)
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
    source = read_json(begun)
    write_json(folder / "training.json", cost | {"recipe": recipe, "provenance": source})
    (folder / "checkpoint.pt").unlink(missing_ok=True)  # hundreds of megabytes


def finished_row(piece: Piece, folder: Path, device: torch.device) -> dict:
    """The row of one trained piece: scores with and without flips, and where they come from."""
    model, card = weights.load(folder / "weights.safetensors")
    training, test = list(ChaseDB1(split="train")), list(ChaseDB1(split="test"))
    size = [1, 3, piece.recipe["crop"], piece.recipe["crop"]]
    row = {
        "model": piece.model,
        "options": card["options"],
        "training": piece.training,
        "seed": piece.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_size": size,
        "macs": shapes.macs(model, tuple(size)),
        "dataset": {"name": "CHASE_DB1", "digest": datasets.digest("CHASE_DB1")},
        **read_json(folder / "training.json"),  # and its provenance
        "scored": provenance(device, PROGRAM),
    }
    model.to(device)
    row["no_flips"], _ = score(model, card, training, test, flips=False)
    row["flips"], maps = score(model, card, training, test, flips=True)
    row |= by_place(maps, row["flips"]["threshold"])
    for photograph, probability in zip(test, maps[0], strict=True):
        grey, buffer = np.round(probability * 65535).astype(np.uint16), io.BytesIO()
        Image.fromarray(grey).save(buffer, "PNG")
        write_atomically(folder / f"{photograph.name}.png", buffer.getvalue())
    card["threshold"] = row["flips"]["threshold"]
    weights.save(folder / "weights.safetensors", model, card)
    return row


def by_place(maps: tuple, threshold: float) -> dict:
    """Where the test maps are right and wrong, and whether their probabilities are honest."""
    probabilities, ground_truth, fovs = maps
    found = [(p >= threshold) & fov for p, fov in zip(probabilities, fovs, strict=True)]
    inside = [vessels & fov for vessels, fov in zip(ground_truth, fovs, strict=True)]
    return {
        "calibration": calibration.reliability(*metrics.pool(*maps)),
        "sensitivity_by_place": error_analysis.sensitivity_by_place(found, inside),
        "false_positives": error_analysis.false_positives_by_place(found, inside, fovs),
    }


if __name__ == "__main__":
    main()
