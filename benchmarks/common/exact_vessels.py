"""Measured vessels beside the exact ones of a synthetic eye: widths, lengths, tortuosities."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from retina_course.data.synthetic import Branch, VesselGeometry
from retina_course.measurement.vessels import Vessels

STEP = 0.25  # pixels between the points of an exact centreline
SAME = 0.9  # share of a segment's points that have to lie on one branch
FEWEST = 10  # points of a segment that is compared


@dataclass(frozen=True)
class Exact:
    """All exact centrelines of an eye, as points.

    Parameters
    ----------
    points, width, branch : of each point; in order along each branch.
    kind : "artery", "vein" or "vessel", which of them.
    """

    points: np.ndarray
    width: np.ndarray
    branch: np.ndarray
    kind: str


def exact(truth: VesselGeometry, kind: str) -> Exact:
    """The exact centrelines of arteries, of veins, or of all vessels."""
    chosen = [one for one in truth.branches if kind in ("vessel", one.kind)]
    fine = [_fine(one) for one in chosen]
    return Exact(
        np.concatenate([points for points, _ in fine]),
        np.concatenate([width for _, width in fine]),
        np.repeat(np.arange(len(fine)), [len(points) for points, _ in fine]),
        kind,
    )


def _fine(branch: Branch) -> tuple[np.ndarray, np.ndarray]:
    steps = np.hypot(*np.diff(branch.points, axis=0).T)
    place = np.concatenate([[0], np.cumsum(steps)])
    at = np.arange(0, place[-1], STEP)
    points = np.column_stack([np.interp(at, place, branch.points[:, i]) for i in (0, 1)])
    return points, np.interp(at, place, branch.width)


def visible_length(truth: Exact, fov: np.ndarray) -> float:
    """The length of all centrelines inside the field of view that a map can show.

    A branch begins on the centreline of a wider vessel and is hidden until it has left it: that
    part does not count. Where it crosses a wider vessel, it counts.
    """
    truth = Exact(*(part[::4] for part in (truth.points, truth.width, truth.branch)), truth.kind)
    height, width = fov.shape
    x, y = truth.points.round().astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    inside[inside] &= fov[y[inside], x[inside]]
    hidden = np.zeros(len(x), bool)
    near = cKDTree(truth.points).query_ball_point(truth.points, truth.width.max() / 2)
    for i, others in enumerate(near):
        other = np.array(others)
        other = other[truth.branch[other] != truth.branch[i]]
        away = np.hypot(*(truth.points[other] - truth.points[i]).T)
        wider = truth.width[other] > truth.width[i]
        equal = (truth.width[other] == truth.width[i]) & (truth.branch[other] < truth.branch[i])
        hidden[i] = bool(((away < truth.width[other] / 2) & (wider | equal)).any())
    for one in np.unique(truth.branch):
        own = np.flatnonzero(truth.branch == one)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden[own].astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            if 0 < start and stop < len(own):
                hidden[own[start:stop]] = False
    return float((inside & ~hidden).sum() * 4 * STEP)


def crossings(truth: VesselGeometry) -> np.ndarray:
    """Where two branches cross without a fork, `(C, 2)`."""
    lines = [np.stack([one.points[:-1], one.points[1:]], axis=1) for one in truth.branches]
    of = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    start, stop = np.concatenate(lines).transpose(1, 0, 2)
    ahead, between = stop - start, start[None] - start[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = _crossed(ahead[:, None], ahead[None])
        first = _crossed(between, ahead[None]) / turn
        second = _crossed(between, ahead[:, None]) / turn
    meet = (first > 0) & (first < 1) & (second > 0) & (second < 1) & (of[:, None] < of)
    i, j = np.nonzero(meet)
    return start[i] + first[i, j][:, None] * ahead[i]


def _crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def compare(vessels: Vessels, truth: Exact, photograph: np.ndarray | None = None) -> list[dict]:
    """Each measured segment that lies on one exact branch: what was measured, and what is so.

    Parameters
    ----------
    photograph : widths by segment that were fitted there, `(S,)`.
    """
    tree = cKDTree(truth.points)
    rows = []
    for s, (line, wide, by_distance) in enumerate(
        zip(vessels.lines, vessels.widths, vessels.widths_distance, strict=True)
    ):
        alone = np.isfinite(wide)
        if alone.sum() < FEWEST:
            continue
        away, index = tree.query(line.points)
        near = away < np.maximum(1, truth.width[index] / 2)
        branch = np.bincount(truth.branch[index]).argmax()
        own = near & (truth.branch[index] == branch)
        if own.mean() < SAME or own[alone].mean() < SAME:
            continue
        first, last = np.flatnonzero(own)[[0, -1]]
        low, high = sorted((index[first], index[last]))
        path = truth.points[low : high + 1]
        arc, chord = STEP * (high - low), float(np.hypot(*(path[-1] - path[0])))
        part = line.points[first : last + 1]
        measured_arc = float(np.hypot(*np.diff(part, axis=0).T).sum())
        measured_chord = float(np.hypot(*(part[-1] - part[0])))
        used = alone & own
        row = {
            "width": float(np.mean(truth.width[index[used]])),
            "measured_width": float(np.mean(wide[used])),
            "by_distance": float(np.mean(by_distance[used])),
            "arc": arc,
            "measured_arc": measured_arc,
            "chord": chord,
            "measured_chord": measured_chord,
        }
        if photograph is not None:
            row["in_photograph"] = float(photograph[s])
        rows.append(row)
    return rows
