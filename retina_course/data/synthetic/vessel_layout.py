"""Where the vessels of a synthetic fundus image run: the trunks, and the end points of the twigs.

Coordinates are those of `vessel_tree.py`: in units of the radius of the field of view, y down.
"""

from __future__ import annotations

import numpy as np

from retina_course.data.synthetic.vessel_tree import STEP, wind

REACH = 1.08  # vessels continue a little beyond the field of view


def arcades(
    rng: np.random.Generator, disc: np.ndarray, fovea: np.ndarray, spread: float
) -> list[np.ndarray]:
    """Generate the six trunks that leave the optic disc, up or down.

    Two temporal arcades pass around the macula, two trunks run to the nasal side, and two
    straight twigs too. The temporal arcades are parabolas that open towards the macula.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random numbers.
    disc, fovea : ndarray
        Their centres, `(2,)`.
    spread : float
        Distance between arcade and fovea where the arcade passes it, as a fraction of the
        distance between disc and fovea; varied at random.

    Returns
    -------
    list of ndarray
        The nodes of each trunk, `(M, 2)`, `STEP` apart, from the disc outwards.

    Examples
    --------
    >>> disc, fovea = np.array([0.5, 0.0]), np.array([0.0, 0.0])
    >>> trunks = arcades(np.random.default_rng(0), disc, fovea, spread=0.9)
    >>> len(trunks), trunks[0].shape[1]
    (6, 2)
    """
    axis = fovea - disc
    reach = np.hypot(axis[0], axis[1])
    across = np.array([-axis[1], axis[0]])
    t = np.linspace(0, 2.2, 160)[:, None]
    bend = 1 - np.exp(-t / 0.12)  # 0 at the root: first up or down, then aside
    lines = []
    for sign in (-1, 1):
        h = spread * (0.8 + 0.35 * rng.random())
        lean = 0.6 * (rng.random() - 0.5)
        temporal = (t**2 + lean * t * bend * np.exp(-2 * t)) * axis
        temporal = temporal + sign * h * t * (1 - 0.09 * t**2) * across
        out, up = 0.35 + 0.7 * rng.random(), 0.8 + 0.5 * rng.random()
        nasal = -out * t * bend * axis + sign * up * t * across
        level, slope = 0.08 * rng.random(), 0.4 * rng.random()
        twig = -t * bend * axis + sign * (level * np.minimum(t / 0.1, 1) + slope * t) * across
        lines += [temporal, nasal, twig]
    root = disc + (rng.random() - 0.6) * 0.15 * axis + (rng.random() - 0.5) * 0.15 * across
    return [_trunk(rng, root + line, reach) for line in lines]


def _trunk(rng: np.random.Generator, line: np.ndarray, reach: float) -> np.ndarray:
    """Make a fine curve winding, cut it where it leaves the field, place its nodes STEP apart."""
    t = np.linspace(0, 1, len(line))
    ahead = np.gradient(line, axis=0)
    normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None]
    line = line + 0.03 * reach * wind(rng, np.minimum(2 * t, 1.0) / 2, 1.0, 2.0) * normal
    outside = np.hypot(line[:, 0], line[:, 1]) > REACH
    line = line[: int(np.argmax(outside)) if outside.any() else len(line)]
    steps = np.hypot(*np.diff(line, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, place[-1], max(3, int(place[-1] / STEP)))
    return np.stack([np.interp(even, place, line[:, i]) for i in (0, 1)], axis=1)


def end_points(
    rng: np.random.Generator, spacing: float, fovea: np.ndarray, free: float
) -> np.ndarray:
    """Generate the end points of the twigs, all over the field, in random order.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random numbers.
    spacing : float
        Approximate distance between neighbours.
    fovea : ndarray
        Its centre, `(2,)`.
    free : float
        Radius about the fovea without end points.

    Returns
    -------
    ndarray
        `(T, 2)`, the end points.

    Examples
    --------
    >>> points = end_points(np.random.default_rng(0), spacing=0.3, fovea=np.zeros(2), free=0.2)
    >>> points.shape[1], bool(np.hypot(*points.T).min() >= 0.2)
    (2, True)
    """
    ticks = np.arange(-REACH, REACH, spacing)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    grid = grid + spacing * rng.random(grid.shape)
    grid = grid[np.argsort(rng.random(len(grid)))]
    near = np.hypot(*(grid - fovea).T) < free
    return grid[(np.hypot(*grid.T) < REACH) & ~near]
