"""Exact tubes: vessels of known centreline and width, drawn as a mask.

They are the simplest ground truth for a measurement. A pixel is vessel where its centre lies at
most half a width from the centreline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retina_course.data.synthetic import vessel_tree


def draw_tubes(
    lines: Sequence[NDArray[Any]], widths: Sequence[float | NDArray[Any]], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Draw tubes along given lines.

    Parameters
    ----------
    lines : sequence of ndarray
        `(N, 2)` each, (x, y) in pixels; the first pixel's centre is (0, 0), y points down.
    widths : sequence of float or ndarray
        Of each tube in pixels; `(N,)` where it changes along the tube. At least 1.
    size : tuple of int
        Height and width in pixels.

    Returns
    -------
    ndarray
        `(H, W)`, the share of each pixel that is vessel, by its distance from the nearest wall;
        `>= 0.5` is the exact mask.

    Raises
    ------
    ValueError
        If a width is below 1, or there are not as many widths as lines.

    Examples
    --------
    >>> tube = draw_tubes([np.array([[-5, 4], [15, 4]])], [3], (9, 10))
    >>> (tube >= 0.5).sum(axis=0).tolist()
    [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    """
    height, width = size
    side = max(size)
    points, parents, radii, count = [], [], [], 0
    for line, wide in zip(lines, widths, strict=True):
        if np.min(wide) < 1:
            raise ValueError(f"A tube is at least 1 pixel wide, got {np.min(wide):g}.")
        line = np.asarray(line, dtype=np.float64)
        points.append(line - (side / 2 - 0.5))  # the painter's origin is the middle
        parents.append(np.concatenate([[-1], count + np.arange(len(line) - 1)]))
        radii.append(np.broadcast_to(np.asarray(wide) / 2, len(line)))
        count += len(line)
    tree = vessel_tree.Tree(np.concatenate(points), np.concatenate(parents), np.concatenate(radii))
    return vessel_tree.paint(tree, side, 1.0)[0][:height, :width]
