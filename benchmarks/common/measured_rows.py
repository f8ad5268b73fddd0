"""The measurements of real photographs, each computed once: by two people, by each network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.digests import of_code
from benchmarks.common.files import ROOT, RUNS, once
from benchmarks.common.measured_maps import loaded, vessel_map
from benchmarks.common.shape_scores import shape_scores
from retina_course.data.photographs import Photograph
from retina_course.evaluation.binary_maps import binary_scores
from retina_course.measurement.measure import measure

FOLDER = RUNS / "measurement" / "rows"
CODE = of_code(ROOT / "retina_course" / "measurement" / "measure.py")
SOURCES = ("mask", "map")  # where the widths of a network are read
# The five that the summary counts; the others are stored, too.
MAIN = (
    "area_density_percent",
    "length_density_per_px",
    "calibre_mean_px",
    "tortuosity_arc_chord",
    "fractal_dimension",
)
OTHERS = (
    *("calibre_median_px", "calibre_p90_px", "calibre_by_distance_mean_px"),
    *("calibre_in_photograph_mean_px", "curvature_rms_per_px"),
    *("branch_points_count", "end_points_count", "components_count"),
    "branching_angle_mean_degrees",
)
COLUMNS = (*MAIN, *OTHERS)


def by_person(photo: Photograph, which: str, step: int = 1) -> dict[str, float]:
    """The columns of one observer's mask: "first" or "second"; of every `step`th pixel."""
    mask = photo.ground_truth if which == "first" else photo.second_observer
    return _row(f"{which}_{photo.name}", mask & photo.fov, photo.fov, photo, step=step)


def by_network(
    network: str,
    photo: Photograph,
    source: str,
    variant: str = "as it is",
    fov: np.ndarray | None = None,
    step: int = 1,
) -> dict[str, float]:
    """The columns of a network's map, inside `fov` (default: where the map is valid)."""
    _, card = loaded(network)
    found = vessel_map(network, photo, variant)
    inside = found.fov if fov is None else fov
    p = found.probability * inside
    part = "" if fov is None else f"_in_{int(fov.sum())}"
    name = f"{card['sha256'][:8]}_{photo.name}_{source}_{variant}{part}".replace(" ", "_")
    mask = (p >= card["threshold"]) & inside
    return _row(name, mask, inside, photo, p if source == "map" else None, step)


def scores(network: str, photo: Photograph, tolerance: float) -> dict[str, float]:
    """F1, clDice, NSD and Betti-0 error of a network against the first observer."""
    _, card = loaded(network)
    found = (vessel_map(network, photo).probability >= card["threshold"]) & photo.fov
    path = FOLDER / f"scores_{card['sha256'][:8]}_{photo.name}.json"

    def run() -> dict[str, float]:
        truth = photo.ground_truth
        shape = shape_scores(found, truth, photo.fov, tolerance)
        f1 = binary_scores(found[photo.fov], truth[photo.fov])["f1"]
        return {"f1": f1, **{key: shape[key] for key in ("cldice", "nsd", "betti0_error")}}

    return once(path, {}, run)


def _row(
    name: str,
    mask: np.ndarray,
    fov: np.ndarray,
    photo: Photograph,
    p: np.ndarray | None = None,
    step: int = 1,
) -> dict[str, float]:
    """The columns, from the file where the same code has stored them before."""
    path: Path = FOLDER / f"{name}.json"
    own = max(np.ptp(np.flatnonzero(photo.fov.any(axis=axis))) + 1 for axis in (0, 1))

    def run() -> dict[str, float]:
        values = measure(
            mask[::step, ::step],
            fov[::step, ::step],
            probability=p,
            photograph=photo.image[::step, ::step, 1] / 255,
            pixels_per_degree=own / photo.field_angle / step,
        ).values
        return {column: float(values[column]) for column in COLUMNS}

    return once(path, CODE, run)


def table(rows: Iterator[dict[str, float]] | list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows as arrays by column."""
    rows = list(rows)
    return {column: np.array([row[column] for row in rows]) for column in COLUMNS}
