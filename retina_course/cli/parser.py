"""The command line: `retina-course segment | detect | train | evaluate | export | ...`.

Exit codes: 0 all well; 1 something given cannot be used (a message on stderr, no traceback);
2 a command that cannot be understood; 130 interrupted by Ctrl-C.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from retina_course import __version__
from retina_course.cli import (
    commands,
    evaluate_command,
    inputs,
    measure_command,
    output,
    photo_commands,
    train_command,
)
from retina_course.cli.field_angles import add_field_angle
from retina_course.cli.measure_options import add_measurement
from retina_course.cli.options import (
    add_data,
    add_device,
    add_output,
    add_photographs,
    add_prediction,
    add_weights,
    seed_number,
)
from retina_course.cli.recipe_options import add_recipe
from retina_course.inference.scale import DEFAULT_FIELD_ANGLE
from retina_course.models import list_models

AddParser = Callable[..., argparse.ArgumentParser]
RESULTS = "folder for the results; no file of yours is replaced there"
VESSELS = "unet_small_any_camera"  # the weights for vessels where none are named


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
    with output.readers_may_leave():
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
    _measure(add)
    _train(add)
    _evaluate(add)
    _export(add)
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
        "retina-course segment photos -o results --recursive --field-angle 45\n"
        "retina-course segment photos/*.png -o results --weights mine/unet_small.safetensors",
        "Writes for each photograph NAME_vessels.png (white on black), NAME_probability.png "
        "(16-bit grey, 65535 = 1) and NAME_overlay.jpg into DIR, and a row of DIR/segment.csv. "
        "Photographs of any size are taken, and resampled to the pixels per degree that the "
        "network was trained at: say how wide the camera's field of view is (--field-angle). "
        "Expect more errors on cameras and diseases that the training lacked. Given again, the "
        "command skips what is done. " + commands.NOT_MEDICAL,
    )
    add_output(parser, RESULTS)
    add_photographs(parser, VESSELS, "vessel where the probability is at least T")


def _detect(add: AddParser) -> None:
    """The command `detect`."""
    parser = _command(
        add,
        "detect",
        photo_commands.detect_photographs,
        "find the optic disc, hard exudates and haemorrhages in photographs",
        "retina-course detect eye.jpg -o results\n"
        "retina-course detect photos -o results --threshold 0.2",
        "Writes for each photograph NAME_boxes.jpg, with its boxes, NAME_boxes.json, their labels, "
        "scores and corners in pixels, into DIR, and a row of DIR/detect.csv. Photographs of any "
        "size are taken, and resampled to the pixels per degree that the network was trained at: "
        "say how wide the camera's field of view is (--field-angle). Given again, the command "
        "skips what is done. A box without a lesion in it and a lesion without a box are common: "
        "see the card's scores (`retina-course models`). " + commands.NOT_MEDICAL,
    )
    add_output(parser, RESULTS)
    add_photographs(parser, "retina_net", "boxes with a score of at least T")


def _measure(add: AddParser) -> None:
    """The command `measure`."""
    parser = _command(
        add,
        "measure",
        measure_command.measure_photographs,
        "measure the vessels in photographs or in masks: widths, lengths, tortuosity",
        "retina-course measure eye.jpg -o table.csv --field-angle 45\n"
        "retina-course measure photos -o table.csv --recursive --disc discs.csv\n"
        "retina-course measure masks/*.png -o table.csv --field-of-view fov.png",
        "Writes a row for each photograph or mask, with units in the columns' names, and beside "
        "what was validated its bias and limits of agreement in percent: for photographs those of "
        "the network against an observer, for masks those of two observers. Arc by chord starts "
        "at 1: its errors are those of arc by chord minus 1. Narrow limits say little where eyes "
        "hardly differ, as in fractal dimension. A picture of each shows what was measured. "
        "Photographs are segmented first; masks are white on black, or red arteries, blue veins "
        "and green crossings. " + commands.NOT_MEDICAL,
    )
    add_output(
        parser,
        "a table NAME.csv, with the pictures in NAME_pictures beside it; or a folder for both, the "
        "table as measure.csv; no file of yours is replaced",
        "DIR_OR_CSV",
    )
    add_photographs(parser, VESSELS, "vessel where the probability is at least T")
    add_measurement(parser)


def _train(add: AddParser) -> None:
    """The command `train`."""
    parser = _command(
        add,
        "train",
        train_command.train,
        "train a network on photographs with a ground truth of vessels or boxes",
        "retina-course train --data chase_db1 -o runs/chase\n"
        "retina-course train --data my_photographs --steps 500 --crop 256 -o runs/mine\n"
        "retina-course train --data my_photographs --from unet_small --steps 500 -o runs/tuned\n"
        "retina-course train --data idrid_boxes --model retina_net -o runs/boxes",
        "Trains on the training split by the course's recipe, chooses the threshold on the same "
        "images, and writes MODEL.safetensors with its card and history.json into DIR. Killed, it "
        "continues from its checkpoint when the same command is given again. Detectors learn from "
        f"{inputs.BOXES}, or a folder with NNNN.txt beside each photograph NNNN.jpg.",
    )
    add_data(parser)
    add_field_angle(
        parser,
        "that of a published set; else the weights are for one camera, or with --from "
        f"{DEFAULT_FIELD_ANGLE:g} is assumed",
    )
    add_output(parser, "folder of this run; no file of yours is replaced there")
    parser.add_argument("--model", choices=list_models(), help="default: unet_small")
    parser.add_argument(
        "--from",
        dest="start",
        metavar="W",
        help="start from these weights (fine-tuning): a name of `retina-course models`, or a "
        ".safetensors file; the network, its scale and a tenth of its learning rate are the "
        "defaults then",
    )
    parser.add_argument("--seed", type=seed_number, default=0, help="default: %(default)s")
    add_recipe(parser)
    add_device(parser)


def _evaluate(add: AddParser) -> None:
    """The command `evaluate`."""
    parser = _command(
        add,
        "evaluate",
        evaluate_command.evaluate,
        "score a network on photographs with a ground truth of vessels",
        "retina-course evaluate --data chase_db1\n"
        "retina-course evaluate --data HRF --weights mine/unet_small.safetensors --json hrf.json",
        "Scores pixels inside the field of view at native size: pooled over all photographs, and "
        "mean and standard deviation over photographs, beside a second observer (where the set "
        "has one) and the empty prediction. The threshold comes with the weights.",
    )
    add_data(parser)
    add_field_angle(parser, f"that of a published set, else {DEFAULT_FIELD_ANGLE:g}")
    add_weights(parser, VESSELS)
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


def _export(add: AddParser) -> None:
    """The command `export`."""
    parser = _command(
        add,
        "export",
        commands.export,
        "write trained weights as an ONNX file",
        "retina-course export unet_small -o unet_small.onnx\n"
        "retina-course export mine/retina_net.safetensors -o boxes.onnx",
        "Takes images of any number and size. A vessel network gives logits, a detector the boxes "
        "and scores of all anchors; the file's metadata say how to go on from there. Needs the "
        "packages onnx and onnxscript.",
    )
    parser.add_argument(
        "weights",
        metavar="W",
        help="a name of `retina-course models`, or a .safetensors file with its card beside it",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file")


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
