"""Seconds from random weights to an F1 on the test photographs, and the limit set by arithmetic.

    python -m benchmarks.speed.time_to_f1 [--model unet_small] [--steps 1000 4000] [--seeds 0]

A run's learning rate falls to zero over all of its steps, so each number of steps is a run of its
own. The clock starts when the photographs have been read. Five times in a run it stops, and
the network is scored on the 20 test photographs of CHASE_DB1 without flips, at the threshold from
the 8 training photographs. Nothing is chosen by these scores: they are what is asked for. Writes
retina_course/results/time_to_f1/<device>.json; runs that stand there are not done again. The data
folder is RETINA_COURSE_DATA.

The limit is the time of the training's multiply-accumulates alone, at the rate that this device
reaches in one large matrix product of the same precision. A backward pass counts as two forward
passes. It is a yardstick: other algorithms for a convolution (Winograd) multiply less.
"""

import time

import torch
from torch import nn

from benchmarks.common.files import RESULTS, read_json, slug, write_json
from benchmarks.common.index import Program
from benchmarks.common.protocol import recipe_row, training_threshold
from benchmarks.common.provenance import provenance
from retina_course import shapes
from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation import metrics
from retina_course.inference import segment_all
from retina_course.models import create_model
from retina_course.training import (
    Recipe,
    default_device,
    default_precision,
    learning_rate,
    train_vessels,
)

PROGRAM = Program(
    __file__,
    question="How long does a training take to reach an F1, and how long would arithmetic alone?",
    results=("time_to_f1/*.json",),
    commands=("python -m benchmarks.speed.time_to_f1",),
    data=("CHASE_DB1",),
    hours=0.3,
)
ROWS = RESULTS / "time_to_f1"
POINTS = 5  # scores in a run
SIDE = {"cuda": 8192, "cpu": 2048}  # of the matrices whose product gives the rate


class StoppedClock:
    """`validate` for `fit`: seconds without the scoring, and the F1 that they gave."""

    def __init__(self, fov_diameter: int):
        self.card = {"fov_diameter": fov_diameter}
        self.training, self.test = list(ChaseDB1(split="train")), list(ChaseDB1(split="test"))
        self.began, self.stopped = time.perf_counter(), 0.0

    def __call__(self, model: nn.Module) -> dict:
        now = time.perf_counter()  # a GPU is idle: `fit` has just read the losses
        threshold = training_threshold(model, self.card, self.training, flips=False)
        p, t = metrics.pool(*segment_all(model, self.test, self.card, flips=False))
        seconds = now - self.began - self.stopped
        self.stopped += time.perf_counter() - now
        return {"seconds": seconds, "f1": metrics.binary_scores(p >= threshold, t)["f1"]}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--model", default="unet_small")
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    device = default_device()
    source = provenance(device, PROGRAM)
    file = ROWS / f"{slug(source['device'])}.json"
    runs = read_json(file)["runs"] if file.exists() else []
    done = {(run["model"], run["recipe"]["steps"], run["seed"]) for run in runs}
    precision = torch.bfloat16 if device.type == "cpu" else default_precision(device)
    for seed in options.seeds:
        for steps in options.steps:
            if (options.model, steps, seed) in done:
                continue
            rate = macs_per_second(device, precision)  # now: other work on the machine changes it
            one = run(options.model, steps, seed, device, precision, rate)
            runs.append(one | {"provenance": source})
            write_json(file, {"device": source["device"], "runs": runs})


def run(
    name: str,
    steps: int,
    seed: int,
    device: torch.device,
    precision: torch.dtype,
    rate: float,
) -> dict:
    """One training: points of seconds and scores, and what arithmetic alone would take."""
    recipe = Recipe(steps=steps, lr=learning_rate(name))
    clock = StoppedClock(recipe.fov_diameter)
    clock.began = time.perf_counter()
    _, history = train_vessels(
        name,
        clock.training,
        recipe,
        seed=seed,
        device=device,
        precision=precision,
        validate=clock,
        every=steps // POINTS,
    )
    size = (recipe.batch_size, 3, recipe.crop, recipe.crop)
    macs = shapes.macs(create_model(name), size)
    return {
        "model": name,
        "seed": seed,
        "recipe": recipe_row(recipe, precision),
        "points": history.validation,
        "macs_per_step": 3 * macs,  # forward, and twice that backward
        "macs_per_second": rate,
        "limit_seconds": 3 * macs * steps / rate,
    }


def macs_per_second(device: torch.device, precision: torch.dtype) -> float:
    """Multiply-accumulates a second in one large product of such matrices, best of ten."""
    side = SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(precision) for _ in range(2))
    times = []
    for _ in range(10):
        began = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for a GPU
        times.append(time.perf_counter() - began)
    return side**3 / min(times)


if __name__ == "__main__":
    main()
