"""What the commands of the command line do; `cli.py` reads their options.

A command returns the exit code and raises `ValueError` or `OSError` for what cannot be used,
`MemoryError` where memory runs out.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from retina_course import create_model, list_models, weights
from retina_course.data import datasets
from retina_course.data.files import write_atomically
from retina_course.evaluation import metrics
from retina_course.inference.segmentation import segment_all
from retina_course.models import DETECTORS
from retina_course.training.devices import distributed
from retina_course.training.recipe import Recipe, learning_rate, train_vessels

NOT_MEDICAL = (
    "Not a medical device: for teaching and research. The weights for vessels were trained on "
    "eight photographs, both eyes of four children, those for boxes on 160 photographs of one "
    "clinic; each with one camera."
)
SETS = {
    "chase_db1": datasets.ChaseDB1,
    "hrf": datasets.HRF,
    "stare": datasets.STARE,
    "drive": datasets.DRIVE,
}


def train(options: argparse.Namespace) -> int:
    """`train`: weights, their card and the history; the same command again continues the run."""
    given = {field.name: getattr(options, field.name) for field in fields(Recipe)}
    if given["lr"] is None:
        given["lr"] = learning_rate(options.model)
    recipe = Recipe(**given)
    data = _open(options.data, "train")
    settings = {
        "model": options.model,
        "data": options.data,
        "digest": data.digest(),
        "seed": options.seed,
        "recipe": asdict(recipe),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    _same_settings(options.output / "settings.json", settings)
    photographs = list(data)
    labelled = np.concatenate([photo.ground_truth[photo.fov] for photo in photographs])
    if labelled.all() or not labelled.any():
        raise ValueError(
            f"Inside the fields of view {'every' if labelled.all() else 'no'} pixel of the "
            "training photographs is labelled as vessel. Are fov/ and masks/ mixed up?"
        )
    with distributed():
        model, history = train_vessels(
            options.model,
            photographs,
            recipe,
            seed=options.seed,
            checkpoint=options.output / "checkpoint.pt",
            device=options.device,
        )
    if int(os.environ.get("RANK", 0)) > 0:  # one process of a torchrun writes the result
        return 0
    card = {
        "model": options.model,
        "options": {"num_classes": 1},
        "size": recipe.crop,
        "fov_diameter": recipe.fov_diameter,
    }
    pooled = metrics.pool(*segment_all(model.to(options.device), photographs, card))
    threshold = metrics.best_threshold(*pooled)
    on_training = metrics.scores(*pooled, threshold)
    card |= {
        "threshold": threshold,
        "training_data": f"{Path(options.data).resolve().name}: "
        + ", ".join(photo.name for photo in photographs),
        "metrics": {"set": "the training images themselves", **on_training},
        "seed": options.seed,
        "recipe": asdict(recipe),
    }
    file = options.output / f"{options.model}.safetensors"
    weights.save(file, model, card)
    _write_json(options.output / "history.json", asdict(history))
    print(f"{file}: {recipe.steps} steps in {history.seconds:.0f} s, threshold {threshold:.3f}.")
    print(f"F1 on the training images {on_training['f1']:.3f}; for others: retina-course evaluate")
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """`evaluate`: the protocol's scores inside the field of view, as a table and as JSON."""
    if options.json and not options.json.parent.is_dir():
        raise ValueError(f"There is no folder {options.json.parent} for {options.json.name}.")
    if options.json and options.json.is_dir():
        raise ValueError(f"{options.json} is a folder; --json takes the name of a file.")
    model, card = weights.load(options.weights)
    refuse_detector(card, options)
    cut = threshold(options, card)
    data = _open(options.data, options.split)
    photographs = list(data)
    model.to(options.device)
    p, targets, fovs = segment_all(model, photographs, card, flips=options.flips)
    result = metrics.evaluate(p, targets, fovs, cut)
    for row, photo in zip(result["per_image"], photographs, strict=True):
        row["name"] = photo.name
    result["f1_at_half"] = metrics.scores(*metrics.pool(p, targets, fovs), 0.5)["f1"]
    binary = {"empty": [np.zeros_like(target) for target in targets]}
    if all(photo.second_observer is not None for photo in photographs):
        binary["second observer"] = [photo.second_observer for photo in photographs]
    for name, maps in binary.items():
        predicted, target = metrics.pool(maps, targets, fovs)
        result[name] = metrics.binary_scores(predicted > 0, target)
    print(
        f"{len(photographs)} photographs, pixels inside the field of view, "
        f"threshold {cut:.3f} (F1 at 0.5: {result['f1_at_half']:.4f})\n"
    )
    print(_table(result, ["pooled", "mean", "sd", *reversed(binary)]))
    if options.json:
        about = {"weights": str(options.weights), "data": options.data, "digest": data.digest()}
        _write_json(options.json, about | {"flips": options.flips} | result)
    return 0


def refuse_detector(card: dict, options: argparse.Namespace) -> None:
    """A detector's outputs are no vessel map."""
    if card["model"] in DETECTORS:
        raise ValueError(f"{options.weights} finds boxes, not vessels: see retina-course detect.")


def models(options: argparse.Namespace) -> int:
    """`models`: the networks, and the trained weights that come with the package."""
    print("Networks, three input channels and one output:")
    for name in list_models():
        model = create_model(name)
        count = sum(parameter.numel() for parameter in model.parameters())
        print(f"  {name:<22} {count:>12,} parameters")
    print("\nWeights in the package:" if weights.available() else "\nNo weights in the package.")
    for name in weights.available():
        _, card = weights.load(name)
        scores = card.get("metrics", {})
        numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
        main = {key: numbers[key] for key in ("auc", "f1") if key in numbers} or numbers
        shown = ", ".join(f"{key} {value:.3f}" for key, value in main.items())
        print(f"  {name:<22} {card.get('training_data', 'training data not stated')}")
        print(f"  {'':<22} {shown} ({scores.get('set', 'set not stated')})")
    print(f"\n{NOT_MEDICAL}")
    return 0


def download(options: argparse.Namespace) -> int:
    """`download`: fetch a data set that its licence lets us fetch."""
    parent = options.output or Path(os.environ.get("RETINA_COURSE_DATA") or "data")
    folder = datasets.download_chase_db1(parent / "CHASE_DB1")
    print(f"{folder} is complete. Use it with: --data {folder}")
    print("CHASE_DB1: Fraz et al. 2012, doi:10.1109/TBME.2012.2205687, CC BY 4.0.")
    return 0


def _open(data: str, split: str) -> datasets.ImageFolder | datasets.ChaseDB1:
    if data.lower() in SETS and not Path(data).is_dir():
        return SETS[data.lower()](split=split)
    known = SETS.get(Path(data).resolve().name.lower())
    return known(data, split=split) if known else datasets.ImageFolder(data)


def threshold(options: argparse.Namespace, card: dict) -> float:
    """The threshold that the user gives, else the card's."""
    given = card.get("threshold") if options.threshold is None else options.threshold
    if given is None:
        raise ValueError("The weights' card gives no threshold: say --threshold, e.g. 0.5.")
    return given


def _same_settings(path: Path, settings: dict) -> None:
    begun = any(path.parent.glob("checkpoint.pt")) or any(path.parent.glob("*.safetensors"))
    if begun and path.exists():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}. Give another folder.") from error
        if stored != settings:
            raise ValueError(
                f"{path.parent} holds a run with other settings (see {path.name}). Give another "
                "folder, or the same settings to continue it."
            )
    _write_json(path, settings)


def _write_json(path: Path, content: dict) -> None:
    text = json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def _without_nan(value):
    """JSON has no NaN: a score that is not defined is null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def _table(result: dict, columns: Sequence[str]) -> str:
    lines = [" " * 18 + "".join(f"{column:>17}" for column in columns)]
    for name in result["mean"]:
        cells = (result[column].get(name) for column in columns)
        lines.append(
            f"{name:<18}" + "".join(f"{'' if c is None else f'{c:.4f}':>17}" for c in cells)
        )
    return "\n".join(lines)


@contextmanager
def memory_errors() -> Iterator[None]:
    """What CPUs and GPUs raise where memory runs out, as a MemoryError that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        texts = ("out of memory", "can't allocate memory", "not enough memory")
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in texts):
            raise
        raise MemoryError(
            "Not enough memory. Less is needed for a smaller photograph, and in training with a "
            "smaller --crop or --batch-size; or choose another --device."
        ) from error


def message(error: Exception) -> str:
    """An error as one message for the user, without Python's error numbers."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)
