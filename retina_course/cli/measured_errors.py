"""What is known of the error of a measurement: read from the stored validation, for the table."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from retina_course import results

STORED = "measurement_real"
PARTS = ("bias_percent", "low_percent", "high_percent")
RATIO, EXCESS = "tortuosity_arc_chord", "tortuosity_arc_chord_minus_1"


class Validation(NamedTuple):
    """The error of each column, and where it was found.

    Parameters
    ----------
    columns : mapping
        By column: `bias_percent`, `low_percent` and `high_percent` of the difference.
    offset_px : float or None
        What to add to the mean calibre of this network at `pixels_per_degree`.
    pixels_per_degree : float
        Of the photographs of the validation.
    about : str
        Where it comes from; that there is none where it is so.
    """

    columns: Mapping[str, Mapping[str, float]]
    offset_px: float | None
    pixels_per_degree: float
    about: str


def validated_columns() -> list[str]:
    """The columns whose error is stored.

    Returns
    -------
    list of str
        By the names of the table.
    """
    return [EXCESS if name == RATIO else name for name in results.read(STORED)["columns"]]


def of_network(card: Mapping[str, Any]) -> Validation:
    """The error of a network's measurements, against the first observer of CHASE_DB1.

    Parameters
    ----------
    card : mapping
        The card of the weights.

    Returns
    -------
    Validation
        Without columns for weights that are not those of the package.
    """
    stored = results.read(STORED)
    for name, network in stored["networks"].items():
        if network["weights_sha256"] == card.get("sha256"):
            found = network["mask"]
            photographs = next(iter(found["agreement"].values()))["n"]
            return Validation(
                _above_one(found["agreement"]),
                found["width_correction"]["offset_px"],
                stored["pixels_per_degree"],
                f"{name} against an observer, CHASE_DB1, {photographs} photographs",
            )
    return Validation({}, None, stored["pixels_per_degree"], "none for these weights")


def of_masks() -> Validation:
    """The error of a mask that a person drew: that of a second observer, on CHASE_DB1.

    Returns
    -------
    Validation
        What the mask of another person would change.
    """
    stored = results.read(STORED)
    photographs = next(iter(stored["observers_all"].values()))["n"]
    return Validation(
        _above_one(stored["observers_all"]),
        None,
        stored["pixels_per_degree"],
        f"two observers, CHASE_DB1, {photographs} photographs",
    )


def _above_one(agreement: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """The errors by column; of arc by chord that of its part above 1, in percent of its mean.

    The ratio of a straight vessel is 1. In percent of the whole ratio, an error as large as all
    that differs between eyes looks small.
    """
    errors = dict(agreement)
    ratio = errors.pop(RATIO)
    larger = ratio["mean_first"] / (ratio["mean_first"] - 1)
    errors[EXCESS] = {part: ratio[part] * larger for part in PARTS}
    return errors
