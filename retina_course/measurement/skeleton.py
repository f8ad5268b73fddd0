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
APART = 3.0  # pixels that two branch points have to be apart to be two, as well as a vessel's width
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
        `(M,)`, how many segments meet at each node: 1 at an end point, 3 at a branch point, 4 or
        more where vessels cross.
    reach : ndarray of float
        `(M,)`, how far from each node its vessels cover each other, in pixels.
    radius : ndarray of float
        `(H, W)`, the distance from each pixel to the nearest centre of a background pixel.
    components : int
        The connected pieces of the map (8-connected).
    """

    segments: list[NDArray[np.float64]]
    ends: NDArray[np.int64]
    nodes: NDArray[np.float64]
    degree: NDArray[np.int64]
    reach: NDArray[np.float64]
    radius: NDArray[np.float64]
    components: int

    @property
    def branch_points(self) -> NDArray[np.float64]:
        """The nodes where three segments meet, `(B, 2)`."""
        return self.nodes[self.degree == 3]

    @property
    def crossings(self) -> NDArray[np.float64]:
        """The nodes where four or more segments meet, `(C, 2)`."""
        return self.nodes[self.degree >= 4]

    @property
    def end_points(self) -> NDArray[np.float64]:
        """The nodes where one segment ends, `(E, 2)`."""
        return self.nodes[self.degree == 1]


def skeleton_graph(mask: NDArray[Any], spur: float = SPUR) -> SkeletonGraph:
    """The skeleton of a vessel map as a graph, without spurs.

    A spur is a segment with a free end that stays inside the vessel it leaves, or leaves it by less
    than `spur` pixels: bumps of the outline make them. Segments that then meet two by two are
    joined. Where two vessels cross, a skeleton has two branch points and a short segment between
    them. So branch points that are less than a vessel's width apart, or 3 pixels, become one node.
    Vessels that cross at less than about 60 degrees run together for longer, and often stay two
    branch points.

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
        graph = _graph(skeleton)
    pieces = ndimage.label(mask, EIGHT)[1]
    return SkeletonGraph(*_merged(graph, radius), radius, int(pieces))


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


def _merged(graph: Parts, radius: NDArray[np.float64]) -> tuple[*Parts, NDArray[np.float64]]:
    """The graph with branch points that are less than a vessel's width apart as one node."""
    segments, ends, nodes, degree = graph
    if not len(nodes):
        return (*graph, np.empty(0))
    x, y = nodes.round().astype(int).T
    reach = radius[y, x]
    width = 2 * reach - 1
    length = np.array([np.hypot(*np.diff(line, axis=0).T).sum() for line in segments])
    inner = (ends >= 0).all(axis=1) & (degree[ends] >= 3).all(axis=1)
    inner &= (ends[:, 0] != ends[:, 1]) & (length < np.maximum(width[ends].max(axis=1), APART))
    joined = sparse.csr_matrix((inner[inner], ends[inner].T), shape=(len(nodes), len(nodes)))
    count, new = connected_components(joined, directed=False)
    centres = (
        np.column_stack([np.bincount(new, weights=nodes[:, i], minlength=count) for i in (0, 1)])
        / np.bincount(new)[:, None]
    )
    kept = np.flatnonzero(~inner)
    pairs = np.where(ends[kept] >= 0, new[ends[kept]], -1)
    lines = [_led_to(segments[s], centres, pair) for s, pair in zip(kept, pairs, strict=True)]
    reaches = np.zeros(count)
    np.maximum.at(reaches, new, reach + np.hypot(*(nodes - centres[new]).T))
    return lines, pairs, centres, np.bincount(pairs[pairs >= 0], minlength=count), reaches


def _led_to(
    line: NDArray[np.float64], centres: NDArray[np.float64], pair: NDArray[np.int64]
) -> NDArray[np.float64]:
    """A segment that begins and ends at the centres of its nodes, in steps of about a pixel."""
    for end, node in ((0, pair[0]), (-1, pair[1])):
        if node >= 0 and (away := float(np.hypot(*(centres[node] - line[end])))) > 0:
            more = np.linspace(centres[node], line[end], max(2, round(away) + 1))[:-1]
            line = np.concatenate([more, line] if end == 0 else [line, more[::-1]])
    return line


def _graph(skeleton: NDArray[np.bool_]) -> Parts:
    """Segments, their nodes, the nodes and their degrees."""
    rows, columns = np.nonzero(skeleton)
    place = np.column_stack([columns, rows]).astype(np.float64)
    neighbours = _neighbours(rows, columns)
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


def _neighbours(rows: NDArray[Any], columns: NDArray[Any]) -> sparse.csr_matrix:
    """Which pixels of a skeleton, given in the order of rows, follow each other, as a matrix."""
    across = int(columns.max(initial=0)) + 3
    place = rows * across + columns + 1

    def at(down: int, right: int) -> NDArray[np.int64]:
        """The number of the pixel that far from each pixel; -1 where there is none."""
        wanted = place + down * across + right
        found = np.minimum(np.searchsorted(place, wanted), len(place) - 1)
        return np.where(place[found] == wanted, found, -1)

    here = np.arange(len(place))
    pairs = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = at(down, right)
        joined = other >= 0
        if down and right:  # across a corner: without a third pixel beside both
            joined &= (at(0, right) < 0) & (at(1, 0) < 0)
        pairs.append(np.column_stack([here[joined], other[joined]]))
    both = np.concatenate([*pairs, *(pair[:, ::-1] for pair in pairs)])
    ones = np.ones(len(both), dtype=np.int8)
    return sparse.csr_matrix((ones, (both[:, 0], both[:, 1])), shape=(len(place), len(place)))


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
