"""The option `--field-angle`: one angle for all photographs, or a table with one for each."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from retina_course import weights
from retina_course.data.field_angles import check_field_angle, field_angles_of, read_field_angles
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.photographs import Photographs
from retina_course.inference.disc_angle import angle_from_disc, angle_warnings
from retina_course.inference.scale import (
    DEFAULT_FIELD_ANGLE,
    used_field_angle,
    working_diameter,
)

DETECTOR = "retina_net"
FieldAngle = float | Path | None  # degrees, or a CSV file


class Angle(NamedTuple):
    """The field angle of one photograph.

    Parameters
    ----------
    degrees : float or None
        None where it is neither known nor estimated: then `DEFAULT_FIELD_ANGLE` is assumed.
    source : str
        "known", "estimated" from the optic disc, or "assumed".
    """

    degrees: float | None
    source: str


def as_given(degrees: float | None) -> Angle:
    """The angle as the user or the dataset says it.

    Parameters
    ----------
    degrees : float or None
        None where nobody says it.

    Returns
    -------
    Angle
        Known, or assumed.
    """
    return Angle(degrees, "assumed" if degrees is None else "known")


def not_given(angle: Angle) -> str:
    """What every command says of an angle that the user has not given.

    Parameters
    ----------
    angle : Angle
        Estimated or assumed.

    Returns
    -------
    str
        A sentence, for a warning.

    Examples
    --------
    >>> not_given(as_given(None))
    'Field angle of 45 degrees assumed; say the right one with --field-angle.'
    """
    degrees = DEFAULT_FIELD_ANGLE if angle.degrees is None else angle.degrees
    return (
        f"Field angle of {degrees:g} degrees {angle.source}; say the right one with --field-angle."
    )


def add_field_angle(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--field-angle`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    default : str
        What is taken where it is not given, for the help.
    """
    parser.add_argument(
        "--field-angle",
        type=angle_or_table,
        metavar="DEGREES",
        help="width of the whole field of view in degrees, as the camera's data sheet says it; or "
        "a CSV file with the columns file and degrees, for photographs of several cameras "
        f"(default: {default})",
    )


def angle_or_table(text: str) -> float | Path:
    """A field angle, or the file that has one for each photograph.

    Parameters
    ----------
    text : str
        What the user gave.

    Returns
    -------
    float or Path
        Degrees, or a name that ends in ".csv"; the file is not read.

    Raises
    ------
    argparse.ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> angle_or_table("45"), str(angle_or_table("angles.csv"))
    (45.0, 'angles.csv')
    """
    if text.lower().endswith(".csv"):
        return Path(text)
    try:
        return check_field_angle(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{problem} A table of angles ends in .csv.") from None


def photograph_angles(files: Sequence[Path], given: FieldAngle) -> dict[Path, float | None]:
    """The field angle of each photograph; rows of a table that belong to none are named.

    Parameters
    ----------
    files : sequence of Path
        The photographs.
    given : float, Path or None
        The option.

    Returns
    -------
    dict of Path to float or None
        Degrees; None where the option is not given.

    Raises
    ------
    ValueError
        The table cannot be used, or lacks a photograph.
    """
    if given is None:
        return dict.fromkeys(files)
    with _table(given) as table:
        degrees, unused = field_angles_of(files, table)
    _name_unused(given, unused)
    return dict(zip(files, degrees, strict=True))


def set_angles(dataset: Photographs | IDRiDBoxes, given: FieldAngle) -> None:
    """Give a dataset the angles of the option, where it is given.

    Parameters
    ----------
    dataset : Photographs or IDRiDBoxes
        Published sets know their own angle, which the option replaces.
    given : float, Path or None
        The option.

    Raises
    ------
    ValueError
        The table cannot be used, or lacks a photograph.
    """
    if given is not None:
        with _table(given) as table:
            unused = dataset.set_field_angles(table)
        _name_unused(given, unused)


def look_at_disc(
    given: float | None,
    card: Mapping[str, Any],
    image: Tensor,
    fov: Tensor,
    fov_diameter: float | None,
) -> tuple[Angle, list[str]]:
    """The angle of a photograph, estimated from its optic disc where the user gave none.

    Parameters
    ----------
    given : float or None
        Degrees, as the user gave them.
    card : mapping
        The network's card. Where it gives no scale in degrees, no disc is looked for.
    image : Tensor
        The photograph, `(3, H, W)` in [0, 1].
    fov : Tensor of bool
        The field of view, `(H, W)`.
    fov_diameter : float or None
        See `angle_from_disc`.

    Returns
    -------
    angle : Angle
        What was given; else the estimate in whole degrees; else assumed.
    warnings : list of str
        A sentence where the disc contradicts what was given, or where an angle is assumed.
    """
    if used_field_angle(None, card) is None:
        return as_given(given), []
    suggested = angle_from_disc(*_detector(), image, fov, fov_diameter=fov_diameter)
    if given is not None:
        return as_given(given), angle_warnings(given, suggested)
    if suggested is None:
        return as_given(None), [not_given(as_given(None))]
    return Angle(float(round(suggested)), "estimated"), []


@cache
def _detector() -> tuple[nn.Module, dict[str, Any]]:
    return weights.load(DETECTOR)


def given_fact(given: float | None, card: Mapping[str, Any]) -> str:
    """What the user says about the angle, for tables.

    Parameters
    ----------
    given : float or None
        Degrees.
    card : mapping
        The network's card.

    Returns
    -------
    str
        Empty where nothing is said, or where it changes nothing.

    Examples
    --------
    >>> given_fact(30, {"pixels_per_degree": 20}), given_fact(30, {"fov_diameter": 640})
    ('30.0', '')
    """
    used = None if given is None else used_field_angle(given, card)
    return "" if used is None else str(used)


def scale_facts(fov_pixels: float, angle: Angle, card: Mapping[str, Any]) -> dict[str, Any]:
    """The angle and the scale that a photograph is seen at, for tables and JSON files.

    Parameters
    ----------
    fov_pixels : float
        Pixels that the field of view has in the photograph.
    angle : Angle
        Of the photograph.
    card : mapping
        The network's card.

    Returns
    -------
    dict
        `field_angle`, `field_angle_is` (the source) and `pixels_per_degree`; None where the card
        gives no scale in degrees and the angle changes nothing.

    Examples
    --------
    >>> scale_facts(640, as_given(30), {"pixels_per_degree": 20})
    {'field_angle': 30.0, 'field_angle_is': 'known', 'pixels_per_degree': 20.0}
    >>> scale_facts(640, as_given(None), {"pixels_per_degree": 20})["field_angle"]
    45.0
    """
    scale = working_diameter(fov_pixels, angle.degrees, card).pixels_per_degree
    used = used_field_angle(angle.degrees, card)
    return {
        "field_angle": used,
        "field_angle_is": None if used is None else angle.source,
        "pixels_per_degree": None if scale is None else round(scale, 2),
    }


@contextmanager
def _table(given: float | Path) -> Iterator[float | dict[str, float]]:
    """What the option gives; a photograph without a row may have one that lacks the suffix."""
    angles = read_field_angles(given) if isinstance(given, Path) else given
    try:
        yield angles
    except ValueError as problem:
        names = angles if isinstance(angles, dict) else ()
        bare = next((f"; the row {name} has none" for name in names if not Path(name).suffix), "")
        raise ValueError(f"{problem} Names have their suffix, as in eye.jpg{bare}.") from problem


def _name_unused(given: float | Path, unused: Sequence[str]) -> None:
    if unused:
        text = f"{given} names files that are not among the photographs: {', '.join(unused)}"
        print(f"retina-course: warning: {text}", file=sys.stderr)
