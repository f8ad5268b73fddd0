"""From a vessel map to its skeleton graph: segments between branch points and end points.

The skeleton is a set of pixels; a graph says which of them follow each other. The skeleton is that
of Lee, Kashyap and Chu 1994 in scikit-image: the other one there, of Zhang and Suen 1984, shortens
vessels at 45 degrees, some of them to a single pixel. Two pixels are neighbours where they share a
side, or a corner without a third pixel beside both; so a staircase has no branch points.

Points are (x, y) in pixels; the centre of the first pixel is (0, 0), y points down.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.morphology import skeletonize

from retina_course.evaluation.binary_maps import as_map

SPUR = 1.5  # pixels that a twig has to stand out of the vessel that it leaves
EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class SkeletonGraph:
    """The skeleton of a vessel map, as a graph.

    Parameters
    ----------
    segments : list of ndarray of float
        `(N, 2)` each: the pixels from one node to the next, in order, nodes included.
    ends : ndarray of int
        `(S, 2)`, the nodes where each segment begins and ends; -1 twice for a ring without a node.
    nodes : ndarray of float
        `(M, 2)`, branch points and end points.
    degree : ndarray of int
        `(M,)`, how many segments meet at each node: 1 at an end point, 3 or more at a branch point.
    radius : ndarray of float
        `(H, W)`, the distance from each pixel to the nearest centre of a background pixel.
    components : int
        The connected pieces of the map (8-connected).
    """

    segments: list[NDArray[np.float64]]
    ends: NDArray[np.int64]
    nodes: NDArray[np.float64]
    degree: NDArray[np.int64]
    radius: NDArray[np.float64]
    components: int

    @property
    def branch_points(self) -> NDArray[np.float64]:
        """The nodes where three or more segments meet, `(B, 2)`."""
        return self.nodes[self.degree >= 3]

    @property
    def end_points(self) -> NDArray[np.float64]:
        """The nodes where one segment ends, `(E, 2)`."""
        return self.nodes[self.degree == 1]


def skeleton_graph(mask: NDArray[Any], spur: float = SPUR) -> SkeletonGraph:
    """The skeleton of a vessel map as a graph, without spurs.

    A spur is a segment with a free end that stays inside the vessel it leaves, or leaves it by less
    than `spur` pixels: bumps of the outline make them. Segments that then meet two by two are
    joined.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`, cut to the field of view; 0 and 1 of other types are taken, too.
    spur : float, default 1.5
        Pixels.

    Returns
    -------
    SkeletonGraph
        The graph; empty for an empty map.

    Raises
    ------
    ValueError
        If the mask is not `(H, W)`, or if a value is not binary.

    Examples
    --------
    A horizontal vessel with a branch upwards, 3 pixels wide:

    >>> mask = np.zeros((40, 60), dtype=bool)
    >>> mask[29:32, 5:55] = mask[5:30, 29:32] = True
    >>> graph = skeleton_graph(mask)
    >>> len(graph.segments), len(graph.branch_points), len(graph.end_points)
    (3, 1, 3)
    """
    mask = as_map(mask, "mask")
    radius = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    skeleton = thinned(mask)
    graph = _graph(skeleton)
    for _ in range(3):  # a spur may have had a spur
        spurs = [s for s in range(len(graph[0])) if _is_spur(s, graph, radius, spur)]
        if not spurs:
            break
        for s in spurs:
            line = graph[0][s].astype(int)
            free = line if graph[3][graph[1][s, 0]] == 1 else line[::-1]
            skeleton[free[:-1, 1], free[:-1, 0]] = False
        graph = _graph(thinned(skeleton))
    pieces = ndimage.label(mask, EIGHT)[1]
    return SkeletonGraph(*graph, radius, int(pieces))


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of the skeleton of a mask, without taking it apart into segments.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`.

    Returns
    -------
    ndarray of bool
        `(H, W)`.

    Examples
    --------
    >>> mask = np.zeros((5, 9), dtype=bool)
    >>> mask[1:4, 1:8] = True
    >>> np.unique(np.nonzero(thinned(mask))[0])  # one row is left
    array([2])
    """
    return skeletonize(mask, method="lee") > 0


Parts = tuple[list[NDArray[np.float64]], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


def _is_spur(s: int, graph: Parts, radius: NDArray[np.float64], spur: float) -> bool:
    """Whether a segment with a free end leaves its vessel by less than `spur` pixels."""
    segments, ends, nodes, degree = graph
    first, last = ends[s]
    if first < 0 or sorted((degree[first] > 1, degree[last] > 1)) != [False, True]:
        return False
    x, y = nodes[last if degree[last] > 1 else first].round().astype(int)
    steps = np.hypot(*np.diff(segments[s], axis=0).T).sum()
    return bool(steps < radius[y, x] + spur)


def _graph(skeleton: NDArray[np.bool_]) -> Parts:
    """Segments, their nodes, the nodes and their degrees."""
    rows, columns = np.nonzero(skeleton)
    place = np.column_stack([columns, rows]).astype(np.float64)
    neighbours = _neighbours(skeleton)
    degree = np.diff(neighbours.indptr)
    cluster, centres = _nodes(neighbours, degree, place)
    indptr, indices = neighbours.indptr.tolist(), neighbours.indices.tolist()
    of = cluster.tolist()
    segments, ends = [], []
    seen = np.zeros(len(place), dtype=bool)
    done: set[tuple[int, int]] = set()
    for start in np.flatnonzero(cluster >= 0).tolist():
        for step in indices[indptr[start] : indptr[start + 1]]:
            if of[step] == of[start] or (start, step) in done:
                continue
            path = [start, step]
            while of[path[-1]] < 0:
                here, before = path[-1], path[-2]
                path.append(
                    next(i for i in indices[indptr[here] : indptr[here + 1]] if i != before)
                )
            done.add((path[-1], path[-2]))
            seen[path] = True
            a, b = of[path[0]], of[path[-1]]
            line = place[path]
            line[0], line[-1] = centres[a], centres[b]
            segments.append(line)
            ends.append((a, b))
    for start in np.flatnonzero(~seen & (degree == 2) & (cluster < 0)).tolist():
        if not seen[start]:  # a ring without a node
            path = [start, indices[indptr[start]]]
            while path[-1] != start:
                here, before = path[-1], path[-2]
                path.append(
                    next(i for i in indices[indptr[here] : indptr[here + 1]] if i != before)
                )
            seen[path] = True
            segments.append(place[path])
            ends.append((-1, -1))
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    count = np.bincount(pairs[pairs >= 0], minlength=len(centres))
    return segments, pairs, centres, count.astype(np.int64)


def _neighbours(skeleton: NDArray[np.bool_]) -> sparse.csr_matrix:
    """Which pixels of a skeleton follow each other, as a matrix of its pixels."""
    number = np.full(skeleton.shape, -1)
    number[skeleton] = np.arange(skeleton.sum())
    padded = np.pad(number, 1, constant_values=-1)
    here, right = padded[1:-1, 1:-1], padded[1:-1, 2:]
    below, left = padded[2:, 1:-1], padded[1:-1, :-2]
    corner_right, corner_left = padded[2:, 2:], padded[2:, :-2]
    pairs = []
    for other, beside in (
        (right, None),
        (below, None),
        (corner_right, right),
        (corner_left, left),
    ):
        joined = (here >= 0) & (other >= 0)
        if beside is not None:
            joined &= (beside < 0) & (below < 0)
        pairs.append(np.column_stack([here[joined], other[joined]]))
    both = np.concatenate([*pairs, *(pair[:, ::-1] for pair in pairs)])
    count = int(skeleton.sum())
    ones = np.ones(len(both), dtype=np.int8)
    return sparse.csr_matrix((ones, (both[:, 0], both[:, 1])), shape=(count, count))


def _nodes(
    neighbours: sparse.csr_matrix, degree: NDArray[Any], place: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The node of each pixel, -1 for none, and the centre of each node.

    Pixels with three or more neighbours that touch each other are one branch point.
    """
    is_node = degree != 2
    rows, columns = neighbours.nonzero()
    branching = degree >= 3
    both = branching[rows] & branching[columns]
    ones = np.ones(both.sum(), dtype=np.int8)
    touching = sparse.csr_matrix((ones, (rows[both], columns[both])), shape=neighbours.shape)
    label = connected_components(touching, directed=False)[1]
    kept, cluster = np.unique(label[is_node], return_inverse=True)
    node = np.full(len(place), -1)
    node[is_node] = cluster
    sums = np.zeros((len(kept), 2))
    np.add.at(sums, cluster, place[is_node])
    counts = np.bincount(cluster, minlength=len(kept))
    return node, sums / counts[:, None]
