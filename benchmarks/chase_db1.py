r"""Train on CHASE_DB1 by the course's protocol, score, and write the package's results.

    python benchmarks/chase_db1.py train --seed 0 --output runs/
    python benchmarks/chase_db1.py validate --steps 2000 --output runs/
    python benchmarks/chase_db1.py collect --output runs/ [--variants more_runs/ ...]
    python benchmarks/chase_db1.py collect --model linknet --output runs/ \
        --rows linknet_course_960px_256crop_3000steps

`train` runs one seed and can be killed at any time: started again, it continues. A finished seed
is not run again. `validate` looks at the training children only: it trains on two of the four,
scores the other two, and the other way round. `collect` writes retina_course/results/, a picture
of errors, and, where they are small, the weights of seed 0, whatever the seeds scored. With --rows
it takes the rows and weights of leaderboard.py whose names begin so, in place of runs of `train`.
Variants are runs by another recipe, tried later: they are stored beside the row, so that a reader
sees what was tried, and never take its place. The data folder is RETINA_COURSE_DATA.

The protocol: the first 8 images train, the last 20 test, truth by the first observer; pixels
inside the field of view only, at native size; the threshold maximises the pooled F1 of the
training images; the weights are those after the last step.
"""

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from pictures import errors
from provenance import ROOT, provenance, write_json

from retina_course import shapes, weights
from retina_course.data.datasets import ChaseDB1, Photograph, split_by_patient
from retina_course.evaluation import metrics
from retina_course.inference import segment_all
from retina_course.training import default_device, default_precision
from retina_course.training.recipe import Recipe, learning_rate, train_vessels

SHIPPED = 5e6  # bytes: larger weights stay out of the package
STORED = ("seed", "seconds", "loss", "flips", "no_flips", "provenance")  # of each run
PROTOCOL = {
    "pixels": "inside the field of view, native size",
    "field_of_view": "largest component of max(R, G, B) > 20, holes filled",
    "ground_truth": "first observer",
    "threshold": "maximises the pooled F1 of the 8 training images",
    "weights": "after the last step",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["train", "validate", "collect"])
    parser.add_argument("--model", default="unet_small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", type=json.loads, default={}, help='e.g. {"fold": 4}')
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type)
    parser.add_argument("--bfloat16", action="store_true", help="autocast on a CPU, too")
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--rows", help="collect the rows of leaderboard.py that begin so")
    parser.add_argument("--variants", type=Path, nargs="*", default=[], help="runs tried later")
    options = parser.parse_args()
    if options.action == "train":
        train(options)
    elif options.action == "validate":
        validate(options)
    else:
        collect(options.model, options.output, options.rows, options.variants)


def train(options: argparse.Namespace) -> None:
    """One seed: train, predict all 28 images, score; everything under `output`."""
    folder = options.output / f"{options.model}_seed{options.seed}"
    recipe, device = read_recipe(options), default_device()
    precision = torch.bfloat16 if options.bfloat16 else default_precision(device)
    row = recipe_row(recipe, precision)
    if (folder / "run.json").exists():
        stored = json.loads((folder / "run.json").read_text())["recipe"]
        if any(row[key] != stored[key] for key in stored):
            raise SystemExit(f"{folder} holds a run of another recipe: name another output.")
        print(f"{folder} is finished.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    training, test = list(ChaseDB1(split="train")), list(ChaseDB1(split="test"))
    source = provenance(device)  # now: the code may change while a long run goes on
    model, history = train_vessels(
        options.model,
        training,
        recipe,
        options=options.options,
        seed=options.seed,
        checkpoint=folder / "checkpoint.pt",
        device=device,
        precision=precision,
    )
    card = {
        "model": options.model,
        "options": {"num_classes": 1, **options.options},
        "size": recipe.crop,
        "fov_diameter": recipe.fov_diameter,
    }
    rows = {
        name: score(model, card, training, test, flips)
        for name, flips in (("flips", True), ("no_flips", False))
    }
    run = {
        "seed": options.seed,
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        **rows,
        "recipe": row,
        "provenance": source,
    }
    weights.save(
        folder / "weights.safetensors", model, card | {"threshold": rows["flips"]["threshold"]}
    )
    write_json(folder / "run.json", run)
    print(f"{folder}: {json.dumps(rows['flips']['pooled'])}")


def validate(options: argparse.Namespace) -> None:
    """Score a recipe on training children that it was not trained on; no test image is read."""
    recipe = read_recipe(options)
    photographs, device = ChaseDB1(split="train"), default_device()
    precision = torch.bfloat16 if options.bfloat16 else default_precision(device)
    card = {"fov_diameter": recipe.fov_diameter}
    folds = []
    for held_out in (["01", "02"], ["03", "04"]):
        training, others = map(list, split_by_patient(photographs, held_out))
        model, _ = train_vessels(
            options.model,
            training,
            recipe,
            options=options.options,
            seed=options.seed,
            device=device,
            precision=precision,
        )
        row = score(model, card, training, others, flips=True)
        folds.append({"held_out": held_out, **row["pooled"]})
    result = {
        "recipe": recipe_row(recipe, precision),
        "provenance": provenance(device),
        "seed": options.seed,
        "folds": folds,
        "mean": {key: float(np.mean([fold[key] for fold in folds])) for key in ("auc", "f1")},
    }
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(options.output / f"{options.model}_validation.json", result)
    print(json.dumps(result["mean"]))


def score(
    model: torch.nn.Module,
    card: dict,
    training: list[Photograph],
    test: list[Photograph],
    flips: bool,
) -> dict:
    """The protocol's row of one model: threshold from the training images, scores of the test."""
    model.to(default_device())  # training ends on the CPU
    p, t, fov = segment_all(model, training, card, flips=flips)
    threshold = metrics.best_threshold(*metrics.pool(p, t, fov))
    p, t, fov = segment_all(model, test, card, flips=flips)
    row = metrics.evaluate(p, t, fov, threshold)
    for image, photograph in zip(row["per_image"], test, strict=True):
        image["name"] = photograph.name
    probabilities, target = metrics.pool(p, t, fov)
    row["f1_at_half"] = metrics.binary_scores(probabilities >= 0.5, target)["f1"]
    return row


def collect(name: str, output: Path, rows: str | None, variants: list[Path]) -> None:
    """Runs -> results/NAME_chase_db1.json, and the weights of seed 0 with their card."""
    runs, folder = read_rows(rows, output) if rows else read_runs(name, output)
    training, test = ChaseDB1(split="train"), ChaseDB1(split="test")
    photographs = list(test)
    model, card = weights.load(folder / "weights.safetensors")
    if card["model"] != name:
        raise SystemExit(f"{folder} holds weights of {card['model']}, not of {name}.")
    size = (1, 3, runs[0]["recipe"]["crop"], runs[0]["recipe"]["crop"])
    result = {
        "protocol": PROTOCOL,
        "dataset": {
            "name": "CHASE_DB1",
            "digest": ChaseDB1(split="all").digest(),
            "train": [record.name for record in training.records],
            "test": [record.name for record in test.records],
            "licence": "CC BY 4.0, Fraz et al. 2012, Kingston University",
        },
        "model": {
            "name": name,
            "options": card["options"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": shapes.macs(model, size),
            "training_size": list(size),
        },
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
        "runs": [{key: run[key] for key in STORED} for run in runs],
        "summary": summary(runs),
        "validation": read_validation(name, output, runs[0]["recipe"]),
        "variants": [variant(name, folder) for folder in variants],
        "second_observer": observer(photographs),
        "empty": empty(photographs),
    }
    write_json(ROOT / "retina_course" / "results" / f"{name}_chase_db1.json", result)
    errors(model, card, runs[0]["flips"], photographs)
    pooled = runs[0]["flips"]["pooled"]
    card |= {
        "size": runs[0]["recipe"]["crop"],
        "training_data": "CHASE_DB1, first 8 images (4 children, one camera), CC BY 4.0, "
        "Fraz et al. 2012",
        "metrics": {"set": "CHASE_DB1, last 20 images, inside the field of view", **pooled},
        "licence": "MIT",
        "seed": 0,
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
    }
    file = output / f"{name}.safetensors"
    weights.save(file, model, card)
    shipped = ROOT / "retina_course" / "weights" / file.name
    if file.stat().st_size < SHIPPED:
        weights.save(shipped, model, card)
    elif file.stat().st_size < 2 * SHIPPED:  # in half precision; scored as they are shipped
        weights.save(shipped, model, card, half=True)
        model, card = weights.load(shipped)
        row = score(model, card, list(training), photographs, flips=True)
        card["threshold"] = row["threshold"]
        card["metrics"] = {"set": card["metrics"]["set"], **row["pooled"]}
        weights.save(shipped, model, card, half=True)


def read_runs(name: str, output: Path) -> tuple[list[dict], Path]:
    """The finished runs of one recipe, by seed, and the folder of seed 0's weights."""
    files = sorted(output.glob(f"{name}_seed*/run.json"))
    return one_recipe(files, f"run of {name} under {output}"), output / f"{name}_seed0"


def read_rows(beginning: str, output: Path) -> tuple[list[dict], Path]:
    """The rows of leaderboard.py whose names begin so, and the folder of seed 0's weights."""
    files = sorted((ROOT / "retina_course" / "results" / "leaderboard").glob(f"{beginning}*.json"))
    runs = one_recipe(files, f"row of the leaderboard that begins with {beginning}")
    return runs, output / files[0].stem


def one_recipe(files: list[Path], what: str) -> list[dict]:
    """Runs that make one row: seed 0 among them, no seed twice, all by one recipe."""
    runs = [json.loads(file.read_text()) for file in files]
    if not runs or runs[0]["seed"] != 0:
        raise SystemExit(f"No finished {what} with seed 0.")
    if any(run["recipe"] != runs[0]["recipe"] for run in runs):
        raise SystemExit("They differ in their recipe, and are not one row: " + names(files))
    if len({run["seed"] for run in runs}) < len(runs):
        raise SystemExit("They are of several devices, and not one row: " + names(files))
    return runs


def names(files: list[Path]) -> str:
    return ", ".join(file.stem if file.stem != "run" else file.parent.name for file in files)


def summary(runs: list[dict]) -> dict:
    return {row: over_seeds([run[row] for run in runs]) for row in ("flips", "no_flips")}


def variant(name: str, folder: Path) -> dict:
    """What is stored of a recipe that was tried later: enough to compare, no weights."""
    runs, _ = read_runs(name, folder)
    return {
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
        "seeds": [run["seed"] for run in runs],
        "summary": summary(runs),
        "validation": read_validation(name, folder, runs[0]["recipe"]),
    }


def read_validation(name: str, folder: Path, recipe: dict) -> dict | None:
    """What `validate` wrote, which may be shorter than the runs, but of the same recipe."""
    file = folder / f"{name}_validation.json"
    if not file.exists():
        return None
    result = json.loads(file.read_text())
    if any(result["recipe"][key] != recipe[key] for key in recipe if key != "steps"):
        raise SystemExit(f"{file} is of another recipe than the runs beside it.")
    return result


def over_seeds(rows: list[dict]) -> dict:
    """Mean and standard deviation (n - 1) of the pooled scores over the seeds."""
    values = {key: [row["pooled"][key] for row in rows] for key in rows[0]["pooled"]}
    values["f1_at_half"] = [row["f1_at_half"] for row in rows]
    values["cldice"] = [row["mean"]["cldice"] for row in rows]
    return {
        key: {
            "mean": float(np.mean(v)),
            "sd": float(np.std(v, ddof=1)) if len(v) > 1 else None,
        }
        for key, v in values.items()
    }


def observer(photographs: list[Photograph]) -> dict:
    """The second observer, scored as if a model: a binary map, so no AUC."""
    return binary_row(photographs, [photo.second_observer for photo in photographs])


def empty(photographs: list[Photograph]) -> dict:
    """The prediction "no vessel anywhere": what accuracy alone is worth."""
    return binary_row(photographs, [np.zeros_like(photo.ground_truth) for photo in photographs])


def binary_row(photographs: list[Photograph], maps: list[np.ndarray]) -> dict:
    inside = [
        (m[photo.fov], photo.ground_truth[photo.fov])
        for m, photo in zip(maps, photographs, strict=True)
    ]
    pooled = [np.concatenate(part) for part in zip(*inside, strict=True)]
    rows = [
        metrics.binary_scores(m, t)
        | {"cldice": metrics.cldice(full & photo.fov, photo.ground_truth & photo.fov)}
        for (m, t), full, photo in zip(inside, maps, photographs, strict=True)
    ]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        "pooled": metrics.binary_scores(*pooled),
        "mean": {key: float(np.mean(v)) for key, v in columns.items()},
        "sd": {key: float(np.std(v, ddof=1)) for key, v in columns.items()},
    }


def read_recipe(options: argparse.Namespace) -> Recipe:
    """The course's recipe, with the network's learning rate, but for what the command names."""
    given = {field.name: getattr(options, field.name) for field in fields(Recipe)}
    named = {name: value for name, value in given.items() if value is not None}
    return Recipe(**{"lr": learning_rate(options.model), **named})


def recipe_row(recipe: Recipe, precision: torch.dtype) -> dict:
    return {
        **asdict(recipe),
        "loss": "binary cross-entropy + Dice",
        "optimizer": "AdamW, one cosine to zero, gradients clipped at 1",
        "precision": str(precision).removeprefix("torch."),
    }


def smooth(losses: list[float], points: int = 100) -> list[list[float]]:
    """[step, mean loss up to it] at about `points` steps: a curve small enough to store."""
    parts = np.array_split(np.asarray(losses), min(points, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return [[int(end), round(float(part.mean()), 5)] for end, part in zip(ends, parts, strict=True)]


if __name__ == "__main__":
    main()
