"""All vessels of a map: each segment with its centreline, widths and tortuosity."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retina_course.evaluation.binary_maps import as_map
from retina_course.measurement.calibre import widths_by_distance, widths_by_profile
from retina_course.measurement.centreline import Centreline, centreline, to_free_end
from retina_course.measurement.skeleton import SkeletonGraph, skeleton_graph
from retina_course.measurement.tortuosity import BEND, Tortuosity, tortuosity

SHORTEST = 10.0  # pixels of a segment whose tortuosity is measured


@dataclass(frozen=True)
class Vessels:
    """The segments of a vessel map, measured.

    Parameters
    ----------
    graph : SkeletonGraph
        What they are made of.
    lines : list of Centreline
        One per segment, N points each.
    widths : list of ndarray of float
        `(N,)` each, by the profile, in pixels; not a number near a branch point, where another
        vessel lies in the profile.
    widths_distance : list of ndarray of float
        Likewise, by the distance transform.
    """

    graph: SkeletonGraph
    lines: list[Centreline]
    widths: list[NDArray[np.float64]]
    widths_distance: list[NDArray[np.float64]]

    @property
    def length(self) -> float:
        """The length of all segments in pixels."""
        return float(sum(line.length for line in self.lines))

    @property
    def mean_widths(self) -> NDArray[np.float64]:
        """The mean width of each segment in pixels; of short ones, with their branch points."""
        return np.array(
            [np.nanmean(wide) if np.isfinite(wide).any() else np.nan for wide in self.widths]
        )

    def tortuosities(self, shortest: float = SHORTEST, window: int = BEND) -> list[Tortuosity]:
        """The tortuosity of each segment that is long enough.

        Parameters
        ----------
        shortest : float, default 10
            Pixels from end to end.
        window : int, default 21
            See `curvature`.

        Returns
        -------
        list of Tortuosity
            In the order of the segments. Loops, which end where they begin, are left out: they have
            no chord.
        """
        closed = self.graph.ends[:, 0] == self.graph.ends[:, 1]
        return [
            tortuosity(line, window)
            for line, loop in zip(self.lines, closed, strict=True)
            if not loop and line.chord >= shortest
        ]


def find_vessels(mask: NDArray[Any], image: NDArray[Any] | None = None) -> Vessels:
    """Take a vessel map apart into segments, and measure each.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`, cut to the field of view; 0 and 1 of other types are taken, too.
    image : ndarray of float, optional
        The probability map that the mask comes from, `(H, W)` in [0, 1]: widths and centrelines
        are then read from it. Default: from the mask itself.

    Returns
    -------
    Vessels
        Centrelines and widths.

    Raises
    ------
    ValueError
        If the mask is not `(H, W)`, or a value is not binary, or the image has another shape.

    Examples
    --------
    >>> from retina_course.data.synthetic import draw_tubes
    >>> tube = draw_tubes([np.array([[10, 10], [90, 50]])], [6], (60, 100)) >= 0.5
    >>> vessels = find_vessels(tube)
    >>> print(f"length {vessels.length:.0f}, width {vessels.mean_widths[0]:.1f}")
    length 89, width 5.9
    """
    mask = as_map(mask, "mask")
    source = mask.astype(np.float64) if image is None else np.asarray(image, dtype=np.float64)
    if source.shape != mask.shape:
        raise ValueError(f"Mask and image must have one shape, got {mask.shape}, {source.shape}.")
    graph = skeleton_graph(mask)
    lines, widths, by_distance = [], [], []
    for pixels, ends in zip(graph.segments, graph.ends, strict=True):
        line = centreline(pixels, source, graph.radius)
        wide = widths_by_profile(source, line, graph.radius)
        free = [end >= 0 and graph.degree[end] == 1 for end in ends]
        ended = _ended(line, mask, wide, free)
        if ended is not line:
            line, wide = ended, widths_by_profile(source, ended, graph.radius)
        distance = widths_by_distance(line, graph.radius)
        alone = _alone(line, ends, graph, wide, free)
        lines.append(line)
        widths.append(np.where(alone, wide, np.nan))
        by_distance.append(np.where(alone, distance, np.nan))
    return Vessels(graph, lines, widths, by_distance)


def _ended(
    line: Centreline, mask: NDArray[np.bool_], wide: NDArray[np.float64], free: list[bool]
) -> Centreline:
    """The centreline, with its free ends where the vessel ends."""
    for at_end in (True, False):
        if free[1 if at_end else 0]:
            near = wide[-30:-5] if at_end else wide[5:30]
            width = float(np.median(near)) if len(near) else 0.0
            if at_end:
                line = to_free_end(line, mask, width)
            else:
                turned = Centreline(line.points[::-1], -line.normal[::-1])
                ended = to_free_end(turned, mask, width)
                if ended is not turned:
                    line = Centreline(ended.points[::-1], -ended.normal[::-1])
    return line


def _alone(
    line: Centreline,
    ends: NDArray[np.int64],
    graph: SkeletonGraph,
    wide: NDArray[np.float64],
    free: list[bool],
) -> NDArray[np.bool_]:
    """Where the profile crosses this vessel alone: away from branch points, ends, image border."""
    place = line.place
    height, across = graph.radius.shape
    reach = wide[:, None] / 2 + 1
    alone = np.ones(len(place), dtype=bool)
    for side in (-1, 1):  # beyond the border there is nothing to measure
        x, y = (line.points + side * reach * line.normal).T
        alone &= (x >= 0) & (y >= 0) & (x <= across - 1) & (y <= height - 1)
    for end, is_free, away in zip(ends, free, (place, place[-1] - place), strict=True):
        if end >= 0:
            alone &= away > graph.reach[end] + (1 if is_free else 2)
    return alone
