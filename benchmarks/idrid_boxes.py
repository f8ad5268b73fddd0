"""Train detectors on IDRiD's boxes and score them on photographs that they have not seen.

    python benchmarks/idrid_boxes.py train --steps 2000 --bfloat16 --output runs/
    python benchmarks/idrid_boxes.py collect --output runs/

`train` can be killed at any time: started again, it continues; a finished run is not run again.
`collect` writes retina_course/results/idrid_boxes.json, the picture beside it, and the weights of
RetinaNet's seed 0, whatever the seeds scored. The data folder is RETINA_COURSE_DATA.

The protocol: 80 of the 240 photographs, drawn by a fixed seed, are the test; the weights are those
after the last step, and the score from which on a box is shown is the best on the 160 training
photographs. Average precision is that of retina_course.detection_metrics. IDRiD_boxes has
no outlines: the segmentation of Retina U-Net learns the ellipses in the boxes.
"""

import argparse
import json
from pathlib import Path

import torch
from chase_db1 import smooth
from pictures import detections_picture
from provenance import ROOT, provenance, write_json
from torch import nn

from retina_course import shapes, weights
from retina_course.data.detection import LESION_CLASSES, RandomAffine
from retina_course.data.idrid import IDRiDBoxes
from retina_course.evaluation.detection_metrics import best_threshold, bootstrap_average_precision
from retina_course.inference.detection import detect_photographs, stack_boxed_images
from retina_course.models import create_model
from retina_course.training import default_device, fit, seed_everything

MODELS = ("retina_net", "retina_unet_detector")
OPTIONS = {"num_classes": 3, "width": 16, "pyramid_channels": 48, "head_channels": 48}
IOUS = (0.1, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["train", "collect"])
    parser.add_argument("--model", choices=MODELS, default="retina_net")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--fov-diameter", type=int, default=448)
    parser.add_argument("--bfloat16", action="store_true", help="autocast on a CPU, too")
    parser.add_argument("--output", type=Path, required=True, help="where the runs are kept")
    options = parser.parse_args()
    if options.action == "train":
        train(options)
    else:
        collect(options.output)


def train(options: argparse.Namespace) -> None:
    folder = options.output / f"idrid_{options.model}_seed{options.seed}"
    if (folder / "run.json").exists():
        print(f"{folder} is finished.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    device = default_device()
    source = provenance(device)  # now: the code may change while a long run goes on
    half = options.bfloat16 or device.type == "cuda"
    recipe = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "fov_diameter": options.fov_diameter,
        "scale": [0.8, 1.25],
        "jitter": 0.2,
        "optimizer": "AdamW, one cosine to zero, gradients clipped at 1",
        "precision": "bfloat16" if half else "float32",
    }
    images, targets = stack_boxed_images(IDRiDBoxes(split="train"), options.fov_diameter)
    images = images.to(device)
    targets = [{k: v.to(device) for k, v in target.items()} for target in targets]
    seed_everything(options.seed)
    model = create_model(options.model, **OPTIONS).to(device)
    history = fit(
        model,
        RandomAffine(images, targets, batch_size=options.batch_size),
        options.steps,
        lr=options.lr,
        seed=options.seed,
        precision=torch.bfloat16 if half else None,
        checkpoint=folder / "checkpoint.pt",
        settings={"model": options.model, **recipe},
    )
    card = {"model": options.model, "options": OPTIONS, "fov_diameter": options.fov_diameter}
    test = IDRiDBoxes(split="test")
    run = {
        "model": options.model,
        "seed": options.seed,
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        "recipe": recipe,
        "training_size": [1, *images.shape[1:]],
        "provenance": source,
    }
    for name, flips in (("flips", True), ("no_flips", False)):
        found, ground_truths = detect_photographs(model, test, card, flips=flips)
        run[name] = scores(found, ground_truths)
    weights.save(folder / "weights.safetensors", model.cpu(), card)
    write_json(folder / "run.json", run)
    print(f"{folder}: {json.dumps(run['flips'])}")


class Detecting(nn.Module):
    """What a detector computes to find boxes: its network without the segmentation."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x, segment=False).classes


def scores(found: list[dict], ground_truths: list[dict]) -> dict:
    """Average precision of each class at each IoU, with the interval over photographs."""
    rows = {}
    for label, name in enumerate(LESION_CLASSES, start=1):
        rows[name] = {
            "objects": sum(int((truth["labels"] == label).sum()) for truth in ground_truths)
        }
        for threshold in IOUS:
            ap = bootstrap_average_precision(found, ground_truths, label, threshold)
            rows[name][f"ap_{threshold}"] = {"value": ap.value, "interval": [ap.low, ap.high]}
    return rows


def collect(output: Path) -> None:
    runs = [json.loads(file.read_text()) for file in sorted(output.glob("idrid_*/run.json"))]
    rows = {}
    for name in MODELS:
        mine = [run for run in runs if run["model"] == name]
        if not mine:
            continue
        if any(run["recipe"] != mine[0]["recipe"] for run in mine):
            raise SystemExit(f"The runs of {name} differ in their recipe: they are not one row.")
        model = create_model(name, **OPTIONS)
        rows[name] = {
            "options": OPTIONS,
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": shapes.macs(Detecting(model.network), mine[0]["training_size"]),
            "recipe": mine[0]["recipe"],
            "training_size": mine[0]["training_size"],
            "runs": [
                {k: v for k, v in run.items() if k not in ("recipe", "model")} for run in mine
            ],
        }
    test = IDRiDBoxes(split="test")
    write_json(
        ROOT / "retina_course" / "results" / "idrid_boxes.json",
        {
            "dataset": {
                "name": "IDRiD_boxes",
                "digest": IDRiDBoxes(split="all").digest(),
                "test": [path.stem for path in test.files],
                "classes": list(LESION_CLASSES),
                "licence": "images CC BY 4.0 (Porwal et al. 2018), boxes CC BY-SA 4.0 (CODRAS, "
                "von Csefalvay 2019)",
            },
            "protocol": {
                "split": "80 of 240 photographs by a fixed seed are the test; the set names no "
                "patients",
                "weights": "after the last step",
                "average_precision": "area under the interpolated precision-recall curve",
                "interval": "95 %, photographs drawn again 1000 times",
            },
            "models": rows,
        },
    )
    model, card = weights.load(output / "idrid_retina_net_seed0" / "weights.safetensors")
    labels = range(1, len(LESION_CLASSES) + 1)
    on_training = detect_photographs(model, IDRiDBoxes(split="train"), card)
    card["threshold"] = round(best_threshold(*on_training, labels), 3)
    detections_picture(model, card, list(test))
    first = rows["retina_net"]["runs"][0]
    card |= {
        "classes": list(LESION_CLASSES),
        "training_data": "IDRiD_boxes, 160 photographs of one clinic, images CC BY 4.0 (Porwal et "
        "al. 2018), boxes CC BY-SA 4.0 (CODRAS, von Csefalvay 2019)",
        "metrics": {
            "set": "IDRiD_boxes, 80 other photographs; AP at IoU 0.5",
            **{name: row["ap_0.5"]["value"] for name, row in first["flips"].items()},
        },
        "licence": "CC BY-SA 4.0, as the boxes",
        "seed": 0,
        "recipe": rows["retina_net"]["recipe"],
        "provenance": first["provenance"],
    }
    weights.save(ROOT / "retina_course" / "weights" / "retina_net.safetensors", model, card)


if __name__ == "__main__":
    main()
