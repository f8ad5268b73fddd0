"""Branching angles: under which angle two daughters leave a branch point."""

import numpy as np
from numpy.typing import NDArray

from retina_course.measurement.centreline import Centreline


def branching_angles(
    lines: list[Centreline],
    widths: list[float],
    ends: NDArray[np.int64],
    degree: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The angle between the two narrower vessels at each branch point of three vessels.

    The widest of the three is taken for the parent. The direction of a daughter is that of its part
    between 1 and 3 widths of the parent from the branch point, where the parent no longer hides it.
    Points where four vessels meet are crossings and have no angle, nor have branch points with a
    shorter daughter.

    Parameters
    ----------
    lines : list of Centreline
        One per segment of a `SkeletonGraph`.
    widths : list of float
        Mean width of each in pixels.
    ends : ndarray of int
        `(S, 2)`, see `SkeletonGraph`.
    degree : ndarray of int
        `(M,)`, likewise.

    Returns
    -------
    ndarray
        Degrees, one per branch point that has an angle.
    """
    meeting: dict[int, list[tuple[int, bool]]] = {}
    for s, pair in enumerate(ends.tolist()):
        for at_start, node in zip((True, False), pair, strict=True):
            if node >= 0 and degree[node] == 3:
                meeting.setdefault(node, []).append((s, at_start))
    angles = []
    for arms in meeting.values():
        if len(arms) != 3 or len({s for s, _ in arms}) != 3:
            continue
        arms.sort(key=lambda arm: widths[arm[0]])
        reach = widths[arms[2][0]]
        found = [_direction(lines[s], at_start, reach) for s, at_start in arms[:2]]
        if all(direction is not None for direction in found):
            a, b = (np.asarray(direction) for direction in found)
            angles.append(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))
    return np.array(angles, dtype=np.float64)


def _direction(line: Centreline, at_start: bool, reach: float) -> NDArray[np.float64] | None:
    """Where a line leads to from one of its ends; None where it is too short to say."""
    place = line.place if at_start else line.place[-1] - line.place
    part = line.points[(place >= reach) & (place <= 3 * reach + 2)]
    if len(part) < 4:
        return None
    if not at_start:
        part = part[::-1]
    half = len(part) // 2
    ahead = part[half:].mean(axis=0) - part[:half].mean(axis=0)
    return ahead / max(float(np.hypot(*ahead)), 1e-9)
