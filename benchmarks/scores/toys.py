"""The toy experiment of Retina U-Net: does segmentation help detection when images are few?

    python -m benchmarks.scores.toys train --output runs/
    python -m benchmarks.scores.toys collect --output runs/

`train` runs every combination of seed, number of training images and segmentation weight that has
no finished run yet, and can be killed and started again at any time. Two processes may share the
work: --seeds 0 1 in one, --seeds 2 in the other. `collect` writes retina_course/results/toys.json.

A run: `synthetic_toys(n, seed)` to learn from, mirrored at random, the same test images for all,
the same first weights and order of batches for both weights of a seed. Steps, not passes through
the images, are equal. The paper's images have 320x320 pixels; --size 160 shows the same
objects in a quarter of the noise, at a quarter of the cost.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.detection import Detecting, recipe_of
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import mean_and_sd, smooth
from retina_course import shapes
from retina_course.data.detection import RandomAffine
from retina_course.data.synthetic import TOY_CLASSES, synthetic_toys
from retina_course.evaluation.detection_metrics import average_precision
from retina_course.inference import detect_all
from retina_course.models import RetinaUNetDetector
from retina_course.training import default_device, fit, seed_everything

PROGRAM = Program(
    __file__,
    question="Does learning to segment help a detector when training images are few?",
    results=("toys.json",),
    commands=(
        "python -m benchmarks.scores.toys train --size 160 --bfloat16 --output runs/",
        "python -m benchmarks.scores.toys train --size 160 --steps 4000 --images 1000 --weights 0 "
        "--bfloat16 --output runs/",
        "python -m benchmarks.scores.toys collect --output runs/",
    ),
)
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
    parser = PROGRAM.parser(__doc__)
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
    recipe = recipe_of(
        options.steps,
        options.batch_size,
        options.lr,
        options.bfloat16,
        size=options.size,
        test_images=options.test,
        augmentation="mirrored at random",
    )
    if file.exists():
        if read_json(file)["recipe"] != recipe:
            raise SystemExit(f"{file} has another recipe: name another output.")
        print(f"{name} is finished.")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    source = provenance(default_device(), PROGRAM)
    images, targets = synthetic_toys(n, seed, size=options.size)
    test, ground_truths = synthetic_toys(options.test, TEST_SEED, size=options.size)
    checkpoint = options.output / f"{name}.pt"
    seed_everything(seed)
    model = RetinaUNetDetector(**OPTIONS, segmentation_weight=weight).to(default_device())
    history = fit(
        model,
        RandomAffine(images, targets, options.batch_size, scale=(1, 1), jitter=0),
        options.steps,
        lr=options.lr,
        seed=seed,
        precision=torch.bfloat16 if recipe["precision"] == "bfloat16" else None,
        checkpoint=checkpoint,
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
    checkpoint.unlink()
    print(name, json.dumps(run["ap"]), flush=True)


def without_classes(found: list[dict], ground_truths: list[dict], iou: float) -> float:
    """Average precision where only the place counts: what is left is what naming costs."""
    one = [
        [item | {"labels": torch.ones_like(item["labels"])} for item in items]
        for items in (found, ground_truths)
    ]
    return average_precision(*one, 1, iou)


def collect(output: Path) -> None:
    runs = [read_json(file) for file in sorted(output.glob("toys_*.json"))]
    if not runs:
        raise SystemExit(f"There are no finished runs under {output}.")
    groups: dict[tuple, list[dict]] = {}
    for run in runs:
        recipe = run["recipe"]
        key = (recipe["size"], recipe["steps"], run["images"], run["segmentation_weight"])
        groups.setdefault(key, []).append(run)
    model = RetinaUNetDetector(**OPTIONS)
    content = {
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
                for size in sorted({key[0] for key in groups})
            },
        },
        "rows": [row(*key, groups[key]) for key in sorted(groups)],
        "runs": runs,
    }
    write_json(RESULTS / "toys.json", content)


def row(size: int, steps: int, n: int, weight: float, runs: list[dict]) -> dict:
    """The seeds of one setting together."""
    if any(run["recipe"] != runs[0]["recipe"] for run in runs):
        raise SystemExit(f"The runs of {n} images, weight {weight:g}, differ in their recipe.")
    scores = {}
    for iou in map(str, IOUS):
        scores[f"ap_{iou}"] = [float(np.mean(list(run["ap"][iou].values()))) for run in runs]
    for iou in map(str, IOUS):
        scores[f"ap_any_{iou}"] = [run["ap_any"][iou] for run in runs]
    return {
        "size": size,
        "steps": steps,
        "images": n,
        "segmentation_weight": weight,
        "seeds": [run["seed"] for run in runs],
        **{key: {"values": values} | mean_and_sd(values) for key, values in scores.items()},
    }


if __name__ == "__main__":
    main()
