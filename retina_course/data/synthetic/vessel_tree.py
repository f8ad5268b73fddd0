"""Vessel trees for the synthetic fundus images: grown as geometry, then painted.

A tree starts from trunks (the arcades that leave the optic disc). Target points spread over the
retina are then joined to it one after the other, each by the cheapest forward connection, in the
manner of constrained constructive optimisation (Schreiner and Buxbaum 1993). Calibres follow from
the finished tree by Murray's law (1926): at each fork r0^3 = r1^3 + r2^3.

Coordinates are (x, y) in units of the radius of the field of view, origin at its centre, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 0.025  # spacing of the nodes along a vessel
REACH = 1.08  # vessels run on a little beyond the field of view


@dataclass(frozen=True)
class Tree:
    """Nodes of one tree; node i is joined to node `parent[i]` (-1 at a root) with `radius[i]`."""

    points: np.ndarray  # (N, 2)
    parent: np.ndarray  # (N,), parent[i] < i
    radius: np.ndarray  # (N,)


def grow(
    rng: np.random.Generator,
    trunks: list[np.ndarray],
    targets: np.ndarray,
    tortuosity: float,
    twig_radius: float,
) -> Tree:
    """Join every target to the trunks and give each node its calibre.

    Parameters
    ----------
    trunks : list of (M, 2) arrays from the disc outwards.
    targets : (T, 2) end points of the twigs, in the order in which they are joined.
    tortuosity : sideways excursion of a branch as a share of its length.
    twig_radius : radius at the end of a twig.
    """
    room = 64 * len(trunks) + 90 * len(targets)
    points, headings = np.empty((room, 2)), np.empty((room, 2))
    branches: list[tuple[int, int, int]] = []  # (parent, first, last + 1)
    count = 0

    def add(parent: int, line: np.ndarray) -> None:
        nonlocal count
        start = line[0] if parent < 0 else points[parent]
        end = count + len(line)
        points[count:end] = line
        steps = np.diff(line, axis=0, prepend=start[None])
        if parent < 0:
            steps[0] = steps[1]
        headings[count:end] = steps / np.hypot(steps[:, 0], steps[:, 1])[:, None]
        branches.append((parent, count, end))
        count = end

    for trunk in trunks:
        add(-1, trunk)
    for target in targets:
        offset = target - points[:count]
        distance = np.hypot(offset[:, 0], offset[:, 1]) + 1e-9
        forward = (offset * headings[:count]).sum(axis=1) / distance
        parent = int(np.argmin(distance * (1.7 - forward)))
        if distance[parent] > 1.5 * STEP:
            line = _branch(rng, points[parent], headings[parent], target, tortuosity)
            add(parent, line)
    parents = np.arange(-1, count - 1)
    for parent, first, _ in branches:
        parents[first] = parent
    return Tree(points[:count], parents, _calibres(branches, count, twig_radius))


def _branch(rng, start, heading, target, tortuosity) -> np.ndarray:
    """A curve that leaves `start` half along the parent's heading and winds its way to `target`."""
    chord = target - start
    length = np.hypot(chord[0], chord[1])
    control = start + 0.25 * length * heading + 0.25 * chord
    t = np.linspace(0, 1, max(3, int(np.ceil(length / STEP)) + 1))[1:, None]
    line = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * target
    return line + wind(rng, t[:, 0], tortuosity * length, length) * [[-chord[1], chord[0]]] / length


def wind(rng, t, amplitude, length) -> np.ndarray:
    """Sideways displacement (M, 1) along t in [0, 1]: three random waves, none at both ends."""
    phase, height = rng.random(3) * 2 * np.pi, rng.standard_normal(3)
    cycles = (0.6 + rng.random(3)) * (1 + length * np.array([1.0, 2.5, 5.0]))
    waves = height * np.array([1.0, 0.5, 0.25]) * np.sin(2 * np.pi * cycles * t[:, None] + phase)
    return (amplitude * np.sin(np.pi * t) * waves.sum(axis=1))[:, None]


def _calibres(branches, count: int, twig_radius: float) -> np.ndarray:
    """Murray's law from the twigs to the roots: the cubes of the radii add up at each fork."""
    # Each node gives off a little to capillaries too thin to draw: vessels taper between forks.
    cubes = np.full(count, 0.04)
    for parent, first, end in reversed(branches):
        cubes[end - 1] = max(cubes[end - 1], 1.0)  # a twig ends here, or goes on as a branch
        cubes[first:end] = np.cumsum(cubes[first:end][::-1])[::-1]
        if parent >= 0:
            cubes[parent] += cubes[first]
    return twig_radius * np.cbrt(cubes)


def paint(tree: Tree, side: int, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint a tree on a (side, side) grid with `scale` pixels to the unit.

    Returns
    -------
    cover : share of each pixel that lies in a vessel; 0.5 on the wall.
    depth : relative thickness of the blood column, 0 to 1; thin vessels are paler.
    core : 1 on the axis of a wide vessel, for the central light reflex.
    """
    # Below a radius of a quarter of a pixel a vessel is not drawn, but every size keeps the
    # large ones.
    keep = (tree.parent >= 0) & (tree.radius * scale >= min(0.25, 0.006 * scale))
    start = tree.points[tree.parent[keep]] * scale + side / 2 - 0.5
    end = tree.points[keep] * scale + side / 2 - 0.5
    true_radius = tree.radius[keep] * scale
    radius = np.maximum(true_radius, 0.5)  # a line one pixel wide does not break up
    strength = np.sqrt(true_radius / radius) * (1 - np.exp(-tree.radius[keep] / 0.006))
    shine = np.clip((true_radius - 0.8) / 1.5, 0, 1)

    low = np.floor(np.minimum(start, end) - radius[:, None] - 1).astype(int)
    high = np.ceil(np.maximum(start, end) + radius[:, None] + 1).astype(int)
    window = -4 * (-(high - low + 1).max(axis=1) // 4)  # rounded up: few different sizes
    layers = np.zeros((3, side * side))
    for k in np.unique(window):
        chosen = np.flatnonzero(window == k)
        for part in np.array_split(chosen, len(chosen) * k * k // 2**20 + 1):
            x = (low[part, 0, None, None] + np.arange(k)).astype(float)
            y = (low[part, 1, None, None] + np.arange(k)[:, None]).astype(float)
            distance = _distance(x, y, start[part], end[part])
            r = radius[part, None, None]
            cover = np.clip(r - distance + 0.5, 0, 1)
            inside = (cover > 0) & (x >= 0) & (x < side) & (y >= 0) & (y < side)
            pixel = (y * side + x)[inside].astype(int)
            column = np.sqrt(np.clip(1 - (distance / (r + 0.5)) ** 2, 0, 1))
            depth = cover * (0.4 + 0.6 * column) * strength[part, None, None]
            core = np.clip(1 - distance / (0.45 * r), 0, 1) * shine[part, None, None]
            for layer, value in zip(layers, (cover, depth, core), strict=True):
                np.maximum.at(layer, pixel, value[inside])
    return tuple(layers.reshape(3, side, side))


def _distance(x, y, start, end) -> np.ndarray:
    """Distance from pixels (S, k, k) to segments (S, 2)-(S, 2)."""
    ax, ay = start[:, 0, None, None], start[:, 1, None, None]
    bx, by = end[:, 0, None, None] - ax, end[:, 1, None, None] - ay
    along = ((x - ax) * bx + (y - ay) * by) / (bx**2 + by**2)
    along = np.clip(along, 0, 1)
    return np.hypot(x - ax - along * bx, y - ay - along * by)


def arcades(rng, disc, fovea, spread: float) -> list[np.ndarray]:
    """Trunks from the disc: two that arch round the macula, two nasal, two straight nasal twigs.

    The temporal arcades are parabolas that open towards the macula, `spread` times the distance
    from disc to fovea away from the fovea where they pass it. All leave the disc up or down.
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


def _trunk(rng, line, reach) -> np.ndarray:
    """Wind a fine curve, cut it where it leaves the field, space its nodes by STEP."""
    t = np.linspace(0, 1, len(line))
    ahead = np.gradient(line, axis=0)
    normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None]
    line = line + 0.03 * reach * wind(rng, np.minimum(2 * t, 1.0) / 2, 1.0, 2.0) * normal
    gone = np.hypot(line[:, 0], line[:, 1]) > REACH
    line = line[: int(np.argmax(gone)) if gone.any() else len(line)]
    steps = np.hypot(*np.diff(line, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, place[-1], max(3, int(place[-1] / STEP)))
    return np.stack([np.interp(even, place, line[:, i]) for i in (0, 1)], axis=1)


def targets(rng, spacing: float, fovea, free: float) -> np.ndarray:
    """Points spread over the field, about `spacing` apart, in random order; none near the fovea."""
    ticks = np.arange(-REACH, REACH, spacing)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    grid = grid + spacing * rng.random(grid.shape)
    grid = grid[np.argsort(rng.random(len(grid)))]
    near = np.hypot(*(grid - fovea).T) < free
    return grid[(np.hypot(*grid.T) < REACH) & ~near]
