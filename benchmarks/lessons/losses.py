"""What each loss makes of one small network on synthetic images: ranking, masks, probabilities.

    python -m benchmarks.lessons.losses

UNetSmall, three seeds, one training per loss from the same first weights on the same batches. The
test images have other seeds than the training's; thresholds come from the training images. It can
be killed at any time: a finished training is not run again. Written at the end:
retina_course/results/losses.json.
"""

from functools import partial
from time import perf_counter

import numpy as np
import torch
from sklearn.metrics import roc_curve

from benchmarks.common.files import RESULTS, RUNS, once, write_json
from benchmarks.common.index import Program
from benchmarks.common.lessons import Batch, predict_all, train
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import mean_and_sd
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.models import UNetSmall
from retina_course.training import default_device
from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
)

PROGRAM = Program(
    __file__,
    question="How does the choice of the loss change ranking, masks and probabilities?",
    results=("losses.json",),
    commands=("python -m benchmarks.lessons.losses",),
)
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
TRAINING, TEST = (16, 0), (12, 1000)  # number of images, seed of synthetic_batch
BINS = np.linspace(0, 1, 11)  # of the probabilities, for the reliability
FALSE_ALARMS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
SCORES = ("auc", "f1", "f1_at_half", "sensitivity_at_half", "cldice", "saturated", "certain_misses")
FOLDER = RUNS / "losses"


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    source = provenance(default_device(), PROGRAM)
    training, test = (synthetic_batch(n, SIZE, seed) for n, seed in (TRAINING, TEST))
    rows = {}
    for name in LOSSES:
        runs = []
        for seed in SEEDS:
            file = FOLDER / f"{name}_{seed}.json"
            runs.append(once(file, source["code"], partial(run, name, seed, training, test)))
            print(name, seed, {k: round(runs[-1][k], 4) for k in ("seconds", *SCORES)}, flush=True)
        summary = {score: mean_and_sd([one[score] for one in runs]) for score in SCORES}
        rows[name] = {"runs": runs, "summary": summary}
    settings = {
        **{"steps": STEPS, "batch_size": BATCH, "crop": CROP, "size": SIZE, "lr": LR},
        **{"seeds": SEEDS, "training": TRAINING, "test": TEST, "network": "unet_small"},
        "vessels_in_fov": [fraction_of_vessels(batch) for batch in (training, test)],
        "seconds": "wall clock, shared cores",
    }
    content = {
        "provenance": source,
        "settings": settings,
        "bins": BINS.tolist(),
        "false_alarms": FALSE_ALARMS,
        "losses": rows,
    }
    write_json(RESULTS / "losses.json", content)


def run(name: str, seed: int, training: Batch, test: Batch) -> dict:
    """Train with one loss, and score."""
    started = perf_counter()
    model, _ = train(
        UNetSmall,
        training,
        STEPS,
        crop=CROP,
        batch_size=BATCH,
        seed=seed,
        loss=LOSSES[name],
        lr=LR,
    )
    seconds = perf_counter() - started
    return {"seed": seed, "seconds": seconds, **scored(model, training, test)}


def scored(model: torch.nn.Module, training: Batch, test: Batch) -> dict:
    threshold = metrics.best_threshold(*metrics.pool(*predict_all(model, training)))
    maps = predict_all(model, test)
    found = metrics.evaluate(*maps, threshold)
    p, t = metrics.pool(*maps)
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


def fraction_of_vessels(batch: Batch) -> float:
    _, vessels, fovs = batch
    return vessels[fovs].mean().item()


if __name__ == "__main__":
    main()
