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
from typing import Any

from retina_course import __version__
from retina_course.cli import commands, output, photo_commands
from retina_course.cli.options import (
    add_data,
    add_device,
    add_output,
    add_photographs,
    add_prediction,
    add_weights,
    seed_number,
)
from retina_course.models import DETECTORS, list_models
from retina_course.training.recipe import Recipe, learning_rate

RECIPE_HELP = {
    "steps": "number of batches",
    "batch_size": "crops in a batch",
    "crop": "side of the crops in pixels",
    "lr": "highest learning rate",
    "fov_diameter": "pixels to which the diameter of the field of view is resampled",
    "rotation": "largest random turn in degrees",
    "jitter": "strength of the random change of colours, 0 to 1",
}

AddParser = Callable[..., argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command and its options. Default: those that the program was called with.

    Returns
    -------
    int
        The exit code 0, 1 or 130.

    Raises
    ------
    SystemExit
        With the exit code 2, the command cannot be understood; with 0, after `--help`.
    """
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what its encoding lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        with output.memory_errors():
            return command(**options)
    except KeyboardInterrupt:
        print("retina-course: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        print(f"retina-course: error: {output.message(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
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


def _segment(add: AddParser) -> None:
    """The command `segment`."""
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
    add_photographs(parser, "unet_small", "vessel where the probability is at least T")


def _detect(add: AddParser) -> None:
    """The command `detect`."""
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
    add_photographs(parser, "retina_net", "boxes with a score of at least T")


def _train(add: AddParser) -> None:
    """The command `train`."""
    parser = _command(
        add,
        "train",
        _train_by_recipe,
        "train a network on photographs with a ground truth of vessels",
        "retina-course train --data chase_db1 -o runs/chase\n"
        "retina-course train --data my_photographs --steps 500 --crop 256 -o runs/mine",
        "Trains on the training split by the course's recipe, chooses the threshold on the same "
        "images, and writes MODEL.safetensors with its card and history.json into DIR. Killed, it "
        "continues from its checkpoint when the same command is given again.",
    )
    add_data(parser)
    add_output(parser, "folder of this run")
    segmentors = [name for name in list_models() if name not in DETECTORS]
    parser.add_argument(
        "--model", default="unet_small", choices=segmentors, help="default: %(default)s"
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="default: %(default)s")
    for field in fields(Recipe):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,
            default=None if field.name == "lr" else field.default,
            metavar="N",
            help=f"{RECIPE_HELP[field.name]} (default: "
            + ("1e-2 below 0.3 M weights, 1e-3 above)" if field.name == "lr" else "%(default)s)"),
        )
    add_device(parser)


def _train_by_recipe(*, model: str, **options: Any) -> int:
    """Call `commands.train` with the recipe that the options describe."""
    numbers = {field.name: options.pop(field.name) for field in fields(Recipe)}
    if numbers["lr"] is None:
        numbers["lr"] = learning_rate(model)
    return commands.train(model=model, recipe=Recipe(**numbers), **options)


def _evaluate(add: AddParser) -> None:
    """The command `evaluate`."""
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
    add_data(parser)
    add_weights(parser, "unet_small")
    parser.add_argument(
        "--split",
        choices=["train", "test", "all"],
        default="test",
        help="part of a published set (default: %(default)s); a folder of your own is used whole",
    )
    add_prediction(parser, "vessel where the probability is at least T")
    parser.add_argument(
        "--json",
        dest="json_file",
        type=Path,
        metavar="FILE",
        help="write all scores there, too",
    )
    add_device(parser)


def _download(add: AddParser) -> None:
    """The command `download`."""
    parser = _command(
        add,
        "download",
        commands.download,
        "fetch a dataset and check it file by file",
        "retina-course download chase_db1 -o data",
    )
    parser.add_argument(
        "name", metavar="NAME", choices=commands.DOWNLOADS, help=", ".join(commands.DOWNLOADS)
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for datasets (default: RETINA_COURSE_DATA where it is set, else data)",
    )


def _command(
    add: AddParser,
    name: str,
    command: Callable[..., int],
    summary: str,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """The parser of one command; `command` is called with its options by name."""
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
