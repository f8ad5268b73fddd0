"""Is the vessel tree in one piece? Betti numbers, and two ways to repair a map.

A gap of one pixel costs F1 nothing and cuts a vessel in two. Betti numbers count the pieces
(Betti-0) and the loops (Betti-1).

Vessels are 8-connected (pixels that touch with a corner belong together), the background is
4-connected: so no line can be crossed where two pixels meet at their corners. All masks are cut to
the field of view by the caller (`mask & fov`); outside it is background.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retina_course.evaluation.binary_maps import as_map

EIGHT = np.ones((3, 3), dtype=bool)


class Betti(NamedTuple):
    """Betti numbers of a map, or the errors in them.

    Parameters
    ----------
    components : int
        Betti-0: the connected pieces of the vessels.
    holes : int
        Betti-1: the pieces of background that vessels enclose.

    Examples
    --------
    >>> Betti(components=3, holes=1).components
    3
    """

    components: int
    holes: int


def betti_numbers(mask: NDArray[Any]) -> Betti:
    """Count the pieces of a map (8-connected) and its holes.

    A hole is a 4-connected piece of background that does not reach the outside. The image's border,
    and with a mask cut to the field of view its rim, too, are outside: a vessel that ends there
    closes no loop. Components minus holes is the Euler number.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`, cut to the field of view; 0 and 1 of other types are taken, too.

    Returns
    -------
    Betti
        The number of components and of holes.

    Raises
    ------
    ValueError
        If the mask is not `(H, W)`, or if a value is not binary.

    Examples
    --------
    A ring, and a dot inside it:

    >>> import numpy as np
    >>> mask = np.zeros((7, 7), dtype=bool)
    >>> mask[1:6, 1:6] = True
    >>> mask[2:5, 2:5] = False
    >>> mask[3, 3] = True
    >>> betti_numbers(mask)
    Betti(components=2, holes=1)
    """
    mask = as_map(mask, "mask")
    components = ndimage.label(mask, EIGHT)[1]
    background = ndimage.label(~np.pad(mask, 1))[1]  # the frame joins all that is outside
    return Betti(components, background - 1)


def betti_errors(prediction: NDArray[Any], target: NDArray[Any]) -> Betti:
    """By how many pieces and holes a map differs from the ground truth, over the whole image.

    The numbers say nothing of places: a missing piece and an extra one cancel out. So they stand
    beside F1, and replace no score.

    Others sample small patches and average the differences (arXiv 1906.05404). That error
    depends on the size of the patches and on the draw, and the cuts make pieces and open loops
    that are not in the map; it is not used here.

    Parameters
    ----------
    prediction : ndarray of bool
        Map `(H, W)`, cut to the field of view; 0 and 1 of other types are taken, too.
    target : ndarray of bool
        Likewise, of the same shape.

    Returns
    -------
    Betti
        The errors in the number of components (Betti-0) and of holes (Betti-1).

    Raises
    ------
    ValueError
        If the shapes differ or are not `(H, W)`, or if a value is not binary.

    Examples
    --------
    Two gaps cut a vessel into three pieces:

    >>> import numpy as np
    >>> vessel = np.zeros((20, 40), dtype=bool)
    >>> vessel[8:12] = True
    >>> broken = vessel.copy()
    >>> broken[:, [10, 30]] = False
    >>> betti_errors(broken, vessel)
    Betti(components=2, holes=0)
    """
    if np.shape(prediction) != np.shape(target):
        shapes = f"{np.shape(prediction)} and {np.shape(target)}"
        raise ValueError(f"Prediction and target must have one shape, got {shapes}.")
    found, expected = betti_numbers(prediction), betti_numbers(target)
    return Betti(*(abs(f - e) for f, e in zip(found, expected, strict=True)))


def remove_specks(mask: NDArray[Any], min_size: int) -> NDArray[np.bool_]:
    """Remove the pieces (8-connected) of fewer than `min_size` pixels.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`; 0 and 1 of other types are taken, too.
    min_size : int
        Area of the smallest piece that stays, in pixels.

    Returns
    -------
    ndarray of bool
        `(H, W)`, a part of the mask.

    Raises
    ------
    ValueError
        If the mask is not `(H, W)`, or if a value is not binary.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 0, 0]])
    >>> remove_specks(mask, min_size=3).astype(int)
    array([[1, 1, 0, 0, 0],
           [0, 0, 1, 0, 0]])
    """
    # skimage's remove_small_objects renamed its limit in 0.26 and changed what it includes.
    labels, _ = ndimage.label(as_map(mask, "mask"), EIGHT)
    kept = np.bincount(labels.ravel()) >= min_size
    kept[0] = False  # the background
    return kept[labels]


def hysteresis(probability: NDArray[Any], low: float, high: float) -> NDArray[np.bool_]:
    """Threshold at `low`, and keep the pieces (8-connected) that reach `high` somewhere.

    A faint stretch stays where it leads on from a clear vessel, so vessels break less often; a
    faint speck alone goes. With `low == high` it is the plain threshold. As in `metrics.scores`,
    vessel is `probability >= threshold`; `skimage.filters.apply_hysteresis_threshold` takes `>`
    and 4-connected pieces.
    Source: Canny 1986, doi:10.1109/TPAMI.1986.4767851.

    Parameters
    ----------
    probability : ndarray of float
        `(H, W)` in [0, 1].
    low : float
        Threshold that each pixel of a piece reaches.
    high : float
        Threshold that at least one pixel of it reaches.

    Returns
    -------
    ndarray of bool
        `(H, W)`.

    Raises
    ------
    ValueError
        If the map is not `(H, W)`, or if `low` is larger than `high`.

    Examples
    --------
    >>> import numpy as np
    >>> row = np.array([[0.9, 0.5, 0.4, 0.1, 0.5]])
    >>> hysteresis(row, low=0.4, high=0.8).astype(int)
    array([[1, 1, 1, 0, 0]])
    """
    probability = np.asarray(probability, dtype=np.float32)  # as in `metrics.pool`
    if probability.ndim != 2:
        raise ValueError(f"Expected a map of shape (H, W), got shape {probability.shape}.")
    if not low <= high:
        raise ValueError(f"Expected low <= high, got low={low} and high={high}.")
    labels, pieces = ndimage.label(probability >= float(low), EIGHT)
    kept = np.zeros(pieces + 1, dtype=bool)
    kept[labels[probability >= float(high)]] = True
    return kept[labels]
