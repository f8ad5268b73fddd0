"""UNetLarge on synthetic images: what it costs not to unfold the output before the loss.

    python -m benchmarks.lessons.folding

Three seeds, and from the same first weights on the same batches two trainings: `unfolded`, the loss
at full resolution, and `not_unfolded`, the same loss with the C a^2 output channels taken for
classes of the small image, whose labels are those at each block's first pixel.

It can be killed at any time: a finished training is not run again. Written at the end:
retina_course/results/folding.json.
"""

from functools import partial
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, RUNS, once, write_json
from benchmarks.common.index import Program
from benchmarks.common.lessons import prepare
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import mean_and_sd
from retina_course.data.synthetic import synthetic_classes
from retina_course.evaluation import metrics
from retina_course.models import create_model, fold
from retina_course.training import default_device, fit
from retina_course.training.losses import DiceCELoss

PROGRAM = Program(
    __file__,
    question="What does it cost to train UNetLarge without unfolding its output?",
    results=("folding.json",),
    commands=("python -m benchmarks.lessons.folding",),
)
CLASSES = ("background", "vessel", "disc", "lesion")
ARMS = ("unfolded", "not_unfolded")
LOSSES = {"cross_entropy": F.cross_entropy, "cross_entropy_dice": DiceCELoss()}
FOLDS, SEEDS = (4, 8), (0, 1, 2)
SIZE, STEPS, BATCH, LR = 128, 1200, 4, 1e-2
TRAINING, HELD_OUT = (32, 0), (16, 1000)  # number of images, seed of synthetic_classes
FOLDER = RUNS / "folding"

Batch = tuple[Tensor, Tensor]  # images and class maps


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    source = provenance(default_device(), PROGRAM)
    training, held_out = (synthetic_classes(n, SIZE, seed) for n, seed in (TRAINING, HELD_OUT))
    result = {
        "classes": CLASSES,
        "images": {"size": SIZE, "training": TRAINING, "held_out": HELD_OUT},
        "recipe": {"steps": STEPS, "batch_size": BATCH, "crop": SIZE, "lr": LR, "seeds": SEEDS},
        "provenance": source,
        "folds": {},
    }
    for a in FOLDS:
        row = {"channels": len(CLASSES) * a * a}
        # What a network scores that has learnt the small target without a mistake.
        row["perfect_small"] = scores(enlarge(first_pixels(held_out[1], a), a), held_out[1])
        for loss in LOSSES:
            row[loss] = {}
            for arm in ARMS:
                runs = []
                for seed in SEEDS:
                    file = FOLDER / f"fold{a}_{arm}_{loss}_seed{seed}.json"
                    make = partial(train, a, arm, loss, seed, training, held_out)
                    runs.append(once(file, source["code"], make))
                    print(a, arm, loss, seed, runs[-1]["dice"], flush=True)
                row[loss][arm] = {"runs": runs, "summary": over_seeds(runs)}
        result["folds"][a] = row
    write_json(RESULTS / "folding.json", result)


def train(a: int, arm: str, loss: str, seed: int, training: Batch, held_out: Batch) -> dict:
    model, crops = prepare(
        lambda: create_model("unet_large", num_classes=len(CLASSES), fold=a),
        training,
        crop=SIZE,
        batch_size=BATCH,
        seed=seed,
        bias=False,
    )

    def small_batches(generator: torch.Generator) -> Batch:
        images, classes = crops(generator)
        return fold(images, a), first_pixels(classes, a)

    inside = arm == "not_unfolded"  # then the network is trained without its two ends
    network: nn.Module = model.network if inside else model
    started = perf_counter()
    history = fit(
        network,
        small_batches if inside else crops,
        STEPS,
        loss=LOSSES[loss],
        lr=LR,
        seed=seed,
        progress=False,
    )
    run = {
        "seed": seed,
        "settings": {"steps": STEPS, "batch_size": BATCH, "lr": LR, "size": SIZE},
        "seconds": perf_counter() - started,
        "loss": float(np.mean(history.loss[-50:])),
    }
    images, ground_truth = held_out[0].to(crops.images.device), held_out[1]
    with torch.inference_mode():
        logits = network(fold(images, a) if inside else images).cpu()
    prediction = logits.argmax(dim=1)
    if inside:
        no_class = logits.softmax(dim=1)[:, len(CLASSES) :].sum(dim=1)
        run["probability_of_no_class"] = no_class.mean().item()
        run["pixels_of_no_class"] = (prediction >= len(CLASSES)).float().mean().item()
        prediction = enlarge(prediction, a)
    return run | scores(prediction, ground_truth)


def first_pixels(classes: Tensor, a: int) -> Tensor:
    """`(N, H, W)` -> `(N, H / a, W / a)`: the class at the first pixel of each block."""
    return classes[:, ::a, ::a]


def enlarge(classes: Tensor, a: int) -> Tensor:
    """Nearest neighbour: each value becomes a block of a x a pixels."""
    return classes.repeat_interleave(a, dim=1).repeat_interleave(a, dim=2)


def scores(prediction: Tensor, ground_truth: Tensor) -> dict:
    """Dice and IoU of each class, all pixels of all images together, and their means."""
    rows = [
        metrics.binary_scores(prediction.flatten() == c, ground_truth.flatten() == c)
        for c in range(len(CLASSES))
    ]
    table = {}
    for name, key in (("dice", "f1"), ("iou", "iou")):
        table[name] = {CLASSES[c]: row[key] for c, row in enumerate(rows)}
        table[name]["mean"] = float(np.mean([row[key] for row in rows]))
    return table


def over_seeds(runs: list[dict]) -> dict:
    return {
        name: {key: mean_and_sd([run[name][key] for run in runs]) for key in (*CLASSES, "mean")}
        for name in ("dice", "iou")
    }


if __name__ == "__main__":
    main()
