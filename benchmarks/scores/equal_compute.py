"""The networks of the equal budgets at equal compute: as many minutes of one CPU thread for each.

    python -m benchmarks.scores.equal_compute --output runs/equal_compute
    python -m benchmarks.scores.equal_compute --only unet_small --minutes 2

Equal budgets give each network the same pixels, whatever they cost. Here a network gets as many
steps as fit into --minutes of one CPU thread: the CPU seconds of a step are measured first. Crop,
batch and learning rate are those of its stored row of the equal budgets. That learning rate was
found for 1,000 steps, and another might suit another number of steps better: the comparison is
one of compute at these recipes.

A network is trained twice with these steps: without the children of fold a, whose photographs then
give the threshold with the highest F1, and with all four training children. The second training
scores the test half, once, with four flips. Seed 0; bfloat16 where the processor computes in it,
else float32.

A run can be killed at any time and goes on where it was, with the steps that it began with. A
network whose row is there is not trained again. Other minutes need another output, and the old
rows removed. Writes retina_course/results/equal_compute/NETWORK_seed0.json. The data folder is
RETINA_COURSE_DATA. Other work on the machine makes steps slower: the row has the CPU seconds that
the training really took, too.
"""

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import nn

from benchmarks.common.attempts import Attempts
from benchmarks.common.equal_budget import NAMES, budget, train
from benchmarks.common.files import RESULTS, once, read_json, write_json
from benchmarks.common.folds import CHILDREN, fold_of
from benchmarks.common.index import Program
from benchmarks.common.networks import training_precision
from benchmarks.common.protocol import recipe_row
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.scales import best_threshold, by_probability
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import metrics
from retina_course.inference.segmentation import segment_all
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device
from retina_course.training.recipe import Recipe

PROGRAM = Program(
    __file__,
    question="How good is each network after the same time of training on one CPU thread?",
    results=("equal_compute/*.json",),
    commands=("python -m benchmarks.scores.equal_compute --output runs/equal_compute",),
    data=("CHASE_DB1",),
    inputs=("retina_course/results/equal_budget/*.json",),
    hours=5,
)
ROWS = RESULTS / "equal_compute"
SEED = 0
FOLD = "a"  # its children give the threshold
WARM_UP, MEASURED = 2, 3  # steps
EVERY = 10  # steps between two checkpoints


class CpuClock:
    """`validate` for `fit`: the CPU seconds since the last point, stored with the checkpoint.

    So what a killed run has lost does not count, and the rest adds up.
    """

    def __init__(self) -> None:
        self.last = time.process_time()

    def __call__(self, model: nn.Module) -> dict[str, float]:
        before, self.last = self.last, time.process_time()
        return {"cpu_seconds": self.last - before}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="networks")
    parser.add_argument("--minutes", type=float, default=10.0, help="of one CPU thread, a training")
    parser.add_argument("--output", type=Path, default=Path("runs/equal_compute"))
    options = parser.parse_args()
    if default_device().type != "cpu":
        raise SystemExit("This compares CPU time: hide the GPU, set CUDA_VISIBLE_DEVICES= (empty).")
    torch.set_num_threads(1)
    training, test = (list(ChaseDB1(split=split)) for split in ("train", "test"))
    recipes = {network: budget(network) for network in options.only}
    attempts = Attempts()
    for network, recipe in recipes.items():
        row = ROWS / f"{network}_seed{SEED}.json"
        if row.exists():
            print(f"finished  {row.stem}", flush=True)
            continue
        with attempts.piece(network):
            folder = options.output / network
            begun = begin(network, recipe, options.minutes, training, folder)
            print(f"open      {row.stem}, {begun['steps']} steps", flush=True)
            write_json(row, run(network, recipe, begun, training, test, folder))
            for checkpoint in folder.glob("*.pt"):
                checkpoint.unlink()
    attempts.finish()


def begin(
    network: str, recipe: Recipe, minutes: float, training: list[Photograph], folder: Path
) -> dict:
    """The steps that fit into the minutes: measured once, then read.

    Raises
    ------
    ValueError : the folder has a run with other minutes.
    """
    begun = folder / "begun.json"
    if not begun.exists():
        source = provenance(default_device(), PROGRAM)
        seconds = measured_seconds(network, recipe, training)
        steps = steps_within(minutes, seconds)
        content = {"minutes": minutes, "step_seconds": seconds, "steps": steps}
        write_json(begun, content | {"provenance": source})
    content = read_json(begun)
    if content["minutes"] != minutes:
        raise ValueError(
            f"{begun} was begun with {content['minutes']:g} minutes, got --minutes {minutes:g}: "
            "go on with the former, or choose another --output."
        )
    return content


def measured_seconds(network: str, recipe: Recipe, training: list[Photograph]) -> float:
    """CPU seconds of a step: the median of some, after the first ones, which are slower."""
    recipe = replace(recipe, steps=WARM_UP + MEASURED)
    _, history = train(
        network, training, recipe, SEED, validate=CpuClock(), every=1, progress=False
    )
    return median(point["cpu_seconds"] for point in history.validation[WARM_UP:])


def steps_within(minutes: float, seconds: float) -> int:
    """As many whole steps as fit, at least one."""
    return max(1, int(60 * minutes / seconds))


def run(
    network: str,
    recipe: Recipe,
    begun: dict,
    training: list[Photograph],
    test: list[Photograph],
    folder: Path,
) -> dict:
    """Train without fold a for the threshold, then with all, and score the test half."""
    recipe = replace(recipe, steps=begun["steps"])
    card = {"fov_diameter": recipe.fov_diameter}

    def fold() -> dict:
        held_out = [photo for photo in training if fold_of("chase", photo.name) == FOLD]
        others = [photo for photo in training if fold_of("chase", photo.name) != FOLD]
        model, history = trained(network, others, recipe, folder / "fold.pt")
        pixels = metrics.pool(*segment_all(model, held_out, card))
        threshold = best_threshold(by_probability(*pixels))
        found = {"held_out": list(CHILDREN[FOLD]), "threshold": threshold}
        return found | {"cpu_seconds": cpu_seconds(history), "seconds": history.seconds}

    chosen = once(folder / "fold.json", begun["provenance"]["code"], fold)
    model, history = trained(network, training, recipe, folder / "all.pt")
    scores = metrics.evaluate(*segment_all(model, test, card), chosen["threshold"])
    for image, photo in zip(scores["per_image"], test, strict=True):
        image["name"] = photo.name
    return {
        "network": network,
        "seed": SEED,
        "recipe": recipe_row(recipe, training_precision(default_device())),
        "minutes": begun["minutes"],
        "step_seconds": begun["step_seconds"],
        "cpu_seconds": cpu_seconds(history),
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        "fold": chosen,
        "flips": scores,
        "provenance": begun["provenance"],
    }


def trained(
    network: str, photographs: list[Photograph], recipe: Recipe, checkpoint: Path
) -> tuple[nn.Module, History]:
    """One training, which goes on from its checkpoint where there is one."""
    return train(
        network,
        photographs,
        recipe,
        SEED,
        validate=CpuClock(),
        every=EVERY,
        checkpoint=checkpoint,
        progress=False,
    )


def cpu_seconds(history: History) -> float:
    """CPU seconds of a training whose `validate` was a `CpuClock`."""
    return sum(point["cpu_seconds"] for point in history.validation)


if __name__ == "__main__":
    main()
