"""The options of `retina-course measure` alone."""

import argparse
import math
from pathlib import Path

DISC_CHOICES = ("found", "none")


def add_measurement(parser: argparse.ArgumentParser) -> None:
    """Add what only `measure` takes.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    """
    parser.add_argument(
        "--inputs",
        choices=("auto", "photographs", "masks"),
        default="auto",
        help="what the files are (default: masks where an image has pure colours only)",
    )
    parser.add_argument(
        "--disc",
        type=disc_source,
        default="found",
        metavar="DISC",
        help="the optic disc, for zones B and C: found (by a network, in photographs), none, or a "
        "CSV file with the columns file, x, y and diameter in pixels (default: found)",
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--microns-per-pixel",
        type=positive,
        metavar="UM",
        help="scale on the retina, which depends on the eye's length: adds columns in micrometres",
    )
    scale.add_argument(
        "--disc-diameter",
        dest="disc_microns",
        type=positive,
        metavar="UM",
        help="the optic disc's diameter in micrometres, as an assumption: the scale follows from "
        "the disc of each photograph",
    )


def disc_source(text: str) -> str:
    """Where the optic disc comes from.

    Parameters
    ----------
    text : str
        What the user gave.

    Returns
    -------
    str
        "found", "none", or the name of a file that exists.

    Raises
    ------
    argparse.ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> disc_source("none")
    'none'
    """
    if text in DISC_CHOICES or (text.lower().endswith(".csv") and Path(text).is_file()):
        return text
    raise argparse.ArgumentTypeError(
        f"expected found, none or a table of discs that ends in .csv, got {text}"
    )


def positive(text: str) -> float:
    """A number above 0.

    Parameters
    ----------
    text : str
        What the user gave.

    Returns
    -------
    float
        The number.

    Raises
    ------
    argparse.ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> positive("4.5")
    4.5
    """
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value
