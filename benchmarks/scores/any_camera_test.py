"""The test halves of both sets, once: networks for any camera beside those of CHASE_DB1 alone.

    python -m benchmarks.scores.any_camera_test [NAME ...] --output runs/any_camera

A name is a network with weights in the output (`NAME/weights.safetensors`), or one that comes with
the package. Each is scored on CHASE_DB1's 20 and HRF's 30 test photographs at native size, inside
the field of view, with four flips. The threshold of a network for any camera is that of the
held-out children of its folds (`both_not_a`, `both_not_b`, as many as were trained), or, where no
fold was, of its own training photographs; the row says which. So the threshold of a network that
was trained on one set comes from this set alone, and that of a network of synthetic images from
synthetic images that it has not seen. That of a shipped network stands in its card.
Writes retina_course/results/any_camera_test/NAME.json, and with --ship the weights as
NETWORK_any_camera into the package. The data folder is RETINA_COURSE_DATA.

The weights of the networks of one set, which are not shipped, are in benchmarks/weights/any_camera
(RetinaSegmentor's in half precision): with this folder as output, and without its row, a name is
scored again.
"""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.common.files import RESULTS, WEIGHTS, read_json, write_json
from benchmarks.common.folds import FOLDS
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.scales import WORKING_SCALE, best_threshold, ranking_at
from benchmarks.common.streamed_scores import scored_one_by_one
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.data.synthetic import make_fundus_images
from retina_course.training.any_camera import SYNTHETIC_ANGLE
from retina_course.training.devices import default_device

PROGRAM = Program(
    __file__,
    question="What do networks for any camera score on the test halves of two cameras?",
    results=("any_camera_test/*.json",),
    commands=("python -m benchmarks.scores.any_camera_test --output runs/any_camera",),
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/results/any_camera/*.json",),
)
ROWS = RESULTS / "any_camera_test"
SETS = {"chase": ChaseDB1, "hrf": HRF}
EYES, EYE_SEED = 8, 5000  # synthetic images for a threshold; those of the training have other seeds
HALVED = 1_000_000  # parameters: networks with more are shipped in half precision


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("runs/any_camera"))
    parser.add_argument("--ship", action="store_true", help="into the package, with their cards")
    options = parser.parse_args()
    for name in options.names:
        row = ROWS / f"{name}.json"
        path = options.output / name / "weights.safetensors"
        model, card = weights.load(path if path.exists() else name)
        source = "the card"
        if path.exists():
            card["threshold"], source = chosen_threshold(name, model)
        if not row.exists():
            found = scored(model.to(default_device()), card)
            write_json(row, trained_as(name, card) | found | {"threshold_from": source})
            print(f"written   {name}", flush=True)
        if options.ship:
            ship(name, model.cpu(), card, read_json(row))


def trained_as(name: str, card: dict[str, Any]) -> dict[str, str]:
    """Network, training photographs and recipe, for the table.

    `after` names the piece that the training began with, where there was one.
    """
    path = RESULTS / "any_camera" / f"{name}.json"
    if path.exists():
        row = read_json(path)
        after = {"after": row["after"]} if "after" in row else {}
        return {"network": row["model"], "source": row["source"], "recipe": "any camera"} | after
    return {"network": card["model"], "source": "chase", "recipe": "one camera"}


def chosen_threshold(name: str, model: nn.Module) -> tuple[float, str]:
    """The threshold with the highest F1, each set of photographs counting the same; and of what."""
    scale = f"{WORKING_SCALE:g}"
    rows = {fold: without_fold(name, fold) for fold in FOLDS}
    folds = [fold for fold in FOLDS if rows[fold].exists()]
    pixels = [
        np.array(held[scale]["histogram"])
        for fold in folds
        for held in read_json(rows[fold])["held_out"].values()
    ]
    if not folds:
        source = read_json(RESULTS / "any_camera" / f"{name}.json")["source"]
        own = [
            list(dataset(split="train"))
            for name, dataset in SETS.items()
            if source in (name, "both")
        ]
        for photographs in own or [unseen_eyes()]:
            found = ranking_at(model, photographs, [WORKING_SCALE])
            pixels.append(np.array(found[scale]["histogram"]))
    threshold = best_threshold(sum(part / part.sum() for part in pixels))
    if folds:
        return threshold, f"held-out children of fold {' and '.join(folds)}"
    return threshold, "its training photographs" if own else f"{EYES} other synthetic images"


def without_fold(name: str, fold: str) -> Path:
    """The row of the same training without a fold of the children, with the first seed."""
    network, _, longer = name.rsplit("_seed", 1)[0].partition("_both")
    return RESULTS / "any_camera" / f"{network}_both_not_{fold}{longer}_seed0.json"


def unseen_eyes() -> list[Photograph]:
    """Synthetic images that no training has, as photographs at the scale that the networks see."""
    side = round(SYNTHETIC_ANGLE * WORKING_SCALE)
    eyes = make_fundus_images(EYES, side, EYE_SEED)
    return [
        Photograph(
            f"eye_{i}",
            f"eye_{i}",
            np.uint8(255 * eye.image.permute(1, 2, 0).numpy()),
            eye.vessel.numpy(),
            eye.fov.numpy(),
            field_angle=SYNTHETIC_ANGLE,
        )
        for i, eye in enumerate(eyes)
    ]


def ship(name: str, model: nn.Module, card: dict[str, Any], row: dict[str, Any]) -> None:
    """Write weights and card into the package, in half precision where they are large."""
    trained = read_json(RESULTS / "any_camera" / f"{name}.json")
    sets = (ChaseDB1(split="train"), HRF(split="train"))
    card |= {
        "training_data": "CHASE_DB1, first 8 images (4 children), CC BY 4.0, Fraz et al. 2012; "
        "HRF, first 15 images, CC BY 4.0, Budai et al. 2013; 192 synthetic images",
        "trained_on": [digest for part in sets for digest in part.image_digests().values()],
        "threshold_from": row["threshold_from"],
        "metrics": {"set": "HRF, last 30 images, inside the field of view"} | row["hrf"]["pooled"],
        "metrics_chase_db1": {"set": "CHASE_DB1, last 20 images"} | row["chase"]["pooled"],
        "licence": "MIT",
        "seed": trained["seed"],
        "recipe": trained["recipe"]
        | {key: trained[key] for key in ("shares", "after") if key in trained},
        "provenance": trained["provenance"],
    }
    size = sum(value.numel() for value in model.parameters())
    file = WEIGHTS / f"{card['model']}_any_camera.safetensors"
    weights.save(file, model, card, half=size > HALVED)


def scored(model: Any, card: dict[str, Any]) -> dict[str, Any]:
    """Pooled scores and those of each photograph, by set."""
    source = provenance(default_device(), PROGRAM)
    found: dict[str, Any] = {"threshold": card["threshold"], "provenance": source}
    found["pixels_per_degree"] = card["pixels_per_degree"]
    for name, dataset in SETS.items():
        found[name] = scored_one_by_one(model, card, dataset(split="test"))
    return found


if __name__ == "__main__":
    main()
