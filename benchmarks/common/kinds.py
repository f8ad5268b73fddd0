"""From two probabilities of a pixel to one map of arteries and one of veins."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from retina_course.measurement.skeleton import EIGHT, thinned

KINDS = ("artery", "vein")


def told_apart(
    p: np.ndarray, thresholds: Sequence[float], fov: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The masks of arteries and of veins: the pixels of a segment vote on its kind.

    A segment is what lies between two branch points of the skeleton, with the vessel pixels that
    are nearest to it.
    """
    vessels = (p >= np.reshape(thresholds, (2, 1, 1))).any(axis=0) & fov
    skeleton = thinned(vessels)
    neighbours = ndimage.convolve(skeleton.astype(int), EIGHT.astype(int), mode="constant") - 1
    segments, count = ndimage.label(skeleton & (neighbours <= 2), EIGHT)
    if not count:
        return np.zeros_like(vessels), vessels
    rows, columns = ndimage.distance_transform_edt(
        segments == 0, return_distances=False, return_indices=True
    )
    owner = np.where(vessels, segments[rows, columns], 0)
    votes = ndimage.mean(p[0] - p[1], owner, np.arange(count + 1))
    artery = (votes > 0)[owner] & vessels
    return artery, vessels & ~artery
