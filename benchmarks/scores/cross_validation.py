"""Grouped cross-validation on CHASE_DB1: every photograph is scored by a network that is new to it.

    python -m benchmarks.scores.cross_validation --output runs/cross_validation
    python -m benchmarks.scores.cross_validation --networks w_net --output runs/cross_validation

The test half of the benchmark is one choice of ten children. Here each of 7 folds holds out two of
the 14 children, both eyes, and a network learns from the other twelve, with the equal budget's
crop, batch, steps and learning rate as they are stored in its row. (They were chosen on children 01
to 04.) The threshold is that of the fold's training photographs, as in
benchmarks/common/protocol.py; with flips; one seed.

A run can be killed at any time and goes on where it was: inside a fold at the last checkpoint. A
finished fold is never trained again, nor is a network whose row is there; delete the row and the
output to have it made anew. The last checkpoint of each fold, with its weights, stays there; small
weights are kept in half precision in benchmarks/weights/cross_validation/.
Writes retina_course/results/cross_validation/NETWORK.json. The data folder is RETINA_COURSE_DATA.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.common.datasets import chase_facts
from benchmarks.common.equal_budget import NAMES, budget, train
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.kept_weights import KEPT, in_half_precision, keep
from benchmarks.common.networks import training_precision
from benchmarks.common.protocol import recipe_row, score
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import metrics
from retina_course.training.devices import default_device
from retina_course.training.recipe import Recipe

PROGRAM = Program(
    __file__,
    question="How well do networks do on each of the 14 children when the others train them?",
    results=("cross_validation/*.json",),
    commands=("python -m benchmarks.scores.cross_validation --output runs/cross_validation",),
    data=("CHASE_DB1",),
    hours=6,
    inputs=("retina_course/results/equal_budget/*.json",),
)
ROWS = RESULTS / "cross_validation"
HELD_OUT = 2  # children of a fold
SEED = 0
RANKING = ("auc", "average_precision")  # the scores without a threshold
EVERY = 50  # steps between two checkpoints


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    default = ["unet_small", "plain_unet", "w_net"]
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=default)
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, also on a GPU
    photographs = list(ChaseDB1(split="all"))
    for network in options.networks:
        row = ROWS / f"{network}.json"
        if row.exists():
            print(f"finished  {row.stem}", flush=True)
            continue
        recipe = budget(network)
        found = []
        for children in folds(photographs):
            folder = options.output / network / "_".join(children)
            found.append(fold(network, recipe, photographs, children, folder))
            print(f"{network}, without {children}: F1 {found[-1]['pooled']['f1']:.4f}", flush=True)
        keep_weights(network, options.output / network)
        write_json(row, finished_row(network, recipe, found))


def folds(photographs: list[Photograph]) -> list[tuple[str, ...]]:
    """The children of each fold, by their numbers, fixed before any run."""
    children = sorted({photo.patient for photo in photographs})
    return [tuple(children[i : i + HELD_OUT]) for i in range(0, len(children), HELD_OUT)]


def fold(
    network: str,
    recipe: Recipe,
    photographs: list[Photograph],
    children: tuple[str, ...],
    folder: Path,
) -> dict:
    """Train without these children, unless that is done, and score their photographs."""
    done, begun, device = folder / "fold.json", folder / "begun.json", default_device()
    if done.exists():
        return read_json(done)
    if not begun.exists():  # now: the code may change while a long run goes on
        write_json(begun, provenance(device, PROGRAM))
    training = [photo for photo in photographs if photo.patient not in children]
    held_out = [photo for photo in photographs if photo.patient in children]
    checkpoint = folder / "checkpoint.pt"
    model, history = train(
        network, training, recipe, SEED, checkpoint=checkpoint, every=EVERY, progress=False
    )
    card = {"fov_diameter": recipe.fov_diameter}
    row, (probabilities, truths, fovs) = score(model, card, training, held_out, flips=True)
    pixels = [
        metrics.confusion(p[fov] >= row["threshold"], truth[fov])
        for p, truth, fov in zip(probabilities, truths, fovs, strict=True)
    ]
    for image, photo in zip(row["per_image"], held_out, strict=True):
        image["child"] = photo.patient
    kept = ("threshold", "pooled", "per_image", "f1_at_half")
    result = {"held_out": list(children), **{key: row[key] for key in kept}}
    result["confusion"] = np.sum(pixels, axis=0).tolist()
    result |= {"seconds": history.seconds, "loss": smooth(history.loss)}
    write_json(done, result | {"provenance": read_json(begun)})
    return read_json(done)


def keep_weights(network: str, output: Path) -> None:
    """Of each fold, from its last checkpoint."""
    for checkpoint in output.glob("*/checkpoint.pt"):
        weights = in_half_precision(torch.load(checkpoint, weights_only=True)["model"])
        keep(weights, KEPT / "cross_validation" / f"{network}_{checkpoint.parent.name}.safetensors")


def finished_row(network: str, recipe: Recipe, found: list[dict]) -> dict:
    """All folds of a network together.

    Their pixels are pooled at each fold's own threshold. AUC and average precision are means over
    the folds, because the probabilities of seven networks have no common scale to be ranked on.
    """
    total = np.sum([one["confusion"] for one in found], axis=0)
    pooled = [one["pooled"] for one in found]
    return {
        "network": network,
        "seed": SEED,
        "recipe": recipe_row(recipe, training_precision(default_device())),
        "dataset": chase_facts(),
        "pooled": metrics.confusion_scores(total),
        "mean_of_folds": {key: float(np.mean([one[key] for one in pooled])) for key in RANKING},
        "per_image": [image for one in found for image in one.pop("per_image")],
        "folds": found,
    }


if __name__ == "__main__":
    main()
