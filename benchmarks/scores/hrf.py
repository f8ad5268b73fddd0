"""The networks of the equal budgets on a second dataset: 15 photographs of HRF train, 30 test.

    python -m benchmarks.scores.hrf --output runs/hrf
    python -m benchmarks.scores.hrf --networks w_net --output runs/hrf

Crop, batch, steps and learning rate are those of the network's stored row of the equal budgets,
which were found on CHASE_DB1. A photograph of HRF is seen at the same pixels per degree as one of
CHASE_DB1: its field of view, twice as wide, is twice as large. Only the threshold is chosen on HRF:
the network is trained twice without a fold of the training half (photographs with an odd number,
with an even one), and the threshold has the highest F1 of all these held-out photographs. A third
training, with all fifteen, scores the test half, once, with four flips. One seed.

A run can be killed at any time and goes on where it was: inside a training at the last checkpoint.
A network whose row is there is not trained again; delete the row and the output to have it made
anew. Small weights are kept in half precision in benchmarks/weights/hrf/.
Writes retina_course/results/hrf/NETWORK.json. The data folder is RETINA_COURSE_DATA.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.common.datasets import digest
from benchmarks.common.equal_budget import NAMES, budget, train
from benchmarks.common.files import RESULTS, once, read_json, write_json
from benchmarks.common.folds import FOLDS, fold_of
from benchmarks.common.index import Program
from benchmarks.common.kept_weights import KEPT, in_half_precision, keep
from benchmarks.common.networks import training_precision
from benchmarks.common.protocol import recipe_row
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.scales import best_threshold, ranking_at
from benchmarks.common.streamed_scores import scored_one_by_one
from retina_course.data.datasets import HRF, ChaseDB1, Photograph
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device
from retina_course.training.recipe import Recipe

PROGRAM = Program(
    __file__,
    question="How do networks of equal budgets compare on HRF?",
    results=("hrf/*.json",),
    commands=("python -m benchmarks.scores.hrf --output runs/hrf",),
    data=("HRF",),
    hours=2.5,
    inputs=("retina_course/results/equal_budget/*.json",),
)
ROWS = RESULTS / "hrf"
SEED = 0
EVERY = 50  # steps between two checkpoints


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    default = ["unet_small", "unet_large", "plain_unet", "w_net"]
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=default)
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    options = parser.parse_args()
    training = list(HRF(split="train"))
    for network in options.networks:
        row = ROWS / f"{network}.json"
        if row.exists():
            print(f"finished  {row.stem}", flush=True)
            continue
        write_json(row, run(network, training, options.output / network))
        print(f"written   {row.stem}", flush=True)


def run(network: str, training: list[Photograph], folder: Path) -> dict[str, Any]:
    """Three trainings, the threshold, and the scores of the test half."""
    begun = folder / "begun.json"
    if not begun.exists():  # now: the code may change while a long run goes on
        write_json(begun, provenance(default_device(), PROGRAM))
    source = read_json(begun)
    recipe = budget(network)
    card = {"pixels_per_degree": recipe.fov_diameter / ChaseDB1.field_angle}
    recipe = replace(recipe, fov_diameter=round(card["pixels_per_degree"] * HRF.field_angle))

    def fold(name: str) -> dict[str, Any]:
        """The pixels of a fold by their probability, from a network that has not seen it."""
        others = [photo for photo in training if fold_of("hrf", photo.name) != name]
        held_out = [photo for photo in training if fold_of("hrf", photo.name) == name]
        model, history = trained(network, others, recipe, folder / f"{name}.pt")
        (found,) = ranking_at(model, held_out, [card["pixels_per_degree"]], flips=True).values()
        return found | {"seconds": history.seconds, "photographs": [p.name for p in held_out]}

    folds = [once(folder / f"{f}.json", source["code"], lambda f=f: fold(f)) for f in FOLDS]
    pixels = np.sum([np.array(one.pop("histogram")) for one in folds], axis=0)
    card["threshold"] = best_threshold(pixels)
    model, history = trained(network, training, recipe, folder / "all.pt")
    keep(in_half_precision(model.state_dict()), KEPT / "hrf" / f"{network}.safetensors")
    return {
        "network": network,
        "seed": SEED,
        "recipe": recipe_row(recipe, training_precision(default_device())),
        "dataset": {"name": "HRF", "digest": digest("HRF"), "licence": "CC BY 4.0"},
        **card,
        "folds": folds,
        "test": scored_one_by_one(model, card, HRF(split="test")),
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        "provenance": source,
    }


def trained(
    network: str, photographs: list[Photograph], recipe: Recipe, checkpoint: Path
) -> tuple[nn.Module, History]:
    """One training, which goes on from its checkpoint where there is one."""
    return train(
        network, photographs, recipe, SEED, checkpoint=checkpoint, every=EVERY, progress=False
    )


if __name__ == "__main__":
    main()
