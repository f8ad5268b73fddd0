"""The fractal dimension of a vessel tree, by counting boxes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class BoxCount:
    """The boxes that hold a part of the skeleton, for each size of the boxes, and the line fitted.

    Parameters
    ----------
    sizes : ndarray of int
        Sides of the boxes in pixels.
    counts : ndarray of float
        Boxes of each size that are not empty, the fewest over several positions of the grid.
    dimension : float
        Minus the slope of log(count) over log(size).
    r2 : float
        Coefficient of determination of that line.
    local : ndarray of float
        The slope between each two neighbouring sizes; constant for a true fractal.
    """

    sizes: NDArray[np.int64]
    counts: NDArray[np.float64]
    dimension: float
    r2: float
    local: NDArray[np.float64]


def box_count(skeleton: NDArray[Any], sizes: tuple[int, ...] = SIZES) -> BoxCount:
    """Count boxes over a skeleton and fit its fractal dimension.

    A line needs half as many boxes of twice the side (dimension 1), an area a quarter (2). Vessel
    trees lie between, but they are not fractals: the slope depends on the sizes of the boxes
    (`local`), and on how many pixels a degree has. So compare it between photographs of one scale
    only, and for the same boxes in degrees.

    Parameters
    ----------
    skeleton : ndarray of bool
        `(H, W)`.
    sizes : tuple of int, default 2 to 64
        Sides of the boxes in pixels, in rising order.

    Returns
    -------
    BoxCount
        Counts and fit; the dimension is not a number where the skeleton is empty, or the boxes
        have one size only.

    Examples
    --------
    >>> full, line = np.ones((256, 256), dtype=bool), np.zeros((256, 256), dtype=bool)
    >>> line[128] = True
    >>> sides = (2, 4, 8, 16, 32, 64)
    >>> round(box_count(full, sides).dimension, 2), round(box_count(line, sides).dimension, 2)
    (2.0, 1.0)
    """
    rows, columns = np.nonzero(skeleton)
    counts = np.array([_fewest(rows, columns, size) for size in sizes], dtype=np.float64)
    x = np.log(sizes)
    if not len(rows) or len(sizes) < 2:
        nothing = np.full(len(sizes) - 1, np.nan)
        return BoxCount(np.array(sizes), counts, float("nan"), float("nan"), nothing)
    y = np.log(counts)
    slope, offset = np.polyfit(x, y, 1)
    rest = ((y - slope * x - offset) ** 2).sum()
    spread = ((y - y.mean()) ** 2).sum()
    r2 = 1 - rest / spread if spread > 0 else float("nan")
    return BoxCount(np.array(sizes), counts, float(-slope), float(r2), -np.diff(y) / np.diff(x))


def _fewest(rows: NDArray[Any], columns: NDArray[Any], size: int) -> int:
    """Non-empty boxes, the fewest over four positions of the grid."""
    if not len(rows):
        return 0
    found = []
    for down, right in ((0, 0), (size // 2, 0), (0, size // 2), (size // 2, size // 2)):
        box = (rows + down) // size * (2**20) + (columns + right) // size
        found.append(len(np.unique(box)))
    return min(found)
