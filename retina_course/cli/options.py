"""The options that several commands share, and the checks of what is given for them."""

import argparse
from pathlib import Path

import torch

from retina_course.cli.field_angles import add_field_angle
from retina_course.cli.inputs import SETS
from retina_course.data.photographs import VESSELS
from retina_course.inference.scale import DEFAULT_FIELD_ANGLE
from retina_course.training.devices import default_device

DATA_HELP = (
    f"{', '.join(SETS)} (in the folder RETINA_COURSE_DATA), or a folder: one of these "
    "sets under its own name, or your own with images/ and masks/"
)


def add_photographs(parser: argparse.ArgumentParser, weights: str, threshold: str) -> None:
    """Add what `segment`, `detect` and `measure` take, besides `--output`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    weights : str
        Name of the default weights.
    threshold : str
        What the threshold T means, for the help.
    """
    parser.add_argument(
        "photos",
        metavar="PHOTO",
        nargs="+",
        type=Path,
        help="image file, folder of image files, or pattern such as 'photos/*.png'",
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="also the folders below a folder; DIR then has the same folders",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="also photographs that are done: with these weights and settings, unchanged since",
    )
    parser.add_argument(
        "--field-of-view",
        type=Path,
        metavar="MASK",
        help="white where the photograph shows the retina: one mask for all photographs, or a "
        "folder with NAME, NAME_mask or NAME_fov for each (default: found in the photograph)",
    )
    parser.add_argument(
        "--fov-diameter",
        type=pixels,
        metavar="PIXELS",
        help="diameter that the whole field of view would have, where the photograph shows only "
        "a part of it (default: as found)",
    )
    add_field_angle(
        parser,
        "estimated from the size of the optic disc, where one is found; else "
        f"{DEFAULT_FIELD_ANGLE:g}",
    )
    add_weights(parser, weights)
    add_prediction(parser, threshold)
    add_device(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, a dataset, and `--vessels`, how its masks are to be read.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    """
    parser.add_argument("--data", required=True, metavar="DATA", help=DATA_HELP)
    parser.add_argument(
        "--vessels",
        choices=VESSELS,
        help="colour of the vessels in the masks (default: white; asked for where a mask is white "
        "in more than half of the field of view)",
    )


def add_output(parser: argparse.ArgumentParser, what: str, metavar: str = "DIR") -> None:
    """Add `--output`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    what : str
        What it is for.
    metavar : str, default "DIR"
        What it names, for the help.
    """
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=what)


def add_weights(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--model` and `--weights`, of which one may be given; both set `weights`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    default : str
        Name of the default weights.
    """
    parser.set_defaults(weights=default)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--model",
        dest="weights",
        default=argparse.SUPPRESS,  # else argparse would not see the default's own name as given
        metavar="NAME",
        help="network whose weights come with the package: see `retina-course models` "
        f"(default: {default})",
    )
    group.add_argument(
        "--weights",
        default=argparse.SUPPRESS,
        metavar="W",
        help="your own weights: a .safetensors file with its card beside it",
    )


def add_prediction(parser: argparse.ArgumentParser, threshold: str) -> None:
    """Add `--threshold` and `--no-flips`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    threshold : str
        What the threshold T means, for the help.
    """
    parser.add_argument(
        "--threshold",
        type=probability,
        metavar="T",
        help=f"{threshold} (default: as the weights' card says)",
    )
    parser.add_argument(
        "--no-flips",
        dest="flips",
        action="store_false",
        help="do not average over flips: four times as fast, slightly less accurate",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    """
    parser.add_argument(
        "--device",
        type=available_device,
        default=default_device(),
        metavar="D",
        help="cpu, cuda, cuda:1, ... (default: %(default)s)",
    )


def seed_number(text: str) -> int:
    """A seed that the generators of NumPy and torch both take.

    It is checked here, before anything is written.

    Parameters
    ----------
    text : str
        What the user gave.

    Returns
    -------
    int
        From 0 to 2**32 - 1.

    Raises
    ------
    argparse.ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> seed_number("7")
    7
    """
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"a seed is a whole number from 0 to 2**32 - 1, got {text}"
        )
    return int(text)


def probability(text: str) -> float:
    """A number between 0 and 1, both excluded.

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
    >>> probability("0.25")
    0.25
    """
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text}")
    return value


def pixels(text: str) -> float:
    """A number of pixels.

    Parameters
    ----------
    text : str
        What the user gave.

    Returns
    -------
    float
        At least 1.

    Raises
    ------
    argparse.ArgumentTypeError
        Anything else.

    Examples
    --------
    >>> pixels("1440")
    1440.0
    """
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 1 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of pixels, got {text}")
    return value


def available_device(text: str) -> torch.device:
    """A device of this machine.

    Parameters
    ----------
    text : str
        What the user gave, such as "cpu" or "cuda:1".

    Returns
    -------
    torch.device
        The device; it could compute a convolution.

    Raises
    ------
    argparse.ArgumentTypeError
        There is no such device here.

    Examples
    --------
    >>> available_device("cpu")
    device(type='cpu')
    """
    try:
        image = torch.ones(1, 1, 2, 2, device=text)
        torch.nn.functional.conv2d(image, image).item()
        return torch.device(text)
    # Of a dozen types, by device: what is missing is a driver, a package or the device itself.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise argparse.ArgumentTypeError(f"no device {text!r} here: {reason}") from None
