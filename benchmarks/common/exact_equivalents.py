"""CRAE, CRVE and AVR of a synthetic eye, from its exact centrelines and radii."""

import numpy as np

from benchmarks.common.exact_vessels import STEP, exact
from retina_course.data.synthetic import VesselGeometry
from retina_course.evaluation.agreement import bland_altman
from retina_course.measurement.centreline import smooth
from retina_course.measurement.equivalents import (
    ARTERY,
    VEIN,
    Disc,
    equivalent,
    widths_across,
)

NAMES = ("crae_px", "crve_px", "avr")


def disc_of(truth: VesselGeometry) -> Disc:
    """The optic disc of an eye."""
    return Disc(*truth.disc_centre.tolist(), truth.disc_diameter)


def exact_equivalents(truth: VesselGeometry, fov: np.ndarray) -> dict[str, float]:
    """What `central_equivalents` measures, without a pixel: the six widest in zone B."""
    disc, every = disc_of(truth), round(1 / STEP)  # a point per pixel, as a skeleton has
    found = {}
    for name, kind, coefficient in (("crae_px", "artery", ARTERY), ("crve_px", "vein", VEIN)):
        known = exact(truth, kind)
        own = [np.flatnonzero(known.branch == one)[::every] for one in np.unique(known.branch)]
        own = [index for index in own if len(index) > 1]
        lines = [smooth(known.points[index], window=1) for index in own]
        seen = [
            np.where(_in(line.points, fov), known.width[i], np.nan)
            for line, i in zip(lines, own, strict=True)
        ]
        found[name] = equivalent(widths_across(disc, lines, seen), coefficient)
    return found | {"avr": found["crae_px"] / found["crve_px"]}


def _in(points: np.ndarray, fov: np.ndarray) -> np.ndarray:
    """Which points lie in the field of view."""
    x, y = points.round().astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < fov.shape[1]) & (y < fov.shape[0])
    inside[inside] = fov[y[inside], x[inside]]
    return inside


def agreement(true: list[dict[str, float]], found: list[dict[str, float]]) -> dict[str, dict]:
    """Bias and limits of agreement in percent, over the eyes where both exist."""
    table = {}
    for name in NAMES:
        pairs = np.array([[a[name], b[name]] for a, b in zip(true, found, strict=True)])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        limits = bland_altman(pairs[:, 0], pairs[:, 1], percent=True)
        table[name] = {**limits._asdict(), "mean_true": float(pairs[:, 0].mean())}
    return table
