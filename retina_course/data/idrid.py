"""IDRiD's photographs with boxes: the optic disc, hard exudates, haemorrhages."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from retina_course.data.detection import LESION_CLASSES, check_target
from retina_course.data.photographs import SPLITS, incomplete
from retina_course.data.reading import DatasetError, read_rgb
from retina_course.models.detection.boxes import clip

TEST_IMAGES = 80
SPLIT_SEED = 0
SOURCE = (
    "Bring a folder with NNNN.jpg and NNNN.txt for each photograph; a line of NNNN.txt is class, "
    "centre x, centre y, width and height of a box, each as a fraction of the image."
)


@dataclass(frozen=True, eq=False)
class BoxedPhotograph:
    """A photograph, uint8 RGB `(H, W, 3)`, its boxes float32 `(K, 4)` and labels int64 `(K,)`."""

    name: str
    image: np.ndarray
    boxes: Tensor
    labels: Tensor


class IDRiDBoxes(Dataset):
    """240 photographs of IDRiD, 768x510, with boxes in three classes; lesions often in clusters.

    Labels: 1 optic disc (one in every photograph), 2 hard exudates, 3 haemorrhages. The set has no
    split and names no patients: 80 photographs drawn by a fixed seed are "test", the other 160
    "train". Two photographs of one patient may lie on both sides. Images: Porwal et al. 2018,
    doi:10.3390/data3030025, CC BY 4.0. Boxes: CODRAS, von Csefalvay 2019, CC BY-SA 4.0.

    Parameters
    ----------
    root : the folder; by default `IDRiD_boxes` in `$RETINA_COURSE_DATA`.
    split : "train", "test" or "all".

    Raises
    ------
    DatasetError : no folder, or photographs without boxes; later, when a damaged file is read.
    ValueError : another split.
    """

    def __init__(self, root: str | os.PathLike | None = None, split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"Split {split!r} is none of {', '.join(map(repr, SPLITS))}.")
        parent = os.environ.get("RETINA_COURSE_DATA")
        if root is None and not parent:
            raise DatasetError(
                "Where is IDRiD_boxes? Give its folder (root=...), or set RETINA_COURSE_DATA to "
                f"the folder that holds it. {SOURCE}"
            )
        self.root = Path(parent, "IDRiD_boxes") if root is None else Path(root)
        files = self.root.iterdir() if self.root.is_dir() else []
        images = sorted(path for path in files if path.suffix.lower() == ".jpg")
        if not images:
            raise DatasetError(f"There are no photographs in {self.root}. {SOURCE}")
        lacking = [f"{path.stem}.txt" for path in images if not path.with_suffix(".txt").is_file()]
        if lacking:
            raise incomplete(f"IDRiD_boxes in {self.root}", lacking, SOURCE)
        order = np.random.Generator(np.random.PCG64(SPLIT_SEED)).random(len(images)).argsort()
        held_out = set(order[: round(len(images) * TEST_IMAGES / 240)].tolist())
        self.files = [
            path
            for i, path in enumerate(images)
            if split == "all" or (i in held_out) == (split == "test")
        ]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> BoxedPhotograph:
        path = self.files[index]
        image = read_rgb(path)
        boxes, labels = read_boxes(path.with_suffix(".txt"), image.shape[:2])
        return BoxedPhotograph(path.stem, image, boxes, labels)

    def digest(self) -> str:
        """SHA-256 of the names and bytes of all files of this split."""
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for image in self.files
            for path in (image, image.with_suffix(".txt"))
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_boxes(path: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The boxes of one file, in pixels of an image of `size` (height, width), and their labels.

    The file's class 0 is label 1: 0 is the background. Boxes are cut at the image's border.

    Raises
    ------
    DatasetError : a line that is no box; it is named.
    """
    height, width = size
    boxes, labels = [], []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, *fractions = line.split()
            x, y, w, h = map(float, fractions)
            label = int(label) + 1
        except ValueError:
            raise DatasetError(f"{path}, line {number}: {line!r} is no box. {SOURCE}") from None
        boxes.append([(x - w / 2) * width, (y - h / 2) * height])
        boxes[-1] += [(x + w / 2) * width, (y + h / 2) * height]
        labels.append(label)
    target = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    try:
        check_target(target, size, len(LESION_CLASSES))
    except ValueError as problem:
        raise DatasetError(f"{path}: {problem}") from None
    return clip(target["boxes"], size), target["labels"]
