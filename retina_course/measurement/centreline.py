"""Centrelines with sub-pixel accuracy, from the pixels of a skeleton.

The pixels of a skeleton make a staircase. Its steps are longer than the vessel, and each has one of
eight directions. So each line is moved to the middle of the vessel's profile and smoothed.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import savgol_coeffs

WINDOW = 11  # points of the local parabola (Savitzky and Golay 1964)
STEP = 0.25  # pixels between the samples of a profile


@dataclass(frozen=True)
class Centreline:
    """The middle of a vessel from one node to the next.

    Parameters
    ----------
    points : ndarray of float
        `(N, 2)`, (x, y) in pixels.
    normal : ndarray of float
        `(N, 2)`, unit vectors across the vessel.
    """

    points: NDArray[np.float64]
    normal: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Length along the line, in pixels."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    @property
    def chord(self) -> float:
        """Distance of its two ends, in pixels."""
        return float(np.hypot(*(self.points[-1] - self.points[0])))

    @property
    def place(self) -> NDArray[np.float64]:
        """`(N,)`, the length from the beginning to each point, in pixels."""
        steps = np.hypot(*np.diff(self.points, axis=0).T)
        return np.concatenate([[0.0], np.cumsum(steps)])


def smooth(points: NDArray[Any], window: int = WINDOW) -> Centreline:
    """Smooth a line by a local parabola at each point (Savitzky and Golay 1964).

    A parabola, unlike a mean, leaves the curvature of a bend as it is.

    Parameters
    ----------
    points : ndarray
        `(N, 2)`, (x, y) in pixels, at least 2 of them.
    window : int, default 11
        Points of each parabola; fewer where the line is shorter. Odd.

    Returns
    -------
    Centreline
        As many points.

    Examples
    --------
    A staircase of slope 1/2 has 40 steps; its length is that of a straight line:

    >>> stairs = np.column_stack([np.arange(41), np.arange(41) // 2])
    >>> line = smooth(stairs)
    >>> round(float(np.hypot(40, 20))), round(line.length)
    (45, 45)
    """
    ahead = parabolas(points, window, deriv=1)
    size = np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    across = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / size
    return Centreline(parabolas(points, window, deriv=0), across)


def parabolas(points: NDArray[Any], window: int, deriv: int) -> NDArray[np.float64]:
    """The local parabola at each point of a line: its value there, or a derivative.

    Near the ends it is that of the first and of the last window.

    Parameters
    ----------
    points : ndarray
        `(N, 2)`, at least 2 of them.
    window : int
        Points of each parabola; fewer where the line is shorter. Odd.
    deriv : {0, 1, 2}
        The value, the first or the second derivative by the number of the point.

    Returns
    -------
    ndarray
        `(N, 2)`.

    Examples
    --------
    >>> parabola = np.column_stack([np.arange(5), np.arange(5) ** 2])
    >>> parabolas(parabola, window=3, deriv=2).round(6).tolist()[0]
    [0.0, 2.0]
    """
    points = np.asarray(points, dtype=np.float64)
    width = min(window, len(points) - (len(points) + 1) % 2)
    if width < 3:  # two points, a straight line
        return (points, np.gradient(points, axis=0), np.zeros_like(points))[deriv]
    weights, middle = _weights(width, deriv), width // 2
    inner = np.lib.stride_tricks.sliding_window_view(points, width, axis=0) @ weights[middle]
    return np.concatenate(
        [weights[:middle] @ points[:width], inner, weights[middle + 1 :] @ points[-width:]]
    )


@cache
def _weights(width: int, deriv: int) -> NDArray[np.float64]:
    """`(width, width)`: what each point of a window counts in the parabola at each place of it.

    `savgol_filter` computes the same for one line after the other, at ten times the cost.
    """
    at = range(width)
    return np.array([savgol_coeffs(width, 2, deriv, pos=i, use="dot") for i in at])


def profiles(
    image: NDArray[Any], line: Centreline, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of an image across a vessel, at each point of its centreline.

    Parameters
    ----------
    image : ndarray
        `(H, W)`: a mask, a probability map or a channel of a photograph.
    line : Centreline
        N points.
    reach : float
        How far on both sides, in pixels.

    Returns
    -------
    offset : ndarray
        `(K,)`, the distances from the centreline, negative on one side.
    values : ndarray
        `(N, K)`, bilinear between pixels; outside the image those of its edge.

    Examples
    --------
    >>> image = np.zeros((9, 9))
    >>> image[3:6] = 1
    >>> line = smooth(np.column_stack([np.arange(9), np.full(9, 4)]))
    >>> offset, values = profiles(image, line, reach=2)
    >>> values[4][(offset == 0) | (offset == 1.5) | (offset == 2)].round(2)
    array([1. , 0.5, 0. ])
    """
    count = int(np.ceil(reach / STEP))
    offset = STEP * np.arange(-count, count + 1, dtype=np.float64)
    at = line.points[:, None] + offset[:, None] * line.normal[:, None]
    image = np.asarray(image, dtype=np.float64)
    values = ndimage.map_coordinates(image, [at[..., 1], at[..., 0]], order=1, mode="nearest")
    return offset, np.asarray(values, dtype=np.float64)


def inner_profile(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of each profile that belongs to the vessel in its middle.

    From the middle outwards a profile may only fall: so a second vessel beside the first one does
    not count.

    Parameters
    ----------
    values : ndarray
        `(N, K)`, K odd.

    Returns
    -------
    ndarray
        `(N, K)`.

    Examples
    --------
    >>> inner_profile(np.array([[1.0, 0.0, 1.0, 0.5, 0.75]]))
    array([[0. , 0. , 1. , 0.5, 0.5]])
    """
    middle = values.shape[1] // 2
    right = np.minimum.accumulate(values[:, middle:], axis=1)
    left = np.minimum.accumulate(values[:, middle::-1], axis=1)
    return np.concatenate([left[:, :0:-1], right], axis=1)


def centreline(
    pixels: NDArray[Any], image: NDArray[Any], radius: NDArray[Any], window: int = WINDOW
) -> Centreline:
    """The centreline of a segment with sub-pixel accuracy.

    Smoothed, moved to the centre of gravity of the profile at each point, smoothed again. The ends
    keep their places along the line.

    Parameters
    ----------
    pixels : ndarray
        `(N, 2)`, a segment of `skeleton_graph`.
    image : ndarray
        `(H, W)`, the mask or the probability map.
    radius : ndarray
        `(H, W)`, see `SkeletonGraph`.
    window : int, default 11
        See `smooth`.

    Returns
    -------
    Centreline
        As many points.
    """
    line = smooth(pixels, window)
    if len(pixels) < 3:
        return line
    x, y = np.clip(line.points.round().astype(int).T, 0, [[s - 1] for s in radius.shape[::-1]])
    half = np.maximum(radius[y, x], 1.0)
    offset, values = profiles(image, line, float(half.max()) + 2)
    inside = inner_profile(values) * (np.abs(offset) <= half[:, None] + 2)
    total = inside.sum(axis=1)
    shift = np.where(total > 0, (inside * offset).sum(axis=1) / np.maximum(total, 1e-9), 0)
    shift = np.clip(shift, -1, 1)
    return smooth(line.points + shift[:, None] * line.normal, window)


def to_free_end(
    line: Centreline, mask: NDArray[Any], width: float, window: int = WINDOW
) -> Centreline:
    """Let a centreline end where its vessel ends, at its last point.

    A skeleton stops before the end of a wide vessel. A vessel that is cut off, by the rim of the
    field of view for example, ends at the cut. A vessel with a round end has its last full width
    half a width before it; there it ends, as a stroke of a round brush does.

    Parameters
    ----------
    line : Centreline
        N points.
    mask : ndarray of bool
        `(H, W)`.
    width : float
        Of the vessel near this end, in pixels. Below 5 nothing is changed: the ends cannot be told
        apart, and the skeleton stops about where the vessel does.
    window : int, default 11
        See `smooth`.

    Returns
    -------
    Centreline
        With more points, or fewer.
    """
    if width < 5 or len(line.points) < 6:
        return line
    height, across = mask.shape
    back = line.points[-min(len(line.points), 2 + int(width))]
    ahead = line.points[-1] - back
    ahead = ahead / max(float(np.hypot(*ahead)), 1e-9)
    far = np.arange(0, 1.5 * width, STEP)
    at = line.points[-1] + far[:, None] * ahead
    inside = (at > -0.5).all(axis=1) & (at < [across - 0.5, height - 0.5]).all(axis=1)
    x, y = np.clip(at.round().astype(int).T, 0, [[across - 1], [height - 1]])
    inside &= mask[y, x]
    reach = float(far[int(np.argmin(inside))]) if not inside.all() else 0.0
    if reach == 0:
        return line
    across_end = np.arange(-width, width + STEP, STEP)[:, None] * [-ahead[1], ahead[0]]
    x, y = (line.points[-1] + (reach - 0.75) * ahead + across_end).round().astype(int).T
    x, y = np.clip(x, 0, across - 1), np.clip(y, 0, height - 1)
    end_width = STEP * inner_profile(mask[None, y, x].astype(np.float64)).sum()
    to = reach if end_width >= 0.8 * width else reach - width / 2
    if to > 0.5:
        more = line.points[-1] + np.arange(1, np.floor(to) + 1)[:, None] * ahead
        last = line.points[-1] + to * ahead
        return smooth(np.concatenate([line.points, more[:-1], last[None]]), window)
    count = max(3, len(line.points) + round(to))
    return Centreline(line.points[:count], line.normal[:count])
