"""Are the edges of the vessels in the right place? Normalised surface distance (NSD).

F1 counts area, so a wide vessel outweighs many thin ones. NSD counts the length of edges, and takes
an edge as right where it lies within a tolerance that people need, too.

All masks are cut to the field of view by the caller (`mask & fov`), as for `cldice`: an edge
that the cut makes is an edge of both masks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

from retina_course.evaluation.binary_maps import as_map

PERCENTILE = 95  # of the distances between two observers, as in arXiv 1809.04430


def border(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """The pixels of a mask that touch the background with a side (4-neighbours).

    A pixel that touches it with a corner only is inside; a line of such pixels is closed in the
    8-neighbourhood. Outside the image is background.

    Parameters
    ----------
    mask : ndarray of bool
        Map `(H, W)`; 0 and 1 of other types are taken, too.

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
    >>> square = np.zeros((7, 7), dtype=bool)
    >>> square[1:6, 1:6] = True
    >>> int(square.sum()), int(border(square).sum())
    (25, 16)
    """
    mask = as_map(mask, "mask")
    return mask & ~ndimage.binary_erosion(mask)


def nsd(prediction: NDArray[Any], target: NDArray[Any], tolerance: float) -> float:
    """Normalised surface distance, or surface Dice: the fraction of edges in their place.

    The border pixels of each mask that have a border pixel of the other within `tolerance`, as
    a fraction of all border pixels of both. A pixel counts as one unit of length, in any
    direction.
    Source: arXiv 1809.04430, which measures the surface between the voxels instead.

    Parameters
    ----------
    prediction : ndarray of bool
        Map `(H, W)`, cut to the field of view; 0 and 1 of other types are taken, too.
    target : ndarray of bool
        Likewise, of the same shape.
    tolerance : float
        Largest distance of centres that counts as none, in pixels, e.g. from
        `observer_tolerance`.

    Returns
    -------
    float
        In [0, 1]; 1 where both maps are empty, 0 where one is.

    Raises
    ------
    ValueError
        If the shapes differ or are not `(H, W)`, if a value is not binary, or if the tolerance is
        negative.

    Examples
    --------
    A vessel that lies one pixel beside its place:

    >>> import numpy as np
    >>> vessel = np.zeros((20, 40), dtype=bool)
    >>> vessel[8:12] = True
    >>> nsd(np.roll(vessel, 1, axis=0), vessel, tolerance=1)
    1.0
    >>> round(nsd(np.roll(vessel, 1, axis=0), vessel, tolerance=0), 2)
    0.07
    """
    if not tolerance >= 0:
        raise ValueError(f"Expected a tolerance of 0 or more pixels, got {tolerance}.")
    edges = [border(prediction), border(target)]
    if edges[0].shape != edges[1].shape:
        shapes = " and ".join(str(edge.shape) for edge in edges)
        raise ValueError(f"Prediction and target must have one shape, got {shapes}.")
    if not edges[0].any() or not edges[1].any():
        return float(not edges[0].any() and not edges[1].any())
    distances = np.concatenate([_distances(*edges), _distances(*edges[::-1])])
    return float((distances <= tolerance).mean())


def observer_tolerance(
    first: Sequence[NDArray[np.bool_]], second: Sequence[NDArray[np.bool_]]
) -> float:
    """How far apart two observers draw the edge of one vessel: the tolerance for `nsd`.

    The 95th percentile of the distances from each observer's border pixels to the other's, of all
    images together. Only vessels that both drew count: an edge counts where the nearest point of
    its own centreline lies inside the other's vessels. Without that, the percentile would say
    how many thin vessels one of them left out.

    Why from observers: where people differ in where the edge is, a network that differs as much
    is not wrong (Metrics Reloaded, doi:10.1038/s41592-023-02151-z). Why the 95th percentile:
    arXiv 1809.04430 takes it.

    Parameters
    ----------
    first : sequence of ndarray of bool
        Per image `(H, W)`, the vessels of one observer, cut to the field of view. Training
        images: a tolerance from test images would suit them.
    second : sequence of ndarray of bool
        The vessels of another observer, likewise.

    Returns
    -------
    float
        In pixels, of the size of these images.

    Raises
    ------
    ValueError
        If the numbers of images or the shapes differ, if a value is not binary, or if there is
        no vessel that both drew.

    Examples
    --------
    The second observer draws the vessel one pixel wider on both sides, and a vessel more:

    >>> import numpy as np
    >>> narrow, wide = np.zeros((40, 60), dtype=bool), np.zeros((40, 60), dtype=bool)
    >>> narrow[8:13], wide[7:14], wide[30:33] = True, True, True
    >>> observer_tolerance([narrow], [wide])
    1.0
    """
    found = []
    for a, b in zip(first, second, strict=True):
        a, b = as_map(a, "first"), as_map(b, "second")
        if a.shape != b.shape:
            raise ValueError(f"The observers' masks must have one shape, got {a.shape}, {b.shape}.")
        if (a & b).any():
            found += [_distances_of_common(a, b), _distances_of_common(b, a)]
    if not sum(map(len, found)):
        raise ValueError("There is no vessel that both observers drew: no distance to measure.")
    return float(np.percentile(np.concatenate(found), PERCENTILE))


def _distances(here: NDArray[np.bool_], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """From each pixel of one set to the nearest of another, in pixels."""
    return ndimage.distance_transform_edt(~there)[here]


def _distances_of_common(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """From the border of `a` to that of `b`, along those vessels of `a` that `b` has, too."""
    skeleton = skeletonize(a)
    nearest = ndimage.distance_transform_edt(~skeleton, return_distances=False, return_indices=True)
    common = (skeleton & b)[tuple(nearest)]
    return _distances(border(a) & common, border(b))
