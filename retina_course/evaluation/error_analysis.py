"""Where a vessel map is right and wrong: by vessel width, at crossings, at the rim, by probability.

All masks are bool `(H, W)`, at a photograph's native size.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

WIDTHS = {"below 4": (0, 4), "4 to 8": (4, 8), "8 and more": (8, np.inf)}  # pixels
SHIFT = 2  # pixels: a vessel drawn beside its place counts as detected
CROSSING = 5  # pixels around a point where three or more centrelines meet
RIM = 10  # pixels from the edge of the field of view

Mask = NDArray[np.bool_]


class Centreline(NamedTuple):
    """Each pixel of the centrelines of the vessels in the ground truth, in one order.

    width : of the vessel there, in pixels: exact for odd widths of straight upright vessels, up to
    about one less for even widths and for slanted and curved vessels.
    crossing : whether vessels branch or cross within `CROSSING` pixels.
    """

    skeleton: Mask
    width: NDArray
    crossing: Mask


def centreline(vessels: Mask) -> Centreline:
    """The centrelines of a vessel mask `(H, W)`, with the width from the distance to the edge."""
    skeleton = skeletonize(vessels)
    width = 2 * ndimage.distance_transform_edt(vessels)[skeleton] - 1
    neighbours = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3)), mode="constant") - 1
    meeting = skeleton & (neighbours >= 3)
    near = ndimage.distance_transform_edt(~meeting) <= CROSSING if meeting.any() else meeting
    return Centreline(skeleton, width, near[skeleton])


def detected(prediction: Mask, line: Centreline) -> Mask:
    """Which centreline pixels have a predicted one within `SHIFT` pixels (city blocks)."""
    return ndimage.binary_dilation(prediction, iterations=SHIFT)[line.skeleton]


def sensitivity_by_place(predictions: list[Mask], vessels: list[Mask]) -> dict:
    """The fraction of centreline length that was detected, by width and at crossings.

    Counting length instead of area, a missed thin vessel weighs as much as a wide one.
    `centre of wide vessels` allows no shift: a bright central reflex that was taken for background
    shows there.

    Returns
    -------
    dict : for each place `pixels` and `sensitivity` (a fraction, or None without pixels).
    """
    parts = {name: [] for name in WIDTHS}
    parts |= {"at crossings": [], "elsewhere": [], "centre of wide vessels": []}
    for prediction, vessel_mask in zip(predictions, vessels, strict=True):
        line = centreline(vessel_mask)
        found = detected(prediction, line)
        for name, (low, high) in WIDTHS.items():
            parts[name].append(found[(line.width >= low) & (line.width < high)])
        parts["at crossings"].append(found[line.crossing])
        parts["elsewhere"].append(found[~line.crossing])
        parts["centre of wide vessels"].append(prediction[line.skeleton][line.width >= 8])
    together = {name: np.concatenate(part) for name, part in parts.items()}
    return {
        name: {"pixels": len(part), "sensitivity": float(part.mean()) if len(part) else None}
        for name, part in together.items()
    }


def false_positives_by_place(
    predictions: list[Mask], vessels: list[Mask], fovs: list[Mask]
) -> dict[str, float]:
    """Where the false positives inside the fields of view lie, as shares of all of them.

    `beside a vessel`: within `SHIFT` pixels of one in the ground truth (segmented too wide,
    or shifted);
    `at the rim`: of the others, within `RIM` pixels of the field's edge; `elsewhere`: the rest.
    """
    counts = np.zeros(3)
    for prediction, vessel_mask, fov in zip(predictions, vessels, fovs, strict=True):
        wrong = prediction & ~vessel_mask & fov
        beside = ndimage.distance_transform_edt(~vessel_mask)[wrong] <= SHIFT
        framed = np.pad(fov, 1)  # the picture's own border is an edge, too
        rim = ndimage.distance_transform_edt(framed)[1:-1, 1:-1][wrong] <= RIM
        counts += beside.sum(), (~beside & rim).sum(), (~beside & ~rim).sum()
    names = ("beside a vessel", "at the rim", "elsewhere")
    return dict(zip(names, (counts / max(1, counts.sum())).tolist(), strict=True))


def calibration(probabilities: NDArray, target: Mask, bins: int = 10) -> dict:
    """Do pixels of probability p show a vessel in a fraction p of the cases?

    Parameters
    ----------
    probabilities, target : of pixels, one dimension.
    bins : of equal width.

    Returns
    -------
    dict : for each bin `count`, mean `probability` and `fraction` of vessels (None where empty);
        `expected_error`, the mean distance of probability and fraction over pixels, and `brier`,
        the mean of (p - t)^2. Source: arXiv 1706.04599, equation 3.
    """
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(target, dtype=np.float64)
    which = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    sums = (np.bincount(which, weights=w, minlength=bins) for w in (p, t))
    mean, fraction = (total / np.maximum(count, 1) for total in sums)
    return {
        "count": count.tolist(),
        "probability": [float(v) if n else None for v, n in zip(mean, count, strict=True)],
        "fraction": [float(v) if n else None for v, n in zip(fraction, count, strict=True)],
        "expected_error": float((count * abs(mean - fraction)).sum() / max(1, count.sum())),
        "brier": float(((p - t) ** 2).mean()),
    }
