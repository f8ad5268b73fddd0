"""What each loss makes of one small network on made images: ranking, masks, probabilities.

    python benchmarks/losses.py

UNetSmall, three seeds, one training a loss from the same first weights on the same batches. The
test eyes have other seeds than the training's; thresholds come from the training eyes. It can be
killed at any time: a finished training is not run again. Written at the end:
retina_course/results/losses.json.
"""

import json
from time import perf_counter

import numpy as np
import torch
from provenance import ROOT, provenance, write_json
from sklearn.metrics import roc_curve
from torch import Tensor

from retina_course import inference
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.models import create_model
from retina_course.training import default_device, fit, seed_everything
from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
)
from retina_course.training.recipe import set_head_bias

dice, iou, dice_ce, cldice = DiceLoss(), IoU(), DiceCELoss(), ClDiceLoss(iterations=3)
squared = DiceLoss(squared=True)
LOSSES = {
    "cross-entropy": CrossEntropyLoss(),
    "focal": FocalLoss(),
    "Dice": lambda x, t: dice(x, t)[1],
    "Dice, squared": lambda x, t: squared(x, t)[1],
    "IoU": lambda x, t: iou(x, t)[1],
    "Dice + IoU": lambda x, t: dice(x, t)[1] + iou(x, t)[1],
    "Tversky": TverskyLoss(),
    "cross-entropy + Dice": dice_ce,
    "cross-entropy + Dice + clDice": lambda x, t: dice_ce(x, t) + cldice(x, t),
}
SEEDS, STEPS, BATCH, CROP, SIZE, LR = (0, 1, 2), 400, 4, 96, 192, 1e-2
TRAINING, TEST = (16, 0), (12, 1000)  # number of eyes, seed of synthetic_batch
BINS = np.linspace(0, 1, 11)  # of the probabilities, for the reliability
FALSE_ALARMS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
SCORES = ("auc", "f1", "f1_at_half", "sensitivity_at_half", "cldice", "saturated", "certain_misses")
RUNS = ROOT / "runs" / "losses"


def main() -> None:
    known, unseen = (
        synthetic_batch(TRAINING[0], SIZE, TRAINING[1]),
        synthetic_batch(TEST[0], SIZE, TEST[1]),
    )
    rows = {}
    for name in LOSSES:
        runs = [finished(name, seed, known, unseen) for seed in SEEDS]
        rows[name] = {"runs": runs, "summary": {score: over_seeds(runs, score) for score in SCORES}}
    settings = {
        **{"steps": STEPS, "batch_size": BATCH, "crop": CROP, "size": SIZE, "lr": LR},
        **{"seeds": SEEDS, "training": TRAINING, "test": TEST, "network": "unet_small"},
    }
    shares = [fraction(vessels, fovs) for _, vessels, fovs in (known, unseen)]
    write_json(
        ROOT / "retina_course" / "results" / "losses.json",
        {
            "provenance": provenance(default_device()),
            "settings": settings
            | {"vessels_in_fov": shares, "seconds": "wall clock, shared cores"},
            "bins": BINS.tolist(),
            "false_alarms": FALSE_ALARMS,
            "losses": rows,
        },
    )


def finished(name: str, seed: int, known, unseen) -> dict:
    file = RUNS / f"{name}_{STEPS}_{seed}.json"
    if file.exists():
        return json.loads(file.read_text())
    run = {"seed": seed, **train(name, seed, known, unseen)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, run)
    print(name, seed, {k: round(run[k], 4) for k in ("seconds", *SCORES)}, flush=True)
    return run


def train(name: str, seed: int, known, unseen) -> dict:
    device = default_device()
    seed_everything(seed)
    model = create_model("unet_small")
    images, vessels, _ = known
    set_head_bias(model, vessels.mean().item())
    crops = RandomCrops(images.to(device), vessels.to(device), size=CROP, batch_size=BATCH)
    started = perf_counter()
    fit(model.to(device), crops, STEPS, loss=LOSSES[name], lr=LR, seed=seed, progress=False)
    return {"seconds": perf_counter() - started, **scored(model, known, unseen)}


def scored(model: torch.nn.Module, known, unseen) -> dict:
    threshold = metrics.best_threshold(*metrics.pool(*maps(model, known)))
    found = metrics.evaluate(*(test := maps(model, unseen)), threshold)
    p, t = metrics.pool(*test)
    at_half = metrics.binary_scores(p >= 0.5, t)
    false_alarms, hits, _ = roc_curve(t, p)
    where = np.clip(np.digitize(p, BINS) - 1, 0, len(BINS) - 2)
    count = np.bincount(where, minlength=len(BINS) - 1)
    return {
        **{"threshold": threshold, "auc": found["pooled"]["auc"], "f1": found["pooled"]["f1"]},
        **{"f1_at_half": at_half["f1"], "sensitivity_at_half": at_half["sensitivity"]},
        "cldice": found["mean"]["cldice"],
        # Pixels that the network calls certain, and vessel pixels among the surest background.
        "saturated": float(((p < 0.001) | (p > 0.999)).mean()),
        "certain_misses": float((p[t] < 0.001).mean()),
        "hits": np.interp(FALSE_ALARMS, false_alarms, hits).tolist(),
        "pixels": count.tolist(),
        "vessels": np.bincount(where, weights=t, minlength=len(BINS) - 1).tolist(),
    }


def maps(model: torch.nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple:
    """Probabilities, targets and fields of view as `metrics` takes them."""
    images, vessels, fovs = batch
    found = [inference.predict(model, image)[0].numpy() for image in images]
    return found, list(vessels[:, 0].bool().numpy()), list(fovs[:, 0].numpy())


def fraction(vessels: Tensor, fovs: Tensor) -> float:
    return vessels[fovs].mean().item()


def over_seeds(runs: list[dict], score: str) -> dict:
    values = [run[score] for run in runs]
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}


if __name__ == "__main__":
    main()
