"""The data that a GPU run takes along: CHASE_DB1 as it is, HRF's training half at half size.

A machine that is lent for minutes has no data and a narrow door. HRF's photographs of 8 megapixels
are therefore halved; its test half stays at home, where the returned weights are scored.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common.folds import fold_of
from benchmarks.common.scales import SOURCE_SCALES
from retina_course.data.cameras import Scaled
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.training.any_camera import stack_scaled

HALVED = "HRF_training_halved"


def pack(folder: Path) -> None:
    """Write the data to carry into `folder`, about 17 MB."""
    shutil.copytree(ChaseDB1().root, folder / "CHASE_DB1", dirs_exist_ok=True)
    halved = folder / HALVED
    halved.mkdir(parents=True, exist_ok=True)
    for photograph in HRF(split="train"):
        image = Image.fromarray(photograph.image).reduce(2)
        image.save(halved / f"{photograph.name}.jpg", quality=97, subsampling=0)
        for ending, mask in (("vessels", photograph.ground_truth), ("fov", photograph.fov)):
            grey = Image.fromarray(np.uint8(255 * mask)).reduce(2)
            grey.save(halved / f"{photograph.name}_{ending}.png", optimize=True)


def chase(split: str, held_out: str | None = None, limit: int | None = None) -> list[Photograph]:
    """Photographs of CHASE_DB1; `held_out` is a fold of the training half, or "not a", "not b".

    A rehearsal takes only every so many of them, so that at most `limit` are left.
    """
    photographs = thinned(list(ChaseDB1(split=split)), limit)
    return [photo for photo in photographs if wanted("chase", photo.name, held_out)]


def wanted(dataset: str, name: str, held_out: str | None) -> bool:
    """Whether a photograph is in the part that `held_out` names: None, a fold, or "not" a fold."""
    if held_out is None:
        return True
    return (fold_of(dataset, name) == held_out[-1]) != held_out.startswith("not")


def hrf(held_out: str | None = None, limit: int | None = None) -> list[Photograph]:
    """HRF's training half at half size, or a fold of it: eyes 01, 03, 05, or 02, 04."""
    folder = Path(os.environ["RETINA_COURSE_DATA"]) / HALVED
    found = []
    for path in sorted(folder.glob("*.jpg")):
        if wanted("hrf", path.stem, held_out):
            image = np.asarray(Image.open(path))
            vessels, fov = (
                np.asarray(Image.open(folder / f"{path.stem}_{ending}.png")) >= 128
                for ending in ("vessels", "fov")
            )
            found.append(Photograph(path.stem, path.stem, image, vessels, fov, field_angle=60.0))
    return thinned(found, limit)


def thinned(photographs: list[Photograph], limit: int | None) -> list[Photograph]:
    return photographs[:: -(-len(photographs) // limit)] if limit else photographs


def scaled(name: str, held_out: str | None = None, limit: int | None = None) -> Scaled:
    """The training images of one set for `train_any_camera`, or those outside a fold."""
    photographs = chase("train", held_out, limit) if name == "chase" else hrf(held_out, limit)
    return stack_scaled(photographs, SOURCE_SCALES[name])


def synthetic(path: Path) -> Scaled:
    """The synthetic eyes that `run` has painted."""
    content = torch.load(path, weights_only=True)
    return Scaled(content["images"].float() / 255, content["targets"].float(), content["scale"])
