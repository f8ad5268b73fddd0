"""The options of `train` that are the numbers of a recipe."""

import argparse
from dataclasses import fields

from retina_course.training.detector_recipe import DetectorRecipe
from retina_course.training.recipe import Recipe

HELP = {
    "steps": "number of batches",
    "batch_size": "crops in a batch, for detectors photographs",
    "crop": "side of the crops in pixels; detectors see whole photographs",
    "lr": "highest learning rate",
    "fov_diameter": "pixels to which the diameter of the field of view is resampled, the widest "
    "where their angles differ",
    "rotation": "largest random turn in degrees; detectors have none",
    "jitter": "strength of the random change of colours, 0 to 1",
}
RATES = "1e-2 below 0.3 M weights, 1e-3 above and for detectors"


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add an option for each number of the recipes; without it, the network's recipe decides.

    Parameters
    ----------
    parser : ArgumentParser
        The command's parser.
    """
    for field in fields(Recipe):
        of_detectors = getattr(DetectorRecipe, field.name, field.default)
        default = RATES if field.name == "lr" else str(field.default)
        if field.name != "lr" and of_detectors != field.default:
            default += f", for detectors {of_detectors}"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type,
            metavar="N",
            help=f"{HELP[field.name]} (default: {default})",
        )
