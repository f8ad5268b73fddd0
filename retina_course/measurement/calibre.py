"""How wide a vessel is: four estimators, from a mask, a probability map or a photograph.

A width is that of the vessel in the image's plane, across its centreline, in pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from retina_course.measurement.centreline import STEP, Centreline, inner_profile, profiles

FIT_STEPS = 40
SAMPLES = 81  # of each profile that is fitted
FEWEST = 20  # points of a segment whose profiles are averaged and fitted


def widths_by_distance(line: Centreline, radius: NDArray[Any]) -> NDArray[np.float64]:
    """Widths by the distance transform: twice the distance to the nearest background pixel, less 1.

    The distance runs to the CENTRE of a background pixel, which lies half a pixel outside the
    vessel on each side: hence the 1. The result is right on average over positions of the vessel
    between the pixels for straight vessels along rows and columns, and too small for others.

    Parameters
    ----------
    line : Centreline
        N points.
    radius : ndarray
        `(H, W)`, see `SkeletonGraph`.

    Returns
    -------
    ndarray
        `(N,)`, pixels.

    Examples
    --------
    >>> from retina_course.measurement.centreline import smooth
    >>> from scipy import ndimage
    >>> mask = np.zeros((21, 40), dtype=bool)
    >>> mask[8:13] = True
    >>> line = smooth(np.column_stack([np.arange(40), np.full(40, 10)]))
    >>> widths_by_distance(line, ndimage.distance_transform_edt(mask))[20]
    np.float64(5.0)
    """
    x, y = np.clip(line.points.round().astype(int).T, 0, [[s - 1] for s in radius.shape[::-1]])
    return 2 * radius[y, x] - 1


def widths_by_profile(
    image: NDArray[Any], line: Centreline, radius: NDArray[Any]
) -> NDArray[np.float64]:
    """Widths as the area under the profile across the vessel: sub-pixel, from a mask or a map.

    A pixel of the edge that is vessel by half adds half a pixel. For a mask, the mean of these
    widths along a straight vessel is its area divided by its length, in any direction. Of a
    probability map, it is the width that is to be expected if the probabilities are right.

    Parameters
    ----------
    image : ndarray
        `(H, W)`, a mask or a probability map.
    line : Centreline
        N points.
    radius : ndarray
        `(H, W)`, see `SkeletonGraph`; it says how far a profile reaches.

    Returns
    -------
    ndarray
        `(N,)`, pixels.

    Examples
    --------
    >>> from retina_course.measurement.centreline import smooth
    >>> from scipy import ndimage
    >>> mask = np.zeros((21, 40))
    >>> mask[8:13] = 1
    >>> line = smooth(np.column_stack([np.arange(40), np.full(40, 10)]))
    >>> widths_by_profile(mask, line, ndimage.distance_transform_edt(mask))[20].round(3)
    np.float64(5.0)
    """
    x, y = np.clip(line.points.round().astype(int).T, 0, [[s - 1] for s in radius.shape[::-1]])
    half = np.maximum(radius[y, x], 1.0)
    offset, values = profiles(image, line, 1.5 * float(half.max()) + 3)
    inside = inner_profile(values) * (np.abs(offset) <= 1.5 * half[:, None] + 3)
    return STEP * inside.sum(axis=1)


def fit_profiles(
    offset: NDArray[Any], values: NDArray[Any], width: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a blurred box to profiles of a photograph: width, depth and blur of each.

    The model is a straight background from which a box is taken off, blurred by a Gauss function:
    a vessel with sharp walls, seen through a camera. A vessel is darkest in its middle and may have
    a reflex there: the model leaves both out, and its width is that of the box that fits best.
    Least squares by Levenberg and Marquardt, all profiles side by side.

    Parameters
    ----------
    offset : ndarray
        `(S, K)`, distances from the centreline in pixels.
    values : ndarray
        `(S, K)`, e.g. of the green channel.
    width : ndarray
        `(S,)`, to start from, in pixels.

    Returns
    -------
    width : ndarray
        `(S,)`, pixels; not a number where no dark vessel is there or the fit went astray.
    depth : ndarray
        `(S,)`, how much darker the box is, in units of `values`.
    blur : ndarray
        `(S,)`, standard deviation of the Gauss function in pixels.

    Examples
    --------
    >>> from scipy import ndimage
    >>> offset = np.arange(-12.125, 12.2, 0.25)
    >>> sharp = np.where(np.abs(offset) < 3, 0.2, 0.5)
    >>> seen = ndimage.gaussian_filter1d(sharp, 1.5 / 0.25)
    >>> width, depth, blur = fit_profiles(offset[None], seen[None], np.array([4.0]))
    >>> print(f"width {width[0]:.1f}, depth {depth[0]:.2f}, blur {blur[0]:.1f}")
    width 6.0, depth 0.30, blur 1.5
    """
    offset, values = np.asarray(offset, np.float64), np.asarray(values, np.float64)
    start = np.asarray(width, dtype=np.float64)
    level = np.median(values, axis=1)
    dark = np.maximum(level - values[:, values.shape[1] // 2], 1e-3)
    zero = np.zeros_like(start)
    p = np.column_stack([level, zero, dark, zero, start, zero + 1])
    damping = np.full(len(start), 1e-2)
    rest, slopes = _box_model(p, offset, values)
    for _ in range(FIT_STEPS):
        square = np.einsum("ski,skj->sij", slopes, slopes)
        right = np.einsum("ski,sk->si", slopes, rest)
        diagonal = np.einsum("sii->si", square)
        diagonal += damping[:, None] * diagonal + 1e-12
        tried = p - np.linalg.solve(square, right[..., None])[..., 0]
        tried[:, 4:] = np.clip(tried[:, 4:], 0.3, 3 * start[:, None] + 4)
        new_rest, new_slopes = _box_model(tried, offset, values)
        better = (new_rest**2).sum(axis=1) < (rest**2).sum(axis=1)
        p[better], rest[better], slopes[better] = (
            tried[better],
            new_rest[better],
            new_slopes[better],
        )
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e6)
    astray = (p[:, 2] <= 0) | (np.abs(p[:, 3]) > start) | (p[:, 4] > 3 * start + 3)
    return np.where(astray, np.nan, p[:, 4]), p[:, 2], p[:, 5]


def _box_model(
    p: NDArray[np.float64], offset: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The model less the values, and its derivatives: level, slope, depth, middle, width, blur."""
    level, slope, dark, middle, wide, blur = p.T[:, :, None]
    a, b = ((offset - middle + side * wide / 2) / blur for side in (1, -1))
    box = special.ndtr(a) - special.ndtr(b)
    at_a, at_b = (dark / blur * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) for z in (a, b))
    slopes = np.stack(
        [
            np.ones_like(offset),
            offset,
            -box,
            at_a - at_b,
            -(at_a + at_b) / 2,
            a * at_a - b * at_b,
        ],
        axis=-1,
    )
    return level + slope * offset - dark * box - values, slopes


def widths_by_fit(
    image: NDArray[Any], lines: Sequence[Centreline], widths: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """The width of each segment in a photograph, from the mean of its profiles.

    Parameters
    ----------
    image : ndarray
        `(H, W)`, e.g. the green channel in [0, 1].
    lines : sequence of Centreline
        N points each.
    widths : sequence of ndarray
        `(N,)` each, widths in the map, to start from; not a number where a profile crosses another
        vessel. See `Vessels.widths`.

    Returns
    -------
    ndarray
        `(S,)`, pixels; not a number for segments of fewer than 20 good points, and where the fit
        went astray.
    """
    found = np.full(len(lines), np.nan)
    chosen, offsets, values, starts = [], [], [], []
    for s, (line, wide) in enumerate(zip(lines, widths, strict=True)):
        alone = np.isfinite(wide)
        if alone.sum() < FEWEST:
            continue
        start = max(float(wide[alone].mean()), 1.0)
        part = Centreline(line.points[alone], line.normal[alone])
        offset, value = profiles(image, part, 1.5 * start + 4)
        at = np.linspace(offset[0], offset[-1], SAMPLES)
        chosen.append(s)
        offsets.append(at)
        values.append(np.interp(at, offset, value.mean(axis=0)))
        starts.append(start)
    if chosen:
        fitted = fit_profiles(np.array(offsets), np.array(values), np.array(starts))
        found[chosen] = fitted[0]
    return found
