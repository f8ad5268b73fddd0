"""What `retina-course evaluate` does: scores of a network for vessels, photograph by photograph."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from retina_course import weights as trained_weights
from retina_course.cli.field_angles import (
    FieldAngle,
    as_given,
    not_given,
    scale_facts,
    set_angles,
)
from retina_course.cli.inputs import choose_threshold, open_data, refuse_detector
from retina_course.cli.output import clear_up, digits, score_table, warnings_as_lines, write_json
from retina_course.cli.run_folder import made_by_us
from retina_course.data.images import read_image
from retina_course.data.photographs import Photographs
from retina_course.data.reading import printable
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import evaluate_stream
from retina_course.inference.field_of_view import measured_diameter
from retina_course.inference.quality import photograph_warnings
from retina_course.inference.scale import describe_scale, used_field_angle
from retina_course.inference.segmentation import segment

KEYS = ("weights", "data", "digest", "pooled")  # of every JSON file that `evaluate` writes


def evaluate(
    data: str,
    *,
    weights: str,
    split: str,
    threshold: float | None,
    flips: bool,
    vessels: str | None,
    field_angle: FieldAngle,
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
        Test-time augmentation: average over flips of the image.
    vessels : {"white", "black"} or None
        How the masks show vessels, see `ImageFolder`.
    field_angle : float, Path or None
        See `set_angles`.
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
    if json_file:
        _check_output(json_file)
    network, card = trained_weights.load(weights)
    refuse_detector(card, weights)
    cut = choose_threshold(threshold, card)
    with warnings_as_lines():
        dataset = open_data(data, split, vessels)
        set_angles(dataset, field_angle)
        digest, images = dataset.digest(), dataset.image_digests()
        empty, scales = _look_through(dataset, card)
        result = _scores(network.to(device), dataset, card, cut, flips)
    trained_on = [name for name, sha256 in images.items() if sha256 in card.get("trained_on", [])]
    columns = ["pooled", "mean", "sd", *(c for c in ("second observer", "empty") if c in result)]
    print(
        f"{len(dataset)} photographs, pixels inside the field of view, "
        f"threshold {digits(cut)} (F1 at 0.5: {result['f1_at_half']:.4f})\n"
    )
    print(score_table(result, columns))
    for line, count in scales.items():
        print(f"\n{count} of {len(dataset)} photographs: {line}.")
    if empty:
        print(
            f"\nPhotographs without a vessel in their mask: {_names(empty, dataset)}. F1 is 1 "
            "where nothing is found there, else 0; the means of AUC and sensitivity leave them out."
        )
    if trained_on:
        print(
            f"\nPhotographs that the network was trained on: {_names(trained_on, dataset)}. These "
            "scores do not say how good it is on others."
        )
    if json_file:
        about = {"weights": printable(weights), "data": printable(data), "digest": digest}
        write_json(json_file, about | {"flips": flips, "trained_on": trained_on} | result)
    return 0


def _check_output(file: Path) -> None:
    """Refuse a JSON file that cannot be written, or would replace a file of the user's."""
    if not file.parent.is_dir():
        raise ValueError(f"There is no folder {file.parent} for {file.name}.")
    if file.is_dir():
        raise ValueError(f"{file} is a folder; --json takes the name of a file.")
    if file.exists() and not made_by_us(file, KEYS):
        raise ValueError(
            f"{file} was not made by retina-course evaluate and would be replaced. Give another "
            "name, or move it away."
        )
    if not os.access(file.parent, os.W_OK):
        raise ValueError(f"The folder {file.parent} cannot be written, so {file.name} cannot.")
    clear_up(file.parent)


def _look_through(dataset: Photographs, card: Mapping[str, Any]) -> tuple[list[str], Counter[str]]:
    """Read everything once, before the long work: an unusable file is an error here.

    Prints whether an angle is assumed, and what is unusual about a photograph; returns the names of
    those without a vessel, and how many photographs are seen at which scale.
    """
    empty, scales = [], Counter[str]()
    if None in dataset.field_angles and used_field_angle(None, card) is not None:
        print(f"retina-course: warning: {not_given(as_given(None))}", file=sys.stderr)
    bar = tqdm(dataset, "reading", len(dataset), unit="photograph", leave=False)
    for photo, record in zip(bar, dataset.records, strict=True):
        if not photo.ground_truth[photo.fov].any():
            empty.append(photo.name)
        fov = torch.from_numpy(photo.fov)
        scales[describe_scale(measured_diameter(fov), photo.field_angle, card)] += 1
        given = record.fov is not None
        rgb, angle = read_image(photo.image), photo.field_angle
        for doubt in photograph_warnings(rgb, fov, card, fov_is_given=given, field_angle=angle):
            tqdm.write(f"retina-course: warning: {photo.name}: {doubt}", file=sys.stderr)
    return empty, scales


def _names(names: list[str], dataset: Photographs) -> str:
    return f"{len(names)} of {len(dataset)} ({', '.join(names)})"


def _scores(
    network: nn.Module, dataset: Photographs, card: Mapping[str, Any], cut: float, flips: bool
) -> dict[str, Any]:
    """The scores of the network, with those of an empty map and of a second observer."""
    has_second = all(record.second_observer for record in dataset.records)
    binary = {"second observer": np.zeros(4, np.int64)} if has_second else {}
    binary |= {"empty": np.zeros(4, np.int64), "half": np.zeros(4, np.int64)}
    about = []

    def maps() -> Iterator[tuple[Any, Any, Any]]:
        for photo in tqdm(dataset, "scoring", len(dataset), unit="photograph"):
            angle, own = photo.field_angle, measured_diameter(torch.from_numpy(photo.fov))
            about.append({"name": photo.name, **scale_facts(own, as_given(angle), card)})
            of_field = {"fov": photo.fov, "field_angle": angle}
            p = segment(network, photo.image, card, flips=flips, **of_field).probability.numpy()
            others = {
                "second observer": photo.second_observer,
                "empty": np.zeros_like(photo.fov),
                "half": p >= 0.5,
            }
            for name, counts in binary.items():
                predicted, fov = others[name], photo.fov
                counts += metrics.confusion(predicted[fov], photo.ground_truth[fov])
            yield p, photo.ground_truth, photo.fov

    result = evaluate_stream(maps(), cut)
    for row, facts in zip(result["per_image"], about, strict=True):
        row.update(facts)
    scores = {name: metrics.confusion_scores(counts) for name, counts in binary.items()}
    result["f1_at_half"] = scores.pop("half")["f1"]
    return result | scores
