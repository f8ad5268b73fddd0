"""The field angle that the optic disc suggests: discs of all eyes are about equally wide."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from retina_course.inference.detection import detect
from retina_course.inference.field_of_view import measured_diameter

# Measured by benchmarks/analysis/disc_angle.py, with the detector that comes with the package.
LOOK_AT = 45.0  # degrees that are assumed while the disc is looked for
DISC_DEGREES = 7.2  # width of the box around a disc
DIFFERS = 1.4  # a suggestion that differs by this factor from what was said is worth a sentence
LEAST_SCORE = 0.8  # of the box; boxes below it are often bright lesions
PLAUSIBLE = 20.0, 75.0  # degrees of fundus cameras, and some room; other boxes are not of a disc
SMALLEST = 300  # pixels across the field of view; in smaller pictures no disc is looked for


def disc_box(
    detector: nn.Module,
    card: Mapping[str, Any],
    image: Tensor,
    fov: Tensor,
    *,
    least_score: float,
    field_angle: float | None = None,
    fov_diameter: float | None = None,
) -> tuple[float, float, float, float] | None:
    """The best box around the optic disc.

    Parameters
    ----------
    detector : nn.Module
        A detector that knows the class "optic disc", as `weights.load("retina_net")` returns it.
    card : mapping
        Its card.
    image : Tensor
        The photograph, `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`.
    least_score : float
        A box with a lower score does not count.
    field_angle, fov_diameter : float, optional
        See `detect`.

    Returns
    -------
    tuple of float or None
        x1, y1, x2, y2 in pixels of the photograph; None where no box is sure enough.

    Raises
    ------
    ValueError
        The detector's card does not name the class, or see `detect`.
    """
    label = card["classes"].index("optic disc") + 1
    found = detect(
        detector,
        image,
        card,
        flips=False,
        fov=fov,
        fov_diameter=fov_diameter,
        field_angle=field_angle,
    )
    sure = (found["labels"] == label) & (found["scores"] >= least_score)
    return tuple(found["boxes"][sure][0].tolist()) if bool(sure.any()) else None


def angle_from_disc(
    detector: nn.Module,
    card: Mapping[str, Any],
    image: Tensor,
    fov: Tensor,
    *,
    fov_diameter: float | None = None,
) -> float | None:
    """How wide the field of view is, judged by the size of the optic disc.

    The box around an optic disc is about `DISC_DEGREES` wide, so a field that is k discs wide has k
    times as many degrees. Discs differ between people, and boxes between annotators: on
    photographs of 30, 50 and 60 degrees most suggestions are wrong by less than a quarter. So it is
    a better guess than one angle for all cameras, and worse than the camera's data sheet.

    Parameters
    ----------
    detector : nn.Module
        See `disc_box`.
    card : mapping
        Its card.
    image : Tensor
        The photograph, `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`.
    fov_diameter : float, optional
        The diameter of the whole field in pixels, see `segment`.

    Returns
    -------
    float or None
        Degrees, within `PLAUSIBLE`; None where no disc is found, or the field has fewer pixels than
        `SMALLEST`.

    Raises
    ------
    ValueError
        See `disc_box`.
    """
    diameter = fov_diameter or measured_diameter(fov)
    if diameter < SMALLEST:
        return None
    box = disc_box(
        detector,
        card,
        image,
        fov,
        least_score=LEAST_SCORE,
        field_angle=LOOK_AT,
        fov_diameter=fov_diameter,
    )
    if box is None:
        return None
    x1, y1, x2, y2 = box
    width = math.sqrt((x2 - x1) * (y2 - y1))
    angle = DISC_DEGREES * diameter / width if width > 0 else math.inf
    return angle if PLAUSIBLE[0] <= angle <= PLAUSIBLE[1] else None


def angle_warnings(said: float, suggested: float | None) -> list[str]:
    """What to say of a field angle that the optic disc contradicts.

    Parameters
    ----------
    said : float
        The angle that the user gave, in degrees.
    suggested : float or None
        What `angle_from_disc` returns.

    Returns
    -------
    list of str
        One sentence where the two differ by more than a factor of `DIFFERS`, or none.

    Examples
    --------
    >>> angle_warnings(45, 38.0), angle_warnings(45, None)
    ([], [])
    >>> print(*angle_warnings(90, 38.0))  # doctest: +ELLIPSIS
    By the size of the optic disc the field of view has about 38 degrees, not 90: is ...
    """
    if suggested is None or max(said / suggested, suggested / said) <= DIFFERS:
        return []
    return [
        f"By the size of the optic disc the field of view has about {suggested:.0f} degrees, "
        f"not {said:g}: is --field-angle right?"
    ]
