"""The calibres of the vessels around the optic disc in one number each: CRAE, CRVE and AVR.

Knudtson et al. 2003: of the six widest arteries (or veins) that cross zone B, the widest and the
narrowest are combined to the width of the trunk that would feed both, and so on, until one is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retina_course.measurement.centreline import Centreline
from retina_course.measurement.vessels import find_vessels

ARTERY, VEIN = 0.88, 0.95  # branching coefficients of Knudtson et al. 2003
LARGEST = 6
# From the disc's margin, in disc diameters: zone B 0.5 to 1, zone C 0.5 to 2.
ZONES = {"b": (0.5, 1.0), "c": (0.5, 2.0)}
FEWEST = 3  # points of a vessel whose width is known


@dataclass(frozen=True)
class Disc:
    """The optic disc.

    Parameters
    ----------
    x, y : float
        Its centre in pixels.
    diameter : float
        Pixels.
    """

    x: float
    y: float
    diameter: float


def central_equivalents(
    arteries: NDArray[np.bool_], veins: NDArray[np.bool_], disc: Disc
) -> dict[str, float]:
    """CRAE, CRVE and their ratio, from the six widest arteries and veins in zone B.

    Parameters
    ----------
    arteries, veins : ndarray of bool
        `(H, W)` each.
    disc : Disc
        The optic disc.

    Returns
    -------
    dict of str to float
        `crae_px`, `crve_px`, `avr`, and how many vessels were there, at most six; not a number
        without a vessel.

    Examples
    --------
    >>> from retina_course.data.synthetic import draw_tubes
    >>> across = [np.array([[0, 50], [100, 50]]), np.array([[50, 0], [50, 100]])]
    >>> kinds = [draw_tubes([line], [4], (101, 101)) >= 0.5 for line in across]
    >>> found = central_equivalents(*kinds, Disc(50, 50, 30))
    >>> print(f"{found['crae_px']:.1f} {found['crve_px']:.1f} {found['avr']:.2f}")
    6.2 6.7 0.93
    """
    found = {}
    for name, kind, coefficient in (("crae", arteries, ARTERY), ("crve", veins, VEIN)):
        of_kind = find_vessels(kind)
        widths = widths_across(disc, of_kind.lines, of_kind.widths)
        found[f"{name}_px"] = equivalent(widths, coefficient)
        found[f"{name}_vessels_count"] = float(min(len(widths), LARGEST))
    return found | {"avr": found["crae_px"] / found["crve_px"]}


def widths_across(
    disc: Disc, lines: Sequence[Centreline], widths: Sequence[NDArray[Any]]
) -> list[float]:
    """The mean width in zone B of each vessel that crosses the middle of the zone.

    A trunk that forks inside of the zone is there in several pieces. Only that which crosses the
    middle circle counts, so that no vessel counts twice.

    Parameters
    ----------
    disc : Disc
        The optic disc.
    lines : sequence of Centreline
        The segments, N points each.
    widths : sequence of ndarray
        `(N,)` each, their widths, not a number where there is none.

    Returns
    -------
    list of float
        Pixels, one per crossing.
    """
    near, far = (disc.diameter * (0.5 + margin) for margin in ZONES["b"])
    found = []
    for line, wide in zip(lines, widths, strict=True):
        away = np.hypot(*(line.points - [disc.x, disc.y]).T)
        for part in _runs((away >= near) & (away <= far)):
            own = wide[part][np.isfinite(wide[part])]
            crosses = away[part].min() < (near + far) / 2 <= away[part].max()
            if crosses and len(own) >= FEWEST:
                found.append(float(own.mean()))
    return found


def _runs(chosen: NDArray[np.bool_]) -> list[slice]:
    """Where points that follow each other are chosen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]


def equivalent(widths: Sequence[float], coefficient: float) -> float:
    """The central retinal equivalent of some vessels (Knudtson et al. 2003).

    Parameters
    ----------
    widths : sequence of float
        Widths of arteries or of veins, one per vessel, in one unit; the six largest count.
    coefficient : float
        `ARTERY` (0.88) or `VEIN` (0.95).

    Returns
    -------
    float
        In the same unit; not a number without a vessel.

    Examples
    --------
    Two equal vessels of width 10, then four:

    >>> round(equivalent([10, 10], ARTERY), 2), round(equivalent([10] * 4, ARTERY), 2)
    (12.45, 15.49)
    """
    left = sorted((float(width) for width in widths), reverse=True)[:LARGEST]
    if not left:
        return float("nan")
    while len(left) > 1:
        left.sort(reverse=True)
        pairs = len(left) // 2
        joined = [
            coefficient * float(np.hypot(left[i], left[-1 - i])) for i in range(pairs)
        ]  # widest with narrowest; the middle one of an odd number waits
        left = joined + left[pairs : len(left) - pairs]
    return left[0]


def zone(
    shape: tuple[int, int], centre: Sequence[float], diameter: float, name: str
) -> NDArray[np.bool_]:
    """The ring around the optic disc in which vessels are measured.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    centre : sequence of float
        (x, y) of the disc, in pixels.
    diameter : float
        Of the disc, in pixels.
    name : {"b", "c"}
        Zone B lies 0.5 to 1 disc diameters from the disc's margin, zone C 0.5 to 2.

    Returns
    -------
    ndarray of bool
        `(H, W)`.

    Raises
    ------
    ValueError
        If the diameter is not positive.

    Examples
    --------
    >>> ring = zone((101, 101), (50, 50), 20, "b")
    >>> ring[50, [50, 60, 71, 79, 81]].tolist()  # 20 to 30 pixels from the centre
    [False, False, True, True, False]
    """
    if not diameter > 0:
        raise ValueError(f"Expected the disc's diameter in pixels, above 0, got {diameter}.")
    near, far = (diameter * (0.5 + margin) for margin in ZONES[name])
    y, x = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot(x - centre[0], y - centre[1])
    return (away >= near) & (away <= far)


def vessel_widths_in(
    ring: NDArray[np.bool_], lines: Sequence[Any], widths: Sequence[NDArray[Any]], shortest: float
) -> list[float]:
    """The mean width of each vessel inside a ring.

    Parameters
    ----------
    ring : ndarray of bool
        `(H, W)`, see `zone`.
    lines : sequence of Centreline
        The segments.
    widths : sequence of ndarray
        `(N,)` each, their widths, not a number where there is none.
    shortest : float
        Pixels of a vessel that have to lie inside for it to count.

    Returns
    -------
    list of float
        Pixels, one per vessel.
    """
    found = []
    for line, wide in zip(lines, widths, strict=True):
        x, y = line.points.round().astype(int).T
        x, y = np.clip(x, 0, ring.shape[1] - 1), np.clip(y, 0, ring.shape[0] - 1)
        # One that passes the disc on its way lies in the ring twice, and counts twice.
        for part in _runs(ring[y, x]):
            own = np.asarray(wide)[part]
            own = own[np.isfinite(own)]
            if len(own) >= shortest:
                found.append(float(own.mean()))
    return found
