r"""Train on CHASE_DB1 by the course's protocol, score, and write the package's results.

    python -m benchmarks.scores.chase_db1 train --seeds 0 --output runs/
    python -m benchmarks.scores.chase_db1 validate --steps 2000 --output runs/
    python -m benchmarks.scores.chase_db1 collect --output runs/ [--variants more_runs/ ...]
    python -m benchmarks.scores.chase_db1 collect --model linknet --output runs/ \
        --rows linknet_course_960px_256crop_3000steps

`train` can be killed at any time: started again, it continues. A finished seed is not run again.
`validate` looks at the training children only: it trains on two of the four, scores the other two,
and the other way round. `collect` writes retina_course/results/, a figure of errors, and, where
they are small, the weights of seed 0, whatever the seeds scored. With --rows it takes the rows and
weights of leaderboard.py whose names begin so, in place of runs of `train`. Variants are runs by
another recipe, tried later: they are stored beside the row, so that a reader sees what was tried,
and never take its place. The data folder is RETINA_COURSE_DATA.

The protocol is that of benchmarks/common/protocol.py.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.common.datasets import chase_facts
from benchmarks.common.figures import draw_errors
from benchmarks.common.files import RESULTS, WEIGHTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.protocol import PROTOCOL, binary_row, recipe_row, score
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.runs import read_rows, read_runs, read_validation, summary, variant
from retina_course import shapes, weights
from retina_course.data.augment import RandomCrops
from retina_course.data.datasets import ChaseDB1, Photograph, split_by_patient
from retina_course.inference.colours import measure_colours
from retina_course.inference.scale import trained_scale
from retina_course.training import (
    History,
    Recipe,
    default_device,
    default_precision,
    learning_rate,
    train_vessels,
)

PROGRAM = Program(
    __file__,
    question="How well does each network of the book find vessels on CHASE_DB1?",
    results=(
        "unet_small_chase_db1.json",
        "unet_large_chase_db1.json",
        "segnet_chase_db1.json",
        "retina_unet_chase_db1.json",
        "retina_segmentor_chase_db1.json",
        "linknet_chase_db1.json",
    ),
    also=(
        "retina_course/results/*_chase_db1_errors.jpg",
        "retina_course/weights/unet_small.*",
        "retina_course/weights/unet_large.*",
        "retina_course/weights/retina_segmentor.*",
    ),
    commands=(
        "python -m benchmarks.scores.chase_db1 train --seeds 0 1 2 --bfloat16 --output runs/",
        "python -m benchmarks.scores.chase_db1 validate --steps 2000 --bfloat16 --output runs/",
        "python -m benchmarks.scores.chase_db1 train --jitter 0.4 --seeds 0 1 2 --bfloat16 "
        "--output runs/jitter/",
        "python -m benchmarks.scores.chase_db1 validate --jitter 0.4 --steps 2000 --bfloat16 "
        "--output runs/jitter/",
        "python -m benchmarks.scores.chase_db1 collect --output runs/ --variants runs/jitter/",
        "python -m benchmarks.scores.chase_db1 train --model unet_large --options '{\"fold\": 4}' "
        "--steps 6000 --seeds 0 1 2 --bfloat16 --output runs/",
        "python -m benchmarks.scores.chase_db1 collect --model unet_large --output runs/",
        "python -m benchmarks.scores.chase_db1 train --model segnet --steps 1000 --crop 128 "
        "--bfloat16 --output runs/",
        "python -m benchmarks.scores.chase_db1 collect --model segnet --output runs/",
        "python -m benchmarks.scores.chase_db1 train --model retina_unet --steps 400 --crop 128 "
        "--bfloat16 --output runs/",
        "python -m benchmarks.scores.chase_db1 collect --model retina_unet --output runs/",
        "python -m benchmarks.scores.chase_db1 collect --model retina_segmentor --output runs/ "
        "--rows retina_segmentor_course_640px_256crop_6000steps",
        "python -m benchmarks.scores.chase_db1 collect --model linknet --output runs/ "
        "--rows linknet_course_960px_256crop_3000steps",
    ),
    data=("CHASE_DB1",),
)
SHIPPED = 5e6  # bytes: larger weights stay out of the package
STORED = ("seed", "seconds", "loss", "flips", "no_flips", "provenance")  # of each run


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("action", choices=["train", "validate", "collect"])
    parser.add_argument("--model", default="unet_small")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one after the other")
    parser.add_argument("--options", type=json.loads, default={}, help='e.g. {"fold": 4}')
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type)
    parser.add_argument("--bfloat16", action="store_true", help="autocast on a CPU, too")
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--rows", help="collect the rows of leaderboard.py that begin so")
    parser.add_argument("--variants", type=Path, nargs="*", default=[], help="runs tried later")
    options = parser.parse_args()
    if options.action == "collect":
        collect(options.model, options.output, options.rows, options.variants)
        return
    for seed in options.seeds:
        {"train": train, "validate": validate}[options.action](options, seed)


def train(options: argparse.Namespace, seed: int) -> None:
    """One seed: train, predict all 28 images, score; everything under `output`."""
    folder = options.output / f"{options.model}_seed{seed}"
    recipe = read_recipe(options)
    row = recipe_row(recipe, precision_of(options))
    if (folder / "run.json").exists():
        stored = read_json(folder / "run.json")["recipe"]
        if any(row[key] != stored[key] for key in stored):
            raise SystemExit(f"{folder} holds a run of another recipe: name another output.")
        print(f"{folder} is finished.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    training, test = list(ChaseDB1(split="train")), list(ChaseDB1(split="test"))
    source = provenance(default_device(), PROGRAM)  # now: the code may change while it goes on
    checkpoint = folder / "checkpoint.pt"
    model, history = trained(options, seed, recipe, training, checkpoint=checkpoint)
    card = {
        "model": options.model,
        "options": {"num_classes": 1, **options.options},
        "size": recipe.crop,
        "fov_diameter": recipe.fov_diameter,
    }
    rows = {
        name: score(model, card, training, test, flips=flips)[0]
        for name, flips in (("flips", True), ("no_flips", False))
    }
    run = {
        "seed": seed,
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        **rows,
        "recipe": row,
        "provenance": source,
    }
    card["threshold"] = rows["flips"]["threshold"]
    weights.save(folder / "weights.safetensors", model.cpu(), card)
    write_json(folder / "run.json", run)
    print(f"{folder}: {json.dumps(rows['flips']['pooled'])}")


def validate(options: argparse.Namespace, seed: int) -> None:
    """Score a recipe on training children that it was not trained on; no test image is read."""
    recipe = read_recipe(options)
    photographs = ChaseDB1(split="train")
    folds = []
    for held_out in (["01", "02"], ["03", "04"]):
        training, others = map(list, split_by_patient(photographs, held_out))
        model, _ = trained(options, seed, recipe, training)
        card = {"fov_diameter": recipe.fov_diameter}
        row, _ = score(model, card, training, others, flips=True)
        folds.append({"held_out": held_out, **row["pooled"]})
    result = {
        "recipe": recipe_row(recipe, precision_of(options)),
        "provenance": provenance(default_device(), PROGRAM),
        "seed": seed,
        "folds": folds,
        "mean": {key: float(np.mean([fold[key] for fold in folds])) for key in ("auc", "f1")},
    }
    write_json(options.output / f"{options.model}_validation.json", result)
    print(json.dumps(result["mean"]))


def trained(
    options: argparse.Namespace,
    seed: int,
    recipe: Recipe,
    photographs: Sequence[Photograph],
    checkpoint: Path | None = None,
) -> tuple[nn.Module, History]:
    """The network that the command line names, trained, on the device."""
    model, history = train_vessels(
        options.model,
        photographs,
        recipe,
        options=options.options,
        seed=seed,
        checkpoint=checkpoint,
        precision=precision_of(options),
    )
    return model.to(default_device()), history


def read_recipe(options: argparse.Namespace) -> Recipe:
    """The course's recipe, with the network's learning rate, but for what the command names."""
    given = {field.name: getattr(options, field.name) for field in fields(Recipe)}
    named = {name: value for name, value in given.items() if value is not None}
    return Recipe(**{"lr": learning_rate(options.model), **named})


def precision_of(options: argparse.Namespace) -> torch.dtype:
    return torch.bfloat16 if options.bfloat16 else default_precision(default_device())


def collect(name: str, output: Path, rows: str | None, variants: list[Path]) -> None:
    """Runs -> results/NAME_chase_db1.json, and the weights of seed 0 with their card."""
    runs, folder = read_rows(rows, output) if rows else read_runs(name, output)
    training, test = ChaseDB1(split="train"), ChaseDB1(split="test")
    photographs = list(test)
    model, card = weights.load(folder / "weights.safetensors")
    if card["model"] != name:
        raise SystemExit(f"{folder} holds weights of {card['model']}, not of {name}.")
    crop = runs[0]["recipe"]["crop"]
    result = {
        "protocol": PROTOCOL,
        "dataset": chase_facts()
        | {part.split: [record.name for record in part.records] for part in (training, test)},
        "model": {
            "name": name,
            "options": card["options"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": shapes.macs(model, (1, 3, crop, crop)),
            "training_size": [1, 3, crop, crop],
        },
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
        "runs": [{key: run[key] for key in STORED} for run in runs],
        "summary": summary(runs),
        "validation": read_validation(name, output, runs[0]["recipe"]),
        "variants": [variant(name, folder) for folder in variants],
        "second_observer": binary_row(photographs, [p.second_observer for p in photographs]),
        # "No vessel anywhere": what accuracy alone is worth.
        "empty": binary_row(photographs, [np.zeros_like(p.fov) for p in photographs]),
    }
    write_json(RESULTS / f"{name}_chase_db1.json", result)
    draw_errors(
        RESULTS / f"{name}_chase_db1_errors.jpg", model, card, runs[0]["flips"], photographs
    )
    card |= {
        "size": crop,
        **trained_scale(card["fov_diameter"], ChaseDB1.field_angle, RandomCrops.scale),
        "training_data": "CHASE_DB1, first 8 images (4 children, one camera), CC BY 4.0, "
        "Fraz et al. 2012",
        "trained_on": [*training.image_digests().values()],
        "colours": measure_colours((photo.image, photo.fov) for photo in training),
        "metrics": {"set": "CHASE_DB1, last 20 images, inside the field of view"}
        | runs[0]["flips"]["pooled"],
        "licence": "MIT",
        "seed": 0,
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
    }
    ship(model, card, output / f"{name}.safetensors", list(training), photographs)


def ship(
    model: nn.Module, card: dict, file: Path, training: list[Photograph], test: list[Photograph]
) -> None:
    """Into the package, whole or in half precision, where the weights are small enough."""
    weights.save(file, model, card)
    shipped = WEIGHTS / file.name
    if file.stat().st_size < SHIPPED:
        weights.save(shipped, model, card)
    elif file.stat().st_size < 2 * SHIPPED:  # in half precision; scored as they are shipped
        weights.save(shipped, model, card, half=True)
        model, card = weights.load(shipped)
        row, _ = score(model.to(default_device()), card, training, test, flips=True)
        card["threshold"] = row["threshold"]
        card["metrics"] = {"set": card["metrics"]["set"], **row["pooled"]}
        weights.save(shipped, model.cpu(), card, half=True)


if __name__ == "__main__":
    main()
