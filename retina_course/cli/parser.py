"""The command line: `retina-course segment | detect | train | evaluate | models | download`.

Exit codes: 0 all well; 1 something given cannot be used (a message on stderr, no traceback);
2 a command that cannot be understood; 130 interrupted by Ctrl-C.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import torch

from retina_course import __version__, list_models
from retina_course.cli import commands, photo_commands
from retina_course.models import DETECTORS
from retina_course.training.devices import default_device
from retina_course.training.recipe import Recipe

DATA_HELP = (
    f"{', '.join(commands.SETS)} (in the folder RETINA_COURSE_DATA), or a folder: one of these "
    "sets under its own name, or your own with images/ and masks/"
)
RECIPE_HELP = {
    "steps": "number of batches",
    "batch_size": "crops in a batch",
    "crop": "side of the crops in pixels",
    "lr": "highest learning rate",
    "fov_diameter": "pixels to which the diameter of the field of view is resampled",
    "rotation": "largest random turn in degrees",
    "jitter": "strength of the random change of colours, 0 to 1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what its encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with commands.memory_errors():
            return options.command(options)
    except KeyboardInterrupt:
        print("retina-course: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        print(f"retina-course: error: {commands.message(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="retina-course",
        description="Find vessels, the optic disc and lesions in photographs of the retina. "
        f"{commands.NOT_MEDICAL}",
    )
    parser.add_argument("--version", action="version", version=f"retina-course {__version__}")
    add = parser.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser
    _segment(add)
    _detect(add)
    _train(add)
    _evaluate(add)
    _command(add, "models", commands.models, "list the networks and the weights", "")
    _download(add)
    return parser


def _segment(add: Callable) -> None:
    parser = _command(
        add,
        "segment",
        photo_commands.segment_photographs,
        "find the vessels in photographs",
        "retina-course segment eye.jpg -o results\n"
        "retina-course segment photos/*.png -o results --weights mine/unet_small.safetensors",
        "Writes for each PHOTO NAME_vessels.png (white on black), NAME_probability.png (16-bit "
        "grey, 65535 = 1) and NAME_overlay.jpg into DIR. Any size, any camera: the photograph is "
        "resampled so that its field of view has the size that the network was trained on. "
        + commands.NOT_MEDICAL,
    )
    _photographs(parser, "unet_small", "vessel where the probability is at least T")


def _detect(add: Callable) -> None:
    parser = _command(
        add,
        "detect",
        photo_commands.detect_photographs,
        "find the optic disc, hard exudates and haemorrhages in photographs",
        "retina-course detect eye.jpg -o results\n"
        "retina-course detect photos/*.png -o results --threshold 0.2",
        "Writes for each PHOTO NAME_boxes.jpg, the photograph with its boxes, and NAME_boxes.json, "
        "their labels, scores and corners in pixels, into DIR. Any size, any camera. A box without "
        "a lesion in it and a lesion without a box are common: see the card's scores "
        "(`retina-course models`). " + commands.NOT_MEDICAL,
    )
    _photographs(parser, "retina_net", "boxes with a score of at least T")


def _train(add: Callable) -> None:
    parser = _command(
        add,
        "train",
        commands.train,
        "train a network on photographs with a ground truth of vessels",
        "retina-course train --data chase_db1 -o runs/chase\n"
        "retina-course train --data my_eyes --steps 500 --crop 256 -o runs/mine",
        "Trains on the training split by the course's recipe, chooses the threshold on the same "
        "images, and writes MODEL.safetensors with its card and history.json into DIR. Killed, it "
        "continues from its checkpoint when the same command is given again.",
    )
    _data(parser)
    _output(parser, "folder of this run")
    segmentors = [name for name in list_models() if name not in DETECTORS]
    parser.add_argument(
        "--model", default="unet_small", choices=segmentors, help="default: %(default)s"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="default: %(default)s")
    for field in fields(Recipe):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,
            default=None if field.name == "lr" else field.default,
            metavar="N",
            help=f"{RECIPE_HELP[field.name]} (default: "
            + ("1e-2 below 0.3 M weights, 1e-3 above)" if field.name == "lr" else "%(default)s)"),
        )
    _device(parser)


def _seed(given: str) -> int:
    """NumPy's and torch's generators both take these; refused here, before anything is written."""
    if not given.isdecimal() or int(given) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"a seed is a whole number from 0 to 2**32 - 1, got {given}"
        )
    return int(given)


def _evaluate(add: Callable) -> None:
    parser = _command(
        add,
        "evaluate",
        commands.evaluate,
        "score a network on photographs with a ground truth of vessels",
        "retina-course evaluate --data chase_db1\n"
        "retina-course evaluate --data HRF --weights mine/unet_small.safetensors --json hrf.json",
        "Scores pixels inside the field of view at native size: pooled over all photographs, and "
        "mean and standard deviation over photographs, beside a second observer (where the set "
        "has one) and the empty prediction. The threshold comes with the weights, from their "
        "training images.",
    )
    _data(parser)
    _weights(parser, "unet_small")
    parser.add_argument(
        "--split",
        choices=["train", "test", "all"],
        default="test",
        help="part of a published set (default: %(default)s); a folder of your own is used whole",
    )
    _prediction(parser, "vessel where the probability is at least T")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all scores there, too")
    _device(parser)


def _download(add: Callable) -> None:
    parser = _command(
        add,
        "download",
        commands.download,
        "fetch a data set and check it file by file",
        "retina-course download chase_db1 -o data",
    )
    parser.add_argument("name", metavar="NAME", choices=["chase_db1"], help="chase_db1")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for data sets (default: RETINA_COURSE_DATA where it is set, else data)",
    )


def _command(
    add: Callable, name: str, command: Callable, summary: str, examples: str, more: str = ""
) -> argparse.ArgumentParser:
    indented = "\n".join(f"  {line}" for line in examples.splitlines())
    # The raw formatter keeps the examples' lines; the description is then folded here.
    parser = add(
        name,
        help=summary,
        description=textwrap.fill(more or f"{summary[0].upper()}{summary[1:]}.", 80),
        epilog=f"examples:\n{indented}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _photographs(parser: argparse.ArgumentParser, weights: str, threshold: str) -> None:
    parser.add_argument("photos", metavar="PHOTO", nargs="+", type=Path, help="image file")
    _output(parser, "folder for the images")
    _weights(parser, weights)
    _prediction(parser, threshold)
    _device(parser)


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, metavar="DATA", help=DATA_HELP)


def _output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=what)


def _weights(parser: argparse.ArgumentParser, default: str) -> None:
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
        help="weights of one's own: a .safetensors file with its card beside it",
    )


def _prediction(parser: argparse.ArgumentParser, threshold: str) -> None:
    parser.add_argument(
        "--threshold",
        type=_probability,
        metavar="T",
        help=f"{threshold} (default: as the weights' card says)",
    )
    parser.add_argument(
        "--no-flips",
        dest="flips",
        action="store_false",
        help="do not average over mirror images: four times as fast, slightly less accurate",
    )


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        type=_available_device,
        default=default_device(),
        metavar="D",
        help="cpu, cuda, cuda:1, ... (default: %(default)s)",
    )


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text}")
    return value


def _available_device(text: str) -> torch.device:
    try:
        torch.empty(0, device=text)
        return torch.device(text)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f"no device {text!r} here: {reason}") from None
