"""What F1 does not see: connectedness and edges of a vessel map, for one photograph."""

import numpy as np
from numpy.typing import NDArray

from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation.binary_maps import cldice
from retina_course.evaluation.surface import nsd, observer_tolerance
from retina_course.evaluation.topology import betti_errors, betti_numbers

Mask = NDArray[np.bool_]


def shape_scores(found: Mask, truth: Mask, fov: Mask, tolerance: float) -> dict[str, float]:
    """clDice, normalised surface distance, Betti errors, pieces; inside the field of view.

    Parameters
    ----------
    found, truth, fov : `(H, W)`.
    tolerance : pixels that an edge may be away, see `tolerance_of_observers`.
    """
    found, truth = found & fov, truth & fov
    errors = betti_errors(found, truth)
    return {
        "cldice": cldice(found, truth),
        "nsd": nsd(found, truth, tolerance),
        "nsd_1px": nsd(found, truth, 1),
        "betti0_error": errors.components,
        "betti1_error": errors.holes,
        "components": betti_numbers(found).components,
    }


def tolerance_of_observers() -> float:
    """How far apart two people draw an edge, in pixels, on CHASE_DB1's training half."""
    photographs = list(ChaseDB1(split="train"))
    return observer_tolerance(
        [photo.ground_truth & photo.fov for photo in photographs],
        [photo.second_observer & photo.fov for photo in photographs],
    )
