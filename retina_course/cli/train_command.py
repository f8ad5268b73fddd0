"""What `retina-course train` does: a network for vessels, or a detector, from photographs."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from retina_course import weights
from retina_course.cli.field_angles import FieldAngle, as_given, not_given, set_angles
from retina_course.cli.output import digits, memory_errors, warnings_as_lines, write_json
from retina_course.cli.run_folder import RunFolder
from retina_course.cli.training_kinds import Boxes, Kind, Vessels
from retina_course.data.images import read_image
from retina_course.data.reading import printable
from retina_course.inference.colours import GREY, measure_colours, saturation
from retina_course.inference.scale import DEFAULT_FIELD_ANGLE, trained_scale
from retina_course.models import DETECTORS
from retina_course.training.devices import distributed

GENTLER = 10  # fine-tuning begins with a tenth of the learning rate


def train(
    data: str,
    output: Path,
    *,
    model: str | None,
    start: str | None,
    seed: int,
    vessels: str | None,
    field_angle: FieldAngle,
    device: torch.device,
    **numbers: float | None,
) -> int:
    """Train a network on photographs; the same call again continues an interrupted run.

    Writes the weights, their card, the history, the settings and a checkpoint into `output`. The
    weights are written before they are scored, and again with their threshold and scores.

    Parameters
    ----------
    data : str
        See `open_data` and `open_boxes`; of a published dataset, the training split.
    output : Path
        Folder of this run; it is created if necessary.
    model : str or None
        Name of the network, see `list_models`. None: that of `start`, else "unet_small".
    start : str or None
        Weights to start from (fine-tuning), see `weights.load`.
    seed : int
        Everything random follows from it.
    vessels : {"white", "black"} or None
        How the masks show vessels, see `ImageFolder`.
    field_angle : float, Path or None
        See `set_angles`.
    device : torch.device
        Where the network is trained.
    **numbers : float or None
        The fields of `Recipe`. None: what the network's recipe says.

    Returns
    -------
    int
        Exit code 0.

    Raises
    ------
    ValueError
        The data or the weights cannot be used, there is nothing to learn, or `output` holds
        another run or other files; or the weights are written, but there is not enough memory to
        score them.
    """
    base = _base(model, start)
    kind = Boxes() if base["model"] in DETECTORS else Vessels()
    run = RunFolder(output, base["model"])
    with warnings_as_lines():
        dataset = kind.open(data, vessels)
        set_angles(dataset, field_angle)
        widest = _widest_field(dataset, base)
        recipe = _recipe(kind, base, numbers, widest)
        scale = trained_scale(recipe.fov_diameter, widest, kind.magnification) if widest else {}
        settings = {
            "model": base["model"],
            "data": printable(data),
            "digest": dataset.digest(),
            "seed": seed,
            "recipe": asdict(recipe),
            **({"vessels": vessels} if vessels else {}),
            **({"from": base["sha256"]} if start else {}),
            **({"field_angles": dataset.field_angles} if field_angle else {}),
        }
        run.compare(settings)
        if run.card() is None:
            about = _look_through(kind, dataset) | _origin(dataset, data, start, base)
            card = {
                "model": base["model"],
                "options": dict(base.get("options", kind.options)),
                "fov_diameter": recipe.fov_diameter,
                **scale,
                **(
                    {"field_angles": sorted(set(map(float, filter(None, dataset.field_angles))))}
                    if widest
                    else {}
                ),
                **kind.about(recipe),
                **about,
                "seed": seed,
                "recipe": asdict(recipe),
            }
            is_first = int(os.environ.get("RANK", 0)) == 0  # one process of a torchrun writes
            if is_first:
                run.begin(settings)
            with distributed():
                network, history = kind.train(
                    card["model"],
                    dataset,
                    recipe,
                    options=card["options"],
                    initial=weights.load(start)[0].state_dict() if start else None,
                    seed=seed,
                    checkpoint=run.checkpoint,
                    device=device,
                    pixels_per_degree=recipe.fov_diameter / widest if widest else None,
                )
            if not is_first:
                return 0
            weights.save(run.weights, network, card)
            write_json(run.history, asdict(history))
            card |= _score(kind, network.to(device), card, dataset, run.weights)
            weights.save(run.weights, network, card)
    _report(run, kind)
    return 0


def _base(model: str | None, start: str | None) -> dict[str, Any]:
    """The card of the weights to start from, or what stands for it where there are none."""
    if start is None:
        return {"model": model or "unet_small"}
    _, card = weights.load(start)
    if model not in (None, card["model"]):
        raise ValueError(
            f"{start} are the weights of {card['model']}, not of {model}: leave out --model."
        )
    return card


def _widest_field(dataset: Any, base: Mapping[str, Any]) -> float | None:
    """The largest field angle of the photographs; None where no scale in degrees is known.

    Weights to start from have such a scale: there the default angle is assumed.
    """
    if None in dataset.field_angles and base.get("pixels_per_degree"):
        print(f"retina-course: warning: {not_given(as_given(None))}", file=sys.stderr)
        dataset.set_field_angles(DEFAULT_FIELD_ANGLE)
    elif None in dataset.field_angles:
        print(
            "Field angle: not known. The weights will suit photographs of the same camera; to use "
            "them for others, say it now (--field-angle)."
        )
        return None
    return max(dataset.field_angles)


def _recipe(
    kind: Kind,
    base: Mapping[str, Any],
    numbers: Mapping[str, float | None],
    widest: float | None,
) -> Any:
    """The recipe of a network, with the numbers that were given in place of its own."""
    own: dict[str, Any] = {"lr": kind.learning_rate(base["model"])}
    if "options" in base:  # weights to start from
        wanted, found = kind.options["num_classes"], base["options"].get("num_classes", 1)
        if found != wanted:
            raise ValueError(
                f"The network to start from has num_classes {found}; these data need {wanted}."
            )
        own["lr"] /= GENTLER
        own |= {key: base[key] for key in ("fov_diameter",) if key in base}
        if "pixels_per_degree" in base and widest:
            own["fov_diameter"] = round(base["pixels_per_degree"] * widest)
    given = {key: value for key, value in numbers.items() if value is not None}
    known = {field.name for field in fields(kind.recipe)}
    foreign = [f"--{key.replace('_', '-')}" for key in given if key not in known]
    if foreign:
        raise ValueError(f"{base['model']} sees whole photographs: leave out {', '.join(foreign)}.")
    return kind.recipe(**{**own, **given})


def _look_through(kind: Kind, dataset: Any) -> dict[str, Any]:
    """Read everything once, before anything is written: an unusable file is an error here.

    Returns the card's `colours`, None where grey photographs are learned: those stay grey then.
    """
    empty: list[str] = []
    grey: list[str] = []

    def colours() -> Iterator[tuple[Any, Any]]:
        for photo in tqdm(dataset, "reading", len(dataset), unit="photograph", leave=False):
            rgb = read_image(photo.image)
            fov = kind.fov(photo, rgb)
            empty.extend([] if kind.has_object(photo) else [photo.name])
            grey.extend([photo.name] if saturation(rgb, fov) < GREY else [])
            yield rgb, fov

    colour = measure_colours(colours())
    if len(empty) == len(dataset):
        raise ValueError(f"No photograph has a {kind.object}: there is nothing to learn.")
    if empty:
        names = f"{len(empty)} of {len(dataset)} ({', '.join(empty)})"
        print(f"Photographs without a {kind.object}: {names}.")
    return {"colours": None if grey else colour}


def _origin(dataset: Any, data: str, start: str | None, base: Mapping[str, Any]) -> dict[str, Any]:
    """What the card says about where the weights come from."""
    digests = dataset.image_digests()
    known: dict[str, Any] = {
        "training_data": f"{printable(Path(data).resolve().name)}: {', '.join(digests)}",
        "trained_on": list(dict.fromkeys([*base.get("trained_on", []), *digests.values()])),
    }
    if start is not None:
        about = {key: base[key] for key in ("sha256", "training_data") if key in base}
        known["fine_tuned_from"] = {"weights": printable(Path(start).name), **about}
    return known


def _score(
    kind: Kind, network: nn.Module, card: Mapping[str, Any], dataset: Any, file: Path
) -> dict[str, Any]:
    """The threshold and the scores on the training photographs, one after the other."""
    try:
        with memory_errors():
            return kind.score(network, card, dataset)
    except MemoryError as error:
        raise ValueError(
            f"{file} is trained and written, but there is not enough memory to score it on "
            "photographs of this size. The same command on a larger machine goes on here; "
            "segment, detect and evaluate take the weights with --threshold, e.g. 0.5."
        ) from error


def _report(run: RunFolder, kind: Kind) -> None:
    """Print what came out."""
    card = run.card() or {}
    history = json.loads(run.history.read_text(encoding="utf-8"))
    print(
        f"{run.weights}: {len(history['loss'])} steps in {history['seconds']:.0f} s, "
        f"threshold {digits(card['threshold'])}."
    )
    print(kind.summary(card["metrics"]))
