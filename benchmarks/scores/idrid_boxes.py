"""Train detectors on IDRiD's boxes and score them on photographs that they were not trained on.

    python -m benchmarks.scores.idrid_boxes train --steps 2000 --bfloat16 --output runs/
    python -m benchmarks.scores.idrid_boxes collect --output runs/

`train` can be killed at any time: started again, it continues; a finished run is not run again.
`collect` writes retina_course/results/idrid_boxes.json, the figure beside it, and the weights of
RetinaNet's seed 0, whatever the seeds scored. The data folder is RETINA_COURSE_DATA.

The protocol: 80 of the 240 photographs, drawn by a fixed seed, are the test; the weights are those
after the last step, and the score from which on a box is shown is the best on the 160 training
photographs. Average precision is that of retina_course.evaluation.detection_metrics. IDRiD_boxes
has no outlines: the segmentation of Retina U-Net learns the ellipses in the boxes.
"""

import argparse
import json
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks.common import datasets
from benchmarks.common.detection import Detecting, recipe_of
from benchmarks.common.figures import IDRID_CREDITS, save
from benchmarks.common.files import RESULTS, WEIGHTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from retina_course import shapes, weights
from retina_course.data.detection import LESION_CLASSES
from retina_course.data.idrid import FIELD_ANGLE, BoxedPhotograph, IDRiDBoxes
from retina_course.data.images import read_image
from retina_course.evaluation.detection_metrics import best_threshold, bootstrap_average_precision
from retina_course.figures import plotting
from retina_course.inference import detect, detect_photographs, find_fov, stack_boxed_images
from retina_course.inference.colours import measure_colours
from retina_course.inference.scale import trained_scale
from retina_course.models import create_model
from retina_course.training import DETECTOR_OPTIONS as OPTIONS
from retina_course.training import DetectorRecipe, default_device, train_detector
from retina_course.training.detector_recipe import SCALE

PROGRAM = Program(
    __file__,
    question="How well do the detectors find the optic disc and lesions on photographs of IDRiD?",
    results=("idrid_boxes.json",),
    also=("retina_course/results/retina_net_idrid.jpg", "retina_course/weights/retina_net.*"),
    commands=(
        "python -m benchmarks.scores.idrid_boxes train --steps 2000 --bfloat16 --output runs/",
        "python -m benchmarks.scores.idrid_boxes collect --output runs/",
    ),
    data=("IDRiD_boxes",),
)
MODELS = ("retina_net", "retina_unet_detector")
IOUS = (0.1, 0.5)


def main() -> None:
    parser = PROGRAM.parser(__doc__)
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
    source = provenance(device, PROGRAM)  # now: the code may change while a long run goes on
    asked = DetectorRecipe(options.steps, options.batch_size, options.lr, options.fov_diameter)
    recipe = recipe_of(
        asked.steps,
        asked.batch_size,
        asked.lr,
        options.bfloat16,
        fov_diameter=asked.fov_diameter,
        scale=list(SCALE),
        jitter=asked.jitter,
    )
    training = list(IDRiDBoxes(split="train"))
    model, history = train_detector(
        options.model,
        training,
        asked,
        seed=options.seed,
        checkpoint=folder / "checkpoint.pt",
        precision=torch.bfloat16 if recipe["precision"] == "bfloat16" else None,
    )
    images, _ = stack_boxed_images(training, asked.fov_diameter)
    card = {"model": options.model, "options": OPTIONS, "fov_diameter": asked.fov_diameter}
    model.to(device)
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
        run[name] = scores(*detect_photographs(model, test, card, flips=flips))
    weights.save(folder / "weights.safetensors", model.cpu(), card)
    write_json(folder / "run.json", run)
    print(f"{folder}: {json.dumps(run['flips'])}")


def scores(found: list[dict], ground_truths: list[dict]) -> dict:
    """Average precision of each class at each IoU, with the interval over photographs."""
    rows = {}
    for label, name in enumerate(LESION_CLASSES, start=1):
        rows[name] = {"objects": sum(int((one["labels"] == label).sum()) for one in ground_truths)}
        for threshold in IOUS:
            ap = bootstrap_average_precision(found, ground_truths, label, threshold)
            rows[name][f"ap_{threshold}"] = {"value": ap.value, "interval": [ap.low, ap.high]}
    return rows


def collect(output: Path) -> None:
    runs = [read_json(file) for file in sorted(output.glob("idrid_*/run.json"))]
    rows = {name: model_row(name, [r for r in runs if r["model"] == name]) for name in MODELS}
    rows = {name: row for name, row in rows.items() if row is not None}
    test = IDRiDBoxes(split="test")
    content = {
        "dataset": {
            "name": "IDRiD_boxes",
            "digest": datasets.digest("IDRiD_boxes"),
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
    }
    write_json(RESULTS / "idrid_boxes.json", content)
    ship(output / "idrid_retina_net_seed0" / "weights.safetensors", rows["retina_net"], list(test))


def model_row(name: str, runs: list[dict]) -> dict | None:
    """What is stored of one detector; None where it has no finished run."""
    if not runs:
        return None
    recipe, size = runs[0]["recipe"], runs[0]["training_size"]
    if any(run["recipe"] != recipe for run in runs):
        raise SystemExit(f"The runs of {name} differ in their recipe: they are not one row.")
    model = create_model(name, **OPTIONS)
    left_out = ("recipe", "model")
    return {
        "options": OPTIONS,
        "parameters": sum(p.numel() for p in model.parameters()),
        "macs": shapes.macs(Detecting(model.network), size),
        "recipe": recipe,
        "training_size": size,
        "runs": [{k: v for k, v in run.items() if k not in left_out} for run in runs],
    }


def ship(file: Path, row: dict, test: list[BoxedPhotograph]) -> None:
    """The weights of RetinaNet's seed 0 with their card, and a figure of what they find."""
    model, card = weights.load(file)
    labels = range(1, len(LESION_CLASSES) + 1)
    on_training = detect_photographs(model, IDRiDBoxes(split="train"), card)
    card["threshold"] = round(best_threshold(*on_training, labels), 3)
    draw_detections(model, card, test)
    images = (read_image(photo.image) for photo in IDRiDBoxes(split="train"))
    first = row["runs"][0]
    card |= {
        **trained_scale(card["fov_diameter"], FIELD_ANGLE, SCALE),
        "classes": list(LESION_CLASSES),
        "colours": measure_colours((image, find_fov(image)) for image in images),
        "training_data": "IDRiD_boxes, 160 photographs of one clinic, images CC BY 4.0 (Porwal et "
        "al. 2018), boxes CC BY-SA 4.0 (CODRAS, von Csefalvay 2019)",
        "metrics": {
            "set": "IDRiD_boxes, 80 other photographs; AP at IoU 0.5",
            **{name: one["ap_0.5"]["value"] for name, one in first["flips"].items()},
        },
        "licence": "CC BY-SA 4.0, as the boxes",
        "seed": 0,
        "recipe": row["recipe"],
        "provenance": first["provenance"],
    }
    weights.save(WEIGHTS / "retina_net.safetensors", model, card)


def draw_detections(model: nn.Module, card: dict, photographs: list[BoxedPhotograph]) -> None:
    """The first six test photographs that show every class, with ground truth and found boxes."""
    shown = [photo for photo in photographs if len(photo.labels.unique()) == len(LESION_CLASSES)]
    figure = Figure(figsize=(13.2, 7.0), dpi=110, facecolor="white", layout="constrained")
    for axes, photo in zip(figure.subplots(2, 3).flat, shown[:6], strict=True):
        found = detect(model, photo.image, card, field_angle=photo.field_angle)
        axes.imshow(photo.image)
        ground_truth = {"boxes": photo.boxes, "labels": photo.labels}
        plotting.draw_boxes(axes, found, ground_truth, card["threshold"])
        axes.set_title(f"IDRiD {photo.name}", fontsize=10)
        axes.set_axis_off()
    plotting.box_legend(figure, LESION_CLASSES, with_ground_truth=True)
    figure.suptitle(IDRID_CREDITS, x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / f"{card['model']}_idrid.jpg")


if __name__ == "__main__":
    main()
