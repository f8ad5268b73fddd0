"""The command `measure`: the vessels of each photograph, or mask, in numbers with their errors."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retina_course import weights as trained_weights
from retina_course.cli.batch import Batch
from retina_course.cli.field_angles import DETECTOR, Angle, not_given
from retina_course.cli.found import Found
from retina_course.cli.inputs import choose_threshold, refuse_detector
from retina_course.cli.measured_errors import (
    EXCESS,
    PARTS,
    RATIO,
    Validation,
    of_masks,
    of_network,
    validated_columns,
)
from retina_course.cli.photo_commands import network_settings
from retina_course.data.reading import file_digest
from retina_course.figures.measured import measured_image
from retina_course.inference.disc_angle import disc_box
from retina_course.inference.field_of_view import measured_diameter
from retina_course.inference.quality import vessel_warnings
from retina_course.inference.scale import DEFAULT_FIELD_ANGLE
from retina_course.inference.segmentation import segment
from retina_course.measurement.discs import read_discs
from retina_course.measurement.equivalents import ZONES, Disc
from retina_course.measurement.masks import Layers, is_map, read_layers
from retina_course.measurement.measure import Measurement, measure
from retina_course.measurement.units import in_units

PICTURES = "_pictures"
FACTS = (
    *("input", "photograph_pixels_per_degree", "scale_is", "microns_per_pixel", "validation"),
    "flags",
)
CAPTION = "Not a medical device: for teaching and research."


def measure_photographs(
    photos: Sequence[Path],
    *,
    output: Path,
    weights: str,
    threshold: float | None,
    flips: bool,
    device: torch.device,
    disc: str,
    inputs: str,
    microns_per_pixel: float | None,
    disc_microns: float | None,
    fov_diameter: float | None = None,
    **where: Any,
) -> int:
    """Measure the vessels of photographs or masks; write a table, and a picture for each.

    Parameters
    ----------
    photos : sequence of Path
        Image files, folders and patterns.
    output : Path
        A table (NAME.csv; the pictures are put into NAME_pictures), or a folder for both.
    weights : str
        See `weights.load`; for photographs.
    threshold : float or None
        Vessel where the probability is at least this. None: as the card says.
    flips : bool
        Test-time augmentation: average over flips of the image.
    device : torch.device
        Where the network computes.
    disc : str
        "found", by a network, "none", or a table, see `read_discs`.
    inputs : {"auto", "photographs", "masks"}
        What the files are.
    microns_per_pixel : float or None
        Scale on the retina.
    disc_microns : float or None
        Diameter that the optic disc is taken to have: gives the scale where a disc is known.
    fov_diameter : float, optional
        See `Batch`.
    **where
        `recursive`, `again`, `field_of_view` and `field_angle`: see `Batch`.

    Returns
    -------
    int
        Exit code: 0, or 1 where a photograph failed.

    Raises
    ------
    ValueError
        The weights or the table of discs cannot be used, or see `Batch.run`.
    """
    model, card = trained_weights.load(weights)
    refuse_detector(card, weights)
    cut = choose_threshold(threshold, card)
    model.to(device)
    of_file = read_discs(Path(disc)) if disc not in ("found", "none") else {}
    finder = trained_weights.load(DETECTOR) if disc == "found" else None
    errors = {"mask": of_masks(), "photograph": of_network(card)}

    def is_mask(image: Tensor) -> bool:
        return inputs == "masks" or (inputs == "auto" and is_map(image.numpy()))

    def look(path: Path, image: Tensor, fov: Tensor, angle: Angle) -> Found:
        kind = "mask" if is_mask(image) else "photograph"
        degrees = angle.degrees or DEFAULT_FIELD_ANGLE
        own = (fov_diameter or measured_diameter(fov)) / degrees
        options: dict[str, Any] = {"pixels_per_degree": own, "disc": of_file.get(path.name)}
        flags = [] if angle.source == "known" else [not_given(angle)]
        if of_file and path.name not in of_file:
            flags.append(f"No disc is given for {path.name} in {disc}: no zones.")
        if kind == "mask":
            layers = read_layers(image.numpy())
            if bool(fov.all()):
                flags.append("Field of view not given: the whole picture counts.")
        else:
            layout: dict[str, Any] = {"fov": fov, "fov_diameter": fov_diameter}
            found = segment(model, image, card, flips=flips, field_angle=degrees, **layout)
            layers = Layers(((found.probability >= cut) & fov).numpy(), None, None)
            options["photograph"] = image[1].numpy()
            if finder is not None:
                options["disc"] = _find_disc(finder, image, degrees, layout)
        options |= {"arteries": layers.arteries, "veins": layers.veins}
        measured = measure(layers.vessels, fov.numpy(), **options)
        microns = microns_per_pixel or _from_disc(disc_microns, options["disc"])
        values = measured.values | in_units(measured.values, own, microns)
        values |= _derived(values, errors[kind], own)
        flags += measured.flags + vessel_warnings(values["area_density_percent"] / 100)
        row: dict[str, Any] = {name: _digits(value) for name, value in values.items()}
        row |= _error_columns(errors[kind])
        row |= {
            "input": kind,
            "photograph_pixels_per_degree": f"{own:.3f}",
            "scale_is": angle.source,
            "microns_per_pixel": "" if microns is None else f"{microns:.4g}",
            "validation": errors[kind].about,
            "flags": " ".join(flags),
        }
        shown = _shown(values, errors[kind])
        lines = ", ".join(shown[:2]), ", ".join(shown[2:]), CAPTION  # four do not fit into one
        picture = _picture(image, measured, options["disc"], "\n".join(lines))
        return Found(
            f"{kind}, {', '.join(shown)}. {CAPTION}", row, {"measured.jpg": picture}, flags
        )

    table = output if output.suffix.lower() == ".csv" else None
    batch = Batch(
        command="measure",
        endings=("measured.jpg",),
        columns=[*FACTS, *_columns()],
        look=look,
        card=card,
        settings=network_settings(weights, model, card, cut, flips),
        output=output.with_name(output.stem + PICTURES) if table else output,
        fov_diameter=fov_diameter,
        is_mask=is_mask,
        table=table,
        more_settings={
            "disc": disc if disc in ("found", "none") else file_digest(Path(disc))[:12],
            "inputs": inputs,
            "scale_given": f"{microns_per_pixel or ''} {disc_microns or ''}".strip(),
        },
        **where,
    )
    return batch.run(photos)


def _find_disc(
    finder: tuple[nn.Module, Mapping[str, Any]],
    image: Tensor,
    angle: float,
    layout: Mapping[str, Any],
) -> Disc | None:
    """The best box of the optic disc as a circle; None where none is sure enough."""
    model, card = finder
    box = disc_box(model, card, image, field_angle=angle, least_score=card["threshold"], **layout)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    return Disc((x1 + x2) / 2, (y1 + y2) / 2, math.sqrt((x2 - x1) * (y2 - y1)))


def _from_disc(disc_microns: float | None, disc: Disc | None) -> float | None:
    return disc_microns / disc.diameter if disc_microns and disc else None


def _derived(values: Mapping[str, float], known: Validation, own: float) -> dict[str, float]:
    """What of arc by chord is above 1; the mean calibre without the network's mean error.

    That error is the one on its training children.
    """
    found = {EXCESS: values[RATIO] - 1}
    if known.offset_px is not None:
        offset = known.offset_px * own / known.pixels_per_degree
        found["calibre_mean_corrected_px"] = values["calibre_mean_px"] + offset
    return found


def _columns() -> list[str]:
    """All columns of numbers that a row may have, in order: each with its error behind it."""
    everything = measure(
        np.eye(64, dtype=bool),
        photograph=np.zeros((64, 64)),
        disc=Disc(32, 32, 8),
        arteries=np.eye(64, dtype=bool),
        veins=np.eye(64, dtype=bool),
    ).values
    names = [*everything, EXCESS, "calibre_mean_corrected_px", *in_units(everything, 1.0, 1.0)]
    known = validated_columns()
    errors = {name: [f"{name}_{part}" for part in PARTS] for name in known}
    return [column for name in names for column in (name, *errors.get(name, []))]


def _error_columns(known: Validation) -> dict[str, str]:
    return {
        f"{name}_{part}": f"{error[part]:.1f}"
        for name, error in known.columns.items()
        for part in PARTS
    }


def _digits(value: float) -> str:
    """Five significant digits: more than any of these numbers is good for; empty for none."""
    return f"{value:.5g}" if math.isfinite(value) else ""


def _shown(values: Mapping[str, float], known: Validation) -> list[str]:
    """The most important numbers, with the limits of their errors."""
    shown = []
    for name, label, unit in (
        ("area_density_percent", "area", " %"),
        ("calibre_mean_px", "mean width", " px"),
        (EXCESS, "arc/chord - 1 =", ""),
        ("fractal_dimension", "fractal dimension", ""),
    ):
        error = known.columns.get(name)
        limits = ""
        if error:
            limits = f" ({error['low_percent']:+.0f} to {error['high_percent']:+.0f} %)"
        shown.append(f"{label} {values[name]:.3g}{unit}{limits}")
    return shown


def _picture(image: Tensor, found: Measurement, disc: Disc | None, caption: str) -> np.ndarray:
    """The photograph with what was measured."""
    circles = []
    if disc is not None:
        radii = {0.5, *(0.5 + margin for ring in ZONES.values() for margin in ring)}
        circles = [(disc.x, disc.y, disc.diameter * radius) for radius in sorted(radii)]
    vessels = found.vessels
    return measured_image(
        (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8),
        [line.points for line in vessels.lines],
        vessels.widths,
        vessels.graph.branch_points,
        vessels.graph.end_points,
        circles,
        caption,
    )
