"""What the commands train, evaluate, models and download do; `parser` reads their options.

A command returns the exit code. It raises `ValueError` or `OSError` for what cannot be used and
`MemoryError` where memory runs out.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retina_course import weights as trained_weights
from retina_course.cli.inputs import choose_threshold, open_data, refuse_detector
from retina_course.cli.output import score_table, write_json
from retina_course.data import datasets
from retina_course.evaluation import metrics
from retina_course.inference.segmentation import segment_all
from retina_course.models import create_model, list_models
from retina_course.training.devices import distributed
from retina_course.training.recipe import Recipe, train_vessels

NOT_MEDICAL = (
    "Not a medical device: for teaching and research. The weights for vessels were trained on "
    "eight photographs, both eyes of four children, those for boxes on 160 photographs of one "
    "clinic; each with one camera."
)
DOWNLOADS = ("chase_db1",)  # the datasets whose licence allows it


def train(
    data: str,
    output: Path,
    *,
    model: str,
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> int:
    """Train a network on photographs; the same call again continues an interrupted run.

    Writes the weights, their card, the history, the settings and a checkpoint into `output`.

    Parameters
    ----------
    data : str
        See `open_data`; of a published dataset, the training split.
    output : Path
        Folder of this run; it is created if necessary.
    model : str
        Name of the network, see `list_models`.
    recipe : Recipe
        Steps, batch size and the rest.
    seed : int
        Everything random follows from it.
    device : torch.device
        Where the network is trained.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        The data cannot be used, the masks are full or empty, or `output` holds another run.
    """
    dataset = open_data(data, "train")
    settings = {
        "model": model,
        "data": data,
        "digest": dataset.digest(),
        "seed": seed,
        "recipe": asdict(recipe),
    }
    output.mkdir(parents=True, exist_ok=True)
    _keep_settings(output / "settings.json", settings)
    photographs = list(dataset)
    labelled = np.concatenate([photo.ground_truth[photo.fov] for photo in photographs])
    if labelled.all() or not labelled.any():
        raise ValueError(
            f"Inside the fields of view {'every' if labelled.all() else 'no'} pixel of the "
            "training photographs is labelled as vessel. Are fov/ and masks/ mixed up?"
        )
    with distributed():
        network, history = train_vessels(
            model,
            photographs,
            recipe,
            seed=seed,
            checkpoint=output / "checkpoint.pt",
            device=device,
        )
    if int(os.environ.get("RANK", 0)) > 0:  # one process of a torchrun writes the result
        return 0
    card: dict[str, Any] = {
        "model": model,
        "options": {"num_classes": 1},
        "size": recipe.crop,
        "fov_diameter": recipe.fov_diameter,
    }
    pooled = metrics.pool(*segment_all(network.to(device), photographs, card))
    threshold = metrics.best_threshold(*pooled)
    on_training = metrics.scores(*pooled, threshold)
    card |= {
        "threshold": threshold,
        "training_data": f"{Path(data).resolve().name}: "
        + ", ".join(photo.name for photo in photographs),
        "metrics": {"set": "the training images themselves", **on_training},
        "seed": seed,
        "recipe": asdict(recipe),
    }
    file = output / f"{model}.safetensors"
    trained_weights.save(file, network, card)
    write_json(output / "history.json", asdict(history))
    print(f"{file}: {recipe.steps} steps in {history.seconds:.0f} s, threshold {threshold:.3f}.")
    print(f"F1 on the training images {on_training['f1']:.3f}; for others: retina-course evaluate")
    return 0


def evaluate(
    data: str,
    *,
    weights: str,
    split: str,
    threshold: float | None,
    flips: bool,
    json_file: Path | None,
    device: torch.device,
) -> int:
    """Score a network inside the field of view, as a table and, if asked for, as JSON.

    Parameters
    ----------
    data : str
        See `open_data`.
    weights : str
        See `weights.load`.
    split : str
        "train", "test" or "all", of a published dataset.
    threshold : float or None
        Vessel where the probability is at least this. None: as the card says.
    flips : bool
        Test-time augmentation: average over mirror images.
    json_file : Path or None
        Where all scores are written.
    device : torch.device
        Where the network computes.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        The data or the weights cannot be used, or `json_file` cannot be written.
    """
    if json_file and not json_file.parent.is_dir():
        raise ValueError(f"There is no folder {json_file.parent} for {json_file.name}.")
    if json_file and json_file.is_dir():
        raise ValueError(f"{json_file} is a folder; --json takes the name of a file.")
    network, card = trained_weights.load(weights)
    refuse_detector(card, weights)
    cut = choose_threshold(threshold, card)
    dataset = open_data(data, split)
    photographs = list(dataset)
    network.to(device)
    p, targets, fovs = segment_all(network, photographs, card, flips=flips)
    result = metrics.evaluate(p, targets, fovs, cut)
    for row, photo in zip(result["per_image"], photographs, strict=True):
        row["name"] = photo.name
    result["f1_at_half"] = metrics.scores(*metrics.pool(p, targets, fovs), 0.5)["f1"]
    binary = {"empty": [np.zeros_like(target) for target in targets]}
    observers = [photo.second_observer for photo in photographs]
    if all(observer is not None for observer in observers):
        binary["second observer"] = [observer for observer in observers if observer is not None]
    for name, maps in binary.items():
        predicted, target = metrics.pool(maps, targets, fovs)
        result[name] = metrics.binary_scores(predicted > 0, target)
    print(
        f"{len(photographs)} photographs, pixels inside the field of view, "
        f"threshold {cut:.3f} (F1 at 0.5: {result['f1_at_half']:.4f})\n"
    )
    print(score_table(result, ["pooled", "mean", "sd", *reversed(binary)]))
    if json_file:
        about = {"weights": str(weights), "data": data, "digest": dataset.digest()}
        write_json(json_file, about | {"flips": flips} | result)
    return 0


def models() -> int:
    """Print the networks, and the trained weights that come with the package.

    Returns
    -------
    int
        Exit code 0.
    """
    print("Networks, three input channels and one output:")
    for name in list_models():
        network = create_model(name)
        count = sum(parameter.numel() for parameter in network.parameters())
        print(f"  {name:<22} {count:>12,} parameters")
    print(
        "\nWeights in the package:"
        if trained_weights.available()
        else "\nNo weights in the package."
    )
    for name in trained_weights.available():
        _, card = trained_weights.load(name)
        scores = card.get("metrics", {})
        numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
        main = {key: numbers[key] for key in ("auc", "f1") if key in numbers} or numbers
        shown = ", ".join(f"{key} {value:.3f}" for key, value in main.items())
        print(f"  {name:<22} {card.get('training_data', 'training data not stated')}")
        print(f"  {'':<22} {shown} ({scores.get('set', 'set not stated')})")
    print(f"\n{NOT_MEDICAL}")
    return 0


def download(name: str, output: Path | None) -> int:
    """Fetch a dataset whose licence allows it.

    Parameters
    ----------
    name : str
        One of `DOWNLOADS`.
    output : Path or None
        Folder for datasets. None: `$RETINA_COURSE_DATA` where it is set, else `data`.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        A dataset that cannot be downloaded.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"Cannot download {name!r}. Choose one of: {', '.join(DOWNLOADS)}.")
    parent = output or Path(os.environ.get("RETINA_COURSE_DATA") or "data")
    folder = datasets.download_chase_db1(parent / "CHASE_DB1")
    print(f"{folder} is complete. Use it with: --data {folder}")
    print("CHASE_DB1: Fraz et al. 2012, doi:10.1109/TBME.2012.2205687, CC BY 4.0.")
    return 0


def _keep_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a run, unless its folder holds a run with others."""
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
    write_json(path, settings)
