"""Where a vessel map is right and wrong: by vessel width, at crossings, at the rim.

All masks are bool `(H, W)`, at a photograph's native size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

WIDTHS = {"below 4": (0, 4), "4 to 8": (4, 8), "8 and more": (8, np.inf)}  # pixels
SHIFT = 2  # pixels: a vessel predicted beside its place counts as detected
CROSSING = 5  # pixels around a point where three or more centrelines meet
RIM = 10  # pixels from the edge of the field of view

Mask = NDArray[np.bool_]


class Centreline(NamedTuple):
    """Each pixel of the centrelines of the vessels in the ground truth, in one order.

    Parameters
    ----------
    skeleton : ndarray of bool
        `(H, W)`, true on the L pixels of the centrelines.
    width : ndarray of float
        `(L,)`, of the vessel there, in pixels. It is exact for odd widths of straight upright
        vessels, and up to about one less for even widths and for slanted and curved vessels.
    crossing : ndarray of bool
        `(L,)`, whether vessels branch or cross within `CROSSING` pixels.
    """

    skeleton: Mask
    width: NDArray[np.float64]
    crossing: Mask


def centreline(vessels: Mask) -> Centreline:
    """The centrelines of a vessel mask, with the width from the distance to the edge.

    Parameters
    ----------
    vessels : ndarray of bool
        `(H, W)`.

    Returns
    -------
    Centreline
        Skeleton, width and crossings.

    Examples
    --------
    A vessel five pixels wide:

    >>> import numpy as np
    >>> vessels = np.zeros((20, 40), dtype=bool)
    >>> vessels[8:13] = True
    >>> line = centreline(vessels)
    >>> float(np.median(line.width)), bool(line.crossing.any())
    (5.0, False)
    """
    skeleton = skeletonize(vessels)
    width = 2 * ndimage.distance_transform_edt(vessels)[skeleton] - 1
    neighbours = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3)), mode="constant") - 1
    meeting = skeleton & (neighbours >= 3)
    near = ndimage.distance_transform_edt(~meeting) <= CROSSING if meeting.any() else meeting
    return Centreline(skeleton, width, near[skeleton])


def detected(prediction: Mask, line: Centreline) -> Mask:
    """Which centreline pixels have a predicted vessel pixel near them.

    Parameters
    ----------
    prediction : ndarray of bool
        `(H, W)`.
    line : Centreline
        Of the ground truth, with L pixels.

    Returns
    -------
    ndarray of bool
        `(L,)`, true where a predicted pixel lies within `SHIFT` pixels (city blocks).

    Examples
    --------
    >>> import numpy as np
    >>> vessels = np.zeros((20, 40), dtype=bool)
    >>> vessels[10] = True
    >>> line = centreline(vessels)
    >>> [bool(detected(np.roll(vessels, by, axis=0), line).all()) for by in (2, 3)]
    [True, False]
    """
    return ndimage.binary_dilation(prediction, iterations=SHIFT)[line.skeleton]


def sensitivity_by_place(
    predictions: Sequence[Mask], vessels: Sequence[Mask]
) -> dict[str, dict[str, Any]]:
    """The fraction of centreline length that was detected, by width and at crossings.

    Length is counted, not area, so a missed thin vessel weighs as much as a wide one.
    `centre of wide vessels` allows no shift: a bright central reflex that was taken for background
    shows there.

    Parameters
    ----------
    predictions : sequence of ndarray of bool
        Per image `(H, W)`.
    vessels : sequence of ndarray of bool
        Per image `(H, W)`, the ground truth.

    Returns
    -------
    dict of str to dict
        For each place `pixels` and `sensitivity` (a fraction, or None without pixels).

    Raises
    ------
    ValueError
        If there are not as many predictions as ground truths, or if there is none.

    Examples
    --------
    A wide vessel was found, a thin one was missed:

    >>> import numpy as np
    >>> thin, wide = np.zeros((40, 60), dtype=bool), np.zeros((40, 60), dtype=bool)
    >>> thin[5], wide[20:29] = True, True
    >>> found = sensitivity_by_place([wide], [thin | wide])
    >>> found["below 4"]["sensitivity"], found["8 and more"]["sensitivity"]
    (0.0, 1.0)
    """
    parts: dict[str, list[Mask]] = {name: [] for name in WIDTHS}
    parts |= {"at crossings": [], "elsewhere": [], "centre of wide vessels": []}
    for prediction, vessel_mask in zip(predictions, vessels, strict=True):
        line = centreline(vessel_mask)
        found = detected(prediction, line)
        for name, (low, high) in WIDTHS.items():
            parts[name].append(found[(line.width >= low) & (line.width < high)])
        parts["at crossings"].append(found[line.crossing])
        parts["elsewhere"].append(found[~line.crossing])
        parts["centre of wide vessels"].append(prediction[line.skeleton][line.width >= 8])
    if not parts["elsewhere"]:
        raise ValueError("There is no image to look at.")
    together = {name: np.concatenate(part) for name, part in parts.items()}
    return {
        name: {"pixels": len(part), "sensitivity": float(part.mean()) if len(part) else None}
        for name, part in together.items()
    }


def false_positives_by_place(
    predictions: Sequence[Mask], vessels: Sequence[Mask], fovs: Sequence[Mask]
) -> dict[str, float]:
    """Where the false positives inside the fields of view lie, as fractions of all of them.

    Parameters
    ----------
    predictions : sequence of ndarray of bool
        Per image `(H, W)`.
    vessels : sequence of ndarray of bool
        Per image `(H, W)`, the ground truth.
    fovs : sequence of ndarray of bool
        Per image `(H, W)`, the field of view.

    Returns
    -------
    dict of str to float
        `beside a vessel`: within `SHIFT` pixels of one in the ground truth (segmented too wide, or
        shifted); `at the rim`: of the others, within `RIM` pixels of the edge of the field of
        view; `elsewhere`: the rest. All are 0 where there is no false positive.

    Raises
    ------
    ValueError
        If there are not as many predictions as ground truths and fields of view.

    Examples
    --------
    >>> import numpy as np
    >>> vessels, fov = np.zeros((60, 60), dtype=bool), np.ones((60, 60), dtype=bool)
    >>> vessels[30] = True
    >>> prediction = vessels.copy()
    >>> prediction[31, 10:13] = True  # beside the vessel
    >>> prediction[2, 30] = True  # at the rim
    >>> false_positives_by_place([prediction], [vessels], [fov])
    {'beside a vessel': 0.75, 'at the rim': 0.25, 'elsewhere': 0.0}
    """
    counts = np.zeros(3)
    for prediction, vessel_mask, fov in zip(predictions, vessels, fovs, strict=True):
        wrong = prediction & ~vessel_mask & fov
        # Where there is no vessel, the distance to the nearest one would be one to nowhere.
        near = ndimage.distance_transform_edt(~vessel_mask) <= SHIFT
        beside = (near & vessel_mask.any())[wrong]
        framed = np.pad(fov, 1)  # the image's own border is an edge, too
        rim = ndimage.distance_transform_edt(framed)[1:-1, 1:-1][wrong] <= RIM
        counts += beside.sum(), (~beside & rim).sum(), (~beside & ~rim).sum()
    names = ("beside a vessel", "at the rim", "elsewhere")
    return dict(zip(names, (counts / max(1, counts.sum())).tolist(), strict=True))
