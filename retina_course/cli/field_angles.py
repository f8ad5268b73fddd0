"""The option `--field-angle`: one angle for all photographs, or a table with one for each."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retina_course.data.field_angles import check_field_angle, field_angles_of, read_field_angles
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.photographs import Photographs
from retina_course.inference.scale import used_field_angle, working_diameter

FieldAngle = float | Path | None  # degrees, or a CSV file


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
    degrees, unused = field_angles_of(files, _read(given))
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
        _name_unused(given, dataset.set_field_angles(_read(given)))


def angle_facts(field_angle: float | None, card: Mapping[str, Any]) -> dict[str, Any]:
    """The angle that a network works with, for tables and JSON files.

    Parameters
    ----------
    field_angle : float or None
        Width of the field of view in degrees, where it is known.
    card : mapping
        The network's card.

    Returns
    -------
    dict
        `field_angle` and `field_angle_is` ("known" or "assumed"); None where the card gives no
        scale in degrees and the angle changes nothing.

    Examples
    --------
    >>> angle_facts(None, {"pixels_per_degree": 20})
    {'field_angle': 45.0, 'field_angle_is': 'assumed'}
    """
    angle = used_field_angle(field_angle, card)
    known = "assumed" if field_angle is None else "known"
    return {"field_angle": angle, "field_angle_is": None if angle is None else known}


def scale_facts(
    fov_pixels: float, field_angle: float | None, card: Mapping[str, Any]
) -> dict[str, Any]:
    """The angle and the scale that a photograph is seen at, for tables and JSON files.

    Parameters
    ----------
    fov_pixels : float
        Pixels that the field of view has in the photograph.
    field_angle : float or None
        See `angle_facts`.
    card : mapping
        The network's card.

    Returns
    -------
    dict
        Those of `angle_facts`, and `pixels_per_degree`, None likewise.

    Examples
    --------
    >>> scale_facts(640, 30, {"pixels_per_degree": 20})
    {'field_angle': 30.0, 'field_angle_is': 'known', 'pixels_per_degree': 20.0}
    """
    scale = working_diameter(fov_pixels, field_angle, card).pixels_per_degree
    rounded = None if scale is None else round(scale, 2)
    return angle_facts(field_angle, card) | {"pixels_per_degree": rounded}


def _read(given: float | Path) -> float | dict[str, float]:
    return read_field_angles(given) if isinstance(given, Path) else given


def _name_unused(given: float | Path, unused: Sequence[str]) -> None:
    if unused:
        text = f"{given} names files that are not among the photographs: {', '.join(unused)}"
        print(f"retina-course: warning: {text}", file=sys.stderr)
