"""UNetLarge on made images: what it costs not to unfold the output before the loss.

    python benchmarks/folding.py

Three seeds, and from the same first weights on the same batches two trainings: `unfolded`, the loss
at full resolution, and `not_unfolded`, the same loss with the C a^2 output channels taken for
classes of the small picture, whose labels are those at each block's first pixel.

It can be killed at any time: a finished training is not run again. Written at the end:
retina_course/results/folding.json.
"""

import json
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from provenance import ROOT, provenance, write_json
from torch import Tensor, nn

from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_classes
from retina_course.evaluation import metrics
from retina_course.models import create_model, fold
from retina_course.training import default_device, fit, seed_everything
from retina_course.training.losses import DiceCELoss

CLASSES = ("background", "vessel", "disc", "lesion")
ARMS = ("unfolded", "not_unfolded")
LOSSES = {"cross_entropy": F.cross_entropy, "cross_entropy_dice": DiceCELoss()}
FOLDS, SEEDS = (4, 8), (0, 1, 2)
SIZE, STEPS, BATCH, LR = 128, 1200, 4, 1e-2
TRAINING, UNSEEN = (32, 0), (16, 1000)  # number of images, seed of synthetic_classes
RUNS = ROOT / "runs" / "folding"


def main() -> None:
    seen = synthetic_classes(TRAINING[0], SIZE, TRAINING[1])
    unseen = synthetic_classes(UNSEEN[0], SIZE, UNSEEN[1])
    result = {
        "classes": CLASSES,
        "images": {"size": SIZE, "training": TRAINING, "held_out": UNSEEN},
        "recipe": {"steps": STEPS, "batch_size": BATCH, "crop": SIZE, "lr": LR, "seeds": SEEDS},
        "provenance": provenance(default_device()),
        "folds": {},
    }
    for a in FOLDS:
        row = {"channels": len(CLASSES) * a * a}
        # What a network scores that has learnt the small target without a mistake.
        row["perfect_small"] = scores(enlarge(first_pixels(unseen[1], a), a), unseen[1])
        for loss in LOSSES:
            row[loss] = {}
            for arm in ARMS:
                runs = [finished(a, arm, loss, seed, seen, unseen) for seed in SEEDS]
                row[loss][arm] = {"runs": runs, "summary": over_seeds(runs)}
        result["folds"][a] = row
    write_json(ROOT / "retina_course" / "results" / "folding.json", result)


def finished(a: int, arm: str, loss: str, seed: int, seen, unseen) -> dict:
    file = RUNS / f"fold{a}_{arm}_{loss}_seed{seed}.json"
    settings = {"steps": STEPS, "batch_size": BATCH, "lr": LR, "size": SIZE}
    if file.exists() and (run := json.loads(file.read_text()))["settings"] == settings:
        return run
    run = {"seed": seed, "settings": settings, **train(a, arm, loss, seed, seen, unseen)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, run)
    print(a, arm, loss, seed, f"{run['seconds']:.0f} s", run["dice"], flush=True)
    return run


def train(a: int, arm: str, loss: str, seed: int, seen, unseen) -> dict:
    device = default_device()
    seed_everything(seed)
    model = create_model("unet_large", num_classes=len(CLASSES), fold=a).to(device)
    crops = RandomCrops(*(t.to(device) for t in seen), size=SIZE, batch_size=BATCH)

    def small_batches(generator: torch.Generator) -> tuple[Tensor, Tensor]:
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
    run = {"seconds": perf_counter() - started, "loss": float(np.mean(history.loss[-50:]))}
    images, truth = unseen[0].to(device), unseen[1]
    with torch.inference_mode():
        logits = network(fold(images, a) if inside else images).cpu()
    prediction = logits.argmax(dim=1)
    if inside:
        no_class = logits.softmax(dim=1)[:, len(CLASSES) :].sum(dim=1)
        run["probability_of_no_class"] = no_class.mean().item()
        run["pixels_of_no_class"] = (prediction >= len(CLASSES)).float().mean().item()
        prediction = enlarge(prediction, a)
    return run | scores(prediction, truth)


def first_pixels(classes: Tensor, a: int) -> Tensor:
    """`(N, H, W)` -> `(N, H / a, W / a)`: the class at the first pixel of each block."""
    return classes[:, ::a, ::a]


def enlarge(classes: Tensor, a: int) -> Tensor:
    """Nearest neighbour: each value becomes a block of a x a pixels."""
    return classes.repeat_interleave(a, dim=1).repeat_interleave(a, dim=2)


def scores(prediction: Tensor, truth: Tensor) -> dict:
    """Dice and IoU of each class, all pixels of all images together, and their means."""
    rows = [
        metrics.binary_scores(prediction.flatten() == c, truth.flatten() == c)
        for c in range(len(CLASSES))
    ]
    table = {}
    for name, key in (("dice", "f1"), ("iou", "iou")):
        table[name] = {CLASSES[c]: row[key] for c, row in enumerate(rows)}
        table[name]["mean"] = float(np.mean([row[key] for row in rows]))
    return table


def over_seeds(runs: list[dict]) -> dict:
    def both(values: list[float]) -> dict:
        return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}

    return {
        name: {key: both([run[name][key] for run in runs]) for key in (*CLASSES, "mean")}
        for name in ("dice", "iou")
    }


if __name__ == "__main__":
    main()
