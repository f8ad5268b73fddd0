"""The toy experiment of Retina U-Net: does segmentation help detection when images are few?

    python benchmarks/toys.py train --output runs/
    python benchmarks/toys.py collect --output runs/

`train` runs every combination of seed, number of training images and segmentation weight that has
no finished run yet, and can be killed and started again at any time. Two processes may share the
work: --seeds 0 1 in one, --seeds 2 in the other. `collect` writes retina_course/results/toys.json.

A run: `synthetic_toys(n, seed)` to learn from, mirrored at random, the same test images for all, the
same first weights and order of batches for both weights of a seed. Steps, not passes through the
images, are equal. The paper's images have 320x320 pixels; --size 160 shows the same objects in a
quarter of the noise, at a quarter of the cost.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from chase_db1 import smooth
from idrid_boxes import Detecting
from provenance import ROOT, provenance, write_json

from retina_course import shapes
from retina_course.data.detection import RandomAffine
from retina_course.data.synthetic.detection import TOY_CLASSES, synthetic_toys
from retina_course.evaluation.detection_metrics import average_precision
from retina_course.inference.detection import detect_all
from retina_course.models import RetinaUNetDetector
from retina_course.training import default_device, fit, seed_everything

IMAGES = (50, 100, 500, 1000)
WEIGHTS = (0.0, 1.0)
IOUS = (0.1, 0.5)
TEST_SEED = 1_000_000
OPTIONS = {
    "in_channels": 1,
    "num_classes": 2,
    "width": 16,
    "pyramid_channels": 32,
    "head_channels": 32,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["train", "collect"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--size", type=int, default=320, help="pixels a side")
    parser.add_argument("--test", type=int, default=200, help="test images")
    parser.add_argument("--bfloat16", action="store_true", help="autocast on a CPU, too")
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    options = parser.parse_args()
    if options.action == "train":
        for seed, n, weight in itertools.product(options.seeds, options.images, options.weights):
            train(options, seed, n, weight)
    else:
        collect(options.output)


def train(options: argparse.Namespace, seed: int, n: int, weight: float) -> None:
    name = f"toys_{options.size}_{options.steps}_n{n}_w{weight:g}_seed{seed}"
    file = options.output / f"{name}.json"
    options.output.mkdir(parents=True, exist_ok=True)
    device = default_device()
    source = provenance(device)
    half = options.bfloat16 or device.type == "cuda"
    recipe = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "size": options.size,
        "test_images": options.test,
        "augmentation": "mirrored at random",
        "optimizer": "AdamW, one cosine to zero, gradients clipped at 1",
        "precision": "bfloat16" if half else "float32",
    }
    if file.exists():
        if json.loads(file.read_text())["recipe"] != recipe:
            raise SystemExit(f"{file} has another recipe: name another output.")
        print(f"{name} is finished.")
        return
    images, targets = synthetic_toys(n, seed, size=options.size)
    test, ground_truths = synthetic_toys(options.test, TEST_SEED, size=options.size)
    seed_everything(seed)
    model = RetinaUNetDetector(**OPTIONS, segmentation_weight=weight)
    history = fit(
        model.to(device),
        RandomAffine(images, targets, options.batch_size, scale=(1, 1), jitter=0),
        options.steps,
        lr=options.lr,
        seed=seed,
        precision=torch.bfloat16 if half else None,
        checkpoint=options.output / f"{name}.pt",
        settings={"images": n, "segmentation_weight": weight, **recipe},
    )
    found = detect_all(model, test)
    run = {
        "seed": seed,
        "images": n,
        "segmentation_weight": weight,
        "ap": {
            str(iou): {
                toy: average_precision(found, ground_truths, label, iou)
                for label, toy in enumerate(TOY_CLASSES, start=1)
            }
            for iou in IOUS
        },
        "ap_any": {str(iou): without_classes(found, ground_truths, iou) for iou in IOUS},
        "loss": smooth(history.loss, points=50),
        "seconds": history.seconds,
        "recipe": recipe,
        "provenance": source,
    }
    write_json(file, run)
    (options.output / f"{name}.pt").unlink()
    print(name, json.dumps(run["ap"]), flush=True)


def without_classes(found: list[dict], ground_truths: list[dict], iou: float) -> float:
    """Average precision where only the place counts: what is left is what naming costs."""
    one = [
        [item | {"labels": torch.ones_like(item["labels"])} for item in items]
        for items in (found, ground_truths)
    ]
    return average_precision(*one, 1, iou)


def collect(output: Path) -> None:
    runs = [json.loads(file.read_text()) for file in sorted(output.glob("toys_*.json"))]
    if not runs:
        raise SystemExit(f"There are no finished runs under {output}.")
    rows = []
    settings = sorted({(r["recipe"]["size"], r["recipe"]["steps"]) for r in runs})
    for (size, steps), n, weight in itertools.product(
        settings, sorted({r["images"] for r in runs}), WEIGHTS
    ):
        mine = [
            r
            for r in runs
            if (r["recipe"]["size"], r["recipe"]["steps"]) == (size, steps)
            and (r["images"], r["segmentation_weight"]) == (n, weight)
        ]
        if any(r["recipe"] != mine[0]["recipe"] for r in mine):
            raise SystemExit(f"The runs of {n} images, weight {weight:g}, differ in their recipe.")
        if mine:
            rows.append(
                {
                    "size": size,
                    "steps": steps,
                    "images": n,
                    "segmentation_weight": weight,
                    "seeds": [r["seed"] for r in mine],
                    **{
                        f"ap_{iou}": mean_and_sd(
                            [np.mean(list(r["ap"][iou].values())) for r in mine]
                        )
                        for iou in map(str, IOUS)
                    },
                    **{
                        f"ap_any_{iou}": mean_and_sd([r["ap_any"][iou] for r in mine])
                        for iou in map(str, IOUS)
                    },
                }
            )
    model = RetinaUNetDetector(**OPTIONS)
    write_json(
        ROOT / "retina_course" / "results" / "toys.json",
        {
            "protocol": {
                "data": "synthetic_toys: a disc or a ring an image; test images of one other seed",
                "average_precision": "area under the interpolated curve, mean of disc and ring",
                "ap_any": "the same, disc and ring taken as one class",
                "weights": "after the last step",
            },
            "model": {
                "options": OPTIONS,
                "parameters": sum(p.numel() for p in model.parameters()),
                "macs": {
                    str(size): {
                        "detection": shapes.macs(Detecting(model.network), (1, 1, size, size)),
                        "with segmentation": shapes.macs(model.network, (1, 1, size, size)),
                    }
                    for size in sorted({size for size, _ in settings})
                },
            },
            "rows": rows,
            "runs": runs,
        },
    )


def mean_and_sd(values: list[float]) -> dict:
    return {
        "values": [float(v) for v in values],
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


if __name__ == "__main__":
    main()
