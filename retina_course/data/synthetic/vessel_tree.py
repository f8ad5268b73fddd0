"""Vessel trees for the synthetic fundus images: grown as geometry, then painted.

A tree starts from trunks, the arcades that leave the optic disc. Target points all over the retina
are then joined to it one after the other, each by the cheapest forward connection, similar to
constrained constructive optimisation (Schreiner and Buxbaum 1993). The calibres follow from the
finished tree by Murray's law (1926): at each fork r0^3 = r1^3 + r2^3.

Coordinates are (x, y) in units of the radius of the field of view, origin at its centre, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 0.025  # spacing of the nodes along a vessel


@dataclass(frozen=True)
class Tree:
    """A vessel tree: nodes, each joined to its parent by a straight segment.

    Parameters
    ----------
    points : ndarray
        `(N, 2)`, the nodes.
    parent : ndarray of int
        `(N,)`, the index of each node's parent, which is smaller than its own; -1 at a root.
    radius : ndarray
        `(N,)`, the radius of the segment to the parent.
    """

    points: np.ndarray
    parent: np.ndarray
    radius: np.ndarray


def grow(
    rng: np.random.Generator,
    trunks: list[np.ndarray],
    targets: np.ndarray,
    tortuosity: float,
    twig_radius: float,
) -> Tree:
    """Join every target to the trunks and compute the radius at each node.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random numbers.
    trunks : list of ndarray
        `(M, 2)` each, from the disc outwards.
    targets : ndarray
        `(T, 2)`, end points of the twigs, in the order in which they are joined.
    tortuosity : float
        Sideways excursion of a branch as a fraction of its length.
    twig_radius : float
        Radius at the end of a twig.

    Returns
    -------
    Tree
        The finished tree.

    Examples
    --------
    >>> trunk = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]])
    >>> tree = grow(np.random.default_rng(0), [trunk], np.array([[0.6, 0.3]]), 0.0, 0.01)
    >>> tree.points[:3].tolist(), tree.parent[:4].tolist()  # the twig leaves node 1
    ([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]], [-1, 0, 1, 1])
    >>> bool(tree.radius[0] > tree.radius[2])  # Murray's law
    True
    """
    capacity = 64 * len(trunks) + 90 * len(targets)
    points, headings = np.empty((capacity, 2)), np.empty((capacity, 2))
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


def _branch(
    rng: np.random.Generator,
    start: np.ndarray,
    heading: np.ndarray,
    target: np.ndarray,
    tortuosity: float,
) -> np.ndarray:
    """A winding curve to `target` that leaves `start` partly in the parent's direction."""
    chord = target - start
    length = np.hypot(chord[0], chord[1])
    control = start + 0.25 * length * heading + 0.25 * chord
    t = np.linspace(0, 1, max(3, int(np.ceil(length / STEP)) + 1))[1:, None]
    line = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * target
    return line + wind(rng, t[:, 0], tortuosity * length, length) * [[-chord[1], chord[0]]] / length


def wind(rng: np.random.Generator, t: np.ndarray, amplitude: float, length: float) -> np.ndarray:
    """Generate a sideways displacement along a curve: three random waves, 0 at both ends.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random numbers.
    t : ndarray
        `(M,)`, positions along the curve in [0, 1].
    amplitude : float
        Scale of the displacement.
    length : float
        Length of the curve; longer curves have more waves.

    Returns
    -------
    ndarray
        `(M, 1)`, the displacement.

    Examples
    --------
    >>> displacement = wind(np.random.default_rng(0), np.linspace(0, 1, 5), 0.1, 1.0)
    >>> displacement.shape, bool(np.abs(displacement[[0, 4]]).max() < 1e-12)
    ((5, 1), True)
    """
    phase, height = rng.random(3) * 2 * np.pi, rng.standard_normal(3)
    cycles = (0.6 + rng.random(3)) * (1 + length * np.array([1.0, 2.5, 5.0]))
    waves = height * np.array([1.0, 0.5, 0.25]) * np.sin(2 * np.pi * cycles * t[:, None] + phase)
    return (amplitude * np.sin(np.pi * t) * waves.sum(axis=1))[:, None]


def _calibres(branches: list[tuple[int, int, int]], count: int, twig_radius: float) -> np.ndarray:
    """Murray's law from the twigs to the roots: the cubes of the radii add up at each fork."""
    # Each node supplies capillaries that are too thin to paint: vessels taper between forks.
    cubes = np.full(count, 0.04)
    for parent, first, end in reversed(branches):
        cubes[end - 1] = max(cubes[end - 1], 1.0)  # a twig ends here, or goes on as a branch
        cubes[first:end] = np.cumsum(cubes[first:end][::-1])[::-1]
        if parent >= 0:
            cubes[parent] += cubes[first]
    return twig_radius * np.cbrt(cubes)


def painted(tree: Tree, scale: float) -> np.ndarray:
    """Which segments of a tree are painted: the large ones at every size, others from half a pixel.

    Parameters
    ----------
    tree : Tree
        The tree.
    scale : float
        Pixels per unit of the tree's coordinates.

    Returns
    -------
    ndarray of bool
        `(N,)`, for the segment from each node to its parent.

    Examples
    --------
    >>> tree = Tree(np.zeros((3, 2)), np.array([-1, 0, 1]), np.array([0.1, 0.1, 0.001]))
    >>> painted(tree, scale=10.0).tolist()
    [False, True, False]
    """
    return (tree.parent >= 0) & (tree.radius * scale >= min(0.25, 0.006 * scale))


def paint(tree: Tree, side: int, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint a tree on a grid of pixels.

    Parameters
    ----------
    tree : Tree
        The tree.
    side : int
        Height and width of the grid in pixels.
    scale : float
        Pixels per unit of the tree's coordinates, whose origin is the centre of the grid.

    Returns
    -------
    cover : ndarray
        `(side, side)`, the fraction of each pixel inside a vessel; 0.5 on the wall.
    depth : ndarray
        `(side, side)`, relative thickness of the blood column, 0 to 1; thin vessels are paler.
    core : ndarray
        `(side, side)`, 1 on the axis of a wide vessel, for the central light reflex.

    Examples
    --------
    >>> ends = np.array([[-0.5, 0.0], [0.5, 0.0]])
    >>> tree = Tree(ends, np.array([-1, 0]), np.array([0.1, 0.1]))
    >>> cover, _, _ = paint(tree, side=8, scale=10.0)
    >>> (cover >= 0.5).sum(axis=0).tolist()  # a horizontal vessel, 2 pixels wide
    [2, 2, 2, 2, 2, 2, 2, 2]
    """
    keep = painted(tree, scale)
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
    cover, depth, core = layers.reshape(3, side, side)
    return cover, depth, core


def _distance(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance from pixels (S, k, k) to segments (S, 2)-(S, 2)."""
    ax, ay = start[:, 0, None, None], start[:, 1, None, None]
    bx, by = end[:, 0, None, None] - ax, end[:, 1, None, None] - ay
    along = ((x - ax) * bx + (y - ay) * by) / (bx**2 + by**2)
    along = np.clip(along, 0, 1)
    return np.hypot(x - ax - along * bx, y - ay - along * by)
