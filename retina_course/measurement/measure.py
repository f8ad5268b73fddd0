"""One photograph in numbers: density, length, calibre, tortuosity, fractal dimension, branching.

`measure` works on anyone's mask, in pixels; `in_units` adds degrees and micrometres.
Not a medical device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retina_course.evaluation.binary_maps import as_map
from retina_course.measurement.branching import branching_angles
from retina_course.measurement.calibre import widths_by_fit
from retina_course.measurement.equivalents import (
    ZONES,
    Disc,
    central_equivalents,
    vessel_widths_in,
    zone,
)
from retina_course.measurement.fractal import box_count
from retina_course.measurement.vessels import Vessels, find_vessels

DEGREES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 3.2)  # sides of the boxes
BEND_DEGREES, SHORTEST_BEND = 1.0, 11  # of a vessel, whose curvature is taken; at least, in pixels
FEW_SEGMENTS = 20
LONG = 10  # points of a vessel inside a zone for it to count


@dataclass(frozen=True)
class Measurement:
    """What `measure` returns.

    Parameters
    ----------
    values : dict of str to float
        By column, the unit in the name; not a number where there is nothing to measure.
    vessels : Vessels
        The segments behind them.
    flags : list of str
        Sentences on what makes the numbers doubtful.
    """

    values: dict[str, float]
    vessels: Vessels
    flags: list[str] = field(default_factory=list)


def measure(
    mask: NDArray[Any],
    fov: NDArray[Any] | None = None,
    *,
    probability: NDArray[Any] | None = None,
    photograph: NDArray[Any] | None = None,
    pixels_per_degree: float = 21.0,
    disc: Disc | None = None,
    arteries: NDArray[Any] | None = None,
    veins: NDArray[Any] | None = None,
) -> Measurement:
    """Measure the vessels of one photograph.

    Parameters
    ----------
    mask : ndarray of bool
        The vessels, `(H, W)`; 0 and 1 of other types are taken, too.
    fov : ndarray of bool, optional
        The field of view, `(H, W)`. Default: the whole image.
    probability : ndarray of float, optional
        `(H, W)` in [0, 1]: widths are read from it in the place of the mask.
    photograph : ndarray of float, optional
        Its green channel, `(H, W)`: adds a width that is fitted there.
    pixels_per_degree : float, default 21
        It says how large the boxes of the fractal dimension are, 0.1 to 3.2 degrees, and how long
        the part of a vessel is whose curvature is taken, 1 degree.
    disc : Disc, optional
        Adds the zones B and C.
    arteries, veins : ndarray of bool, optional
        `(H, W)` each, both or none: with the disc they add CRAE, CRVE and AVR.

    Returns
    -------
    Measurement
        The numbers and the segments behind them.

    Raises
    ------
    ValueError
        If a shape differs from the mask's, a value is not binary, only one of arteries and veins
        is given, or `pixels_per_degree` is not a positive number.

    Examples
    --------
    >>> from retina_course.data.synthetic import draw_tubes
    >>> tube = draw_tubes([np.array([[-9, 30], [109, 30]])], [5], (60, 100)) >= 0.5
    >>> values = measure(tube).values
    >>> print(f"{values['area_density_percent']:.2f} %, {values['calibre_mean_px']:.2f} pixels")
    8.33 %, 5.00 pixels
    """
    mask = as_map(mask, "mask")
    inside = np.ones(mask.shape, bool) if fov is None else as_map(fov, "fov")
    if inside.shape != mask.shape or not inside.any():
        raise ValueError(
            f"Expected a field of view of the mask's shape {mask.shape} that is not empty, got "
            f"{inside.shape} with {int(inside.sum())} pixels inside."
        )
    if (arteries is None) != (veins is None):
        raise ValueError("Arteries and veins come together: give both masks, or none.")
    if not 0 < pixels_per_degree < math.inf:
        raise ValueError(f"pixels_per_degree must be positive, got {pixels_per_degree}.")
    others = {"probability": probability, "photograph": photograph, "arteries": arteries}
    for name, other in (others | {"veins": veins}).items():
        if other is not None and np.shape(other) != mask.shape:  # a row would be taken for all rows
            raise ValueError(
                f"Expected {name} of the mask's shape {mask.shape}, got {np.shape(other)}."
            )
    mask = mask & inside
    shown = None if probability is None else np.asarray(probability) * inside
    vessels = find_vessels(mask, shown)
    area = float(inside.sum())
    values = {
        "fov_area_px2": area,
        "area_density_percent": 100 * mask.sum() / area,
        "length_px": vessels.length,
        "length_density_per_px": vessels.length / area,
        "components_count": float(vessels.graph.components),
        "branch_points_count": float(len(vessels.graph.branch_points)),
        "crossings_count": float(len(vessels.graph.crossings)),
        "end_points_count": float(len(vessels.graph.end_points)),
        "segments_count": float(len(vessels.lines)),
        **_calibres(vessels, photograph),
        **_tortuosities(vessels, pixels_per_degree),
        **_fractal(vessels, mask.shape, pixels_per_degree),
        **_angles(vessels),
    }
    if disc is not None:
        values |= {"disc_x_px": disc.x, "disc_y_px": disc.y, "disc_diameter_px": disc.diameter}
        values |= _zones(vessels, mask, inside, disc)
        if arteries is not None and veins is not None:
            kinds = as_map(arteries, "arteries") & inside, as_map(veins, "veins") & inside
            values |= central_equivalents(*kinds, disc)
    return Measurement(values, vessels, list(_flags(values)))


def _calibres(vessels: Vessels, photograph: NDArray[Any] | None) -> dict[str, float]:
    """The distribution of the widths, each weighted by the length that has it."""
    wide, weight = _weighted(vessels.lines, vessels.widths)
    distance, _ = _weighted(vessels.lines, vessels.widths_distance)
    names = {f"calibre_p{10 * k}_px": k / 10 for k in range(1, 10)}
    of_segments = vessels.mean_widths
    of_segments = of_segments[np.isfinite(of_segments)]
    found = {
        "calibre_mean_px": float(np.average(wide, weights=weight)) if len(wide) else np.nan,
        **{name: _quantile(wide, weight, q) for name, q in names.items()},
        "calibre_median_px": _quantile(wide, weight, 0.5),
        "calibre_of_segments_median_px": float(np.median(of_segments)) if len(wide) else np.nan,
        "calibre_by_distance_mean_px": (
            float(np.average(distance, weights=weight)) if len(wide) else np.nan
        ),
    }
    if photograph is not None:
        fitted = widths_by_fit(photograph, vessels.lines, vessels.widths)
        points = np.array([np.isfinite(own).sum() for own in vessels.widths])
        good = np.isfinite(fitted)
        found["calibre_in_photograph_mean_px"] = (
            float(np.average(fitted[good], weights=points[good])) if good.any() else np.nan
        )
    return found


def _weighted(
    lines: Sequence[Any], widths: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All widths there are, and the length that each stands for."""
    wide, weight = [np.empty(0)], [np.empty(0)]
    for line, own in zip(lines, widths, strict=True):
        alone = np.isfinite(own)
        wide.append(own[alone])
        weight.append(np.gradient(line.place)[alone] if len(own) > 1 else np.ones(alone.sum()))
    return np.concatenate(wide), np.concatenate(weight)


def _quantile(values: NDArray[Any], weight: NDArray[Any], q: float) -> float:
    """A quantile of weighted values."""
    if not len(values):
        return float("nan")
    order = np.argsort(values)
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return float(np.interp(q, share, values[order]))


def _tortuosities(vessels: Vessels, scale: float) -> dict[str, float]:
    """All arcs by all chords, and the curvature of all arcs.

    A mean of the segments' ratios follows the few segments that come back to where they began: a
    ratio has no upper limit, and a chord of few pixels is not known well. In the ratio of the sums
    each segment counts by its chord.
    """
    window = 2 * (max(SHORTEST_BEND, round(BEND_DEGREES * scale)) // 2) + 1
    found = vessels.tortuosities(window=window)
    if not found:
        return {"tortuosity_arc_chord": np.nan, "curvature_rms_per_px": np.nan}
    arcs, chords = (sum(getattr(one, name) for one in found) for name in ("arc", "chord"))
    squared = sum(one.total_squared for one in found) / arcs
    return {"tortuosity_arc_chord": arcs / chords, "curvature_rms_per_px": float(np.sqrt(squared))}


def _fractal(vessels: Vessels, shape: tuple[int, int], scale: float) -> dict[str, float]:
    skeleton = np.zeros(shape, bool)
    for pixels in vessels.graph.segments:
        x, y = pixels.round().astype(int).T
        skeleton[y, x] = True
    sizes = tuple(sorted({max(2, round(scale * degrees)) for degrees in DEGREES}))
    found = box_count(skeleton, sizes)
    return {
        "fractal_dimension": found.dimension,
        "fractal_fit_r2": found.r2,
        "fractal_smallest_box_px": float(sizes[0]),
        "fractal_largest_box_px": float(sizes[-1]),
    }


def _angles(vessels: Vessels) -> dict[str, float]:
    graph = vessels.graph
    widths = np.nan_to_num(vessels.mean_widths).tolist()
    angles = branching_angles(vessels.lines, widths, graph.ends, graph.degree)
    return {
        "branching_angle_mean_degrees": float(angles.mean()) if len(angles) else np.nan,
        "branching_angles_count": float(len(angles)),
    }


def _zones(
    vessels: Vessels, mask: NDArray[np.bool_], fov: NDArray[np.bool_], disc: Disc
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ZONES:
        ring = zone((mask.shape[0], mask.shape[1]), (disc.x, disc.y), disc.diameter, name)
        seen = ring & fov
        widths = vessel_widths_in(seen, vessels.lines, vessels.widths, LONG)
        found[f"zone_{name}_in_field_percent"] = 100 * seen.sum() / max(int(ring.sum()), 1)
        found[f"zone_{name}_area_density_percent"] = (
            100 * mask[seen].mean() if seen.any() else np.nan
        )
        found[f"zone_{name}_vessels_count"] = float(len(widths))
        found[f"zone_{name}_calibre_mean_px"] = float(np.mean(widths)) if widths else np.nan
    return found


def _flags(values: dict[str, float]) -> list[str]:
    """What makes the numbers doubtful."""
    flags = []
    if values["segments_count"] < FEW_SEGMENTS:
        flags.append(
            f"Only {values['segments_count']:.0f} vessel segments were found: means and counts say "
            "little."
        )
    if values.get("zone_b_in_field_percent", 100.0) < 90:
        flags.append(
            f"Only {values['zone_b_in_field_percent']:.0f} % of zone B lie in the field of view."
        )
    if min(values.get("crae_vessels_count", 6), values.get("crve_vessels_count", 6)) < 6:
        flags.append("Fewer than six arteries or six veins cross zone B; CRAE and CRVE need six.")
    return flags
