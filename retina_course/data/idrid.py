"""IDRiD's photographs with boxes: optic disc, hard exudates, haemorrhages."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from retina_course.data.detection import LESION_CLASSES, check_target
from retina_course.data.photographs import SPLITS
from retina_course.data.reading import DatasetError, missing_files_message, read_rgb
from retina_course.models.detection.boxes import clip

TEST_IMAGES = 80
SPLIT_SEED = 0
SOURCE = (
    "Provide a folder with NNNN.jpg and NNNN.txt for each photograph; a line of NNNN.txt is class, "
    "centre x, centre y, width and height of a box, each as a fraction of the image."
)


@dataclass(frozen=True, eq=False)
class BoxedPhotograph:
    """One photograph with boxes.

    Parameters
    ----------
    name : str
        Name of the photograph in its dataset.
    image : ndarray of uint8
        RGB, `(H, W, 3)`.
    boxes : Tensor
        `(K, 4)` float32, x1, y1, x2, y2 in pixels, x2 and y2 exclusive.
    labels : Tensor
        `(K,)` int64, see `LESION_CLASSES`; 1 is its first class.
    """

    name: str
    image: NDArray[np.uint8]
    boxes: Tensor
    labels: Tensor


class IDRiDBoxes(Dataset[BoxedPhotograph]):
    """IDRiD: 240 photographs of 768x510 pixels with boxes in three classes.

    The labels are 1 optic disc (one in every photograph), 2 hard exudates and 3 haemorrhages. A
    box often contains a cluster of lesions. The dataset has no split: 80 photographs, selected
    by a fixed seed, are "test", the other 160 "train". It does not name the patients either, so
    two photographs of one patient may lie on both sides.

    Images: Porwal et al. 2018, doi:10.3390/data3030025, CC BY 4.0. Boxes: CODRAS, von Csefalvay
    2019, CC BY-SA 4.0. Indexing and iteration read one `BoxedPhotograph` each.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `IDRiD_boxes` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or files of boxes are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.

    Examples
    --------
    >>> from retina_course import IDRiDBoxes
    >>> for photograph in IDRiDBoxes("IDRiD_boxes", split="test"):  # doctest: +SKIP
    ...     print(photograph.name, photograph.image.shape, photograph.labels.tolist())
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, split: str = "train") -> None:
        if split not in SPLITS:
            raise ValueError(
                f"Expected split to be one of {', '.join(map(repr, SPLITS))}, got {split!r}."
            )
        if root is None:
            parent = os.environ.get("RETINA_COURSE_DATA")
            if not parent:
                raise DatasetError(
                    "Where is IDRiD_boxes? Give its folder (root=...), or set RETINA_COURSE_DATA "
                    f"to the folder that holds it. {SOURCE}"
                )
            root = Path(parent, "IDRiD_boxes")
        self.root = Path(root)
        files = self.root.iterdir() if self.root.is_dir() else []
        images = sorted(path for path in files if path.suffix.lower() == ".jpg")
        if not images:
            raise DatasetError(f"There are no photographs in {self.root}. {SOURCE}")
        missing = [f"{path.stem}.txt" for path in images if not path.with_suffix(".txt").is_file()]
        if missing:
            where = f"IDRiD_boxes in {self.root}"
            raise DatasetError(missing_files_message(where, missing, SOURCE))
        order = np.random.Generator(np.random.PCG64(SPLIT_SEED)).random(len(images)).argsort()
        held_out = set(order[: round(len(images) * TEST_IMAGES / 240)].tolist())
        self.files = [
            path
            for i, path in enumerate(images)
            if split == "all" or (i in held_out) == (split == "test")
        ]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[BoxedPhotograph]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> BoxedPhotograph:
        path = self.files[index]
        image = read_rgb(path)
        height, width, _ = image.shape
        boxes, labels = read_boxes(path.with_suffix(".txt"), (height, width))
        return BoxedPhotograph(path.stem, image, boxes, labels)

    def digest(self) -> str:
        """Compute the SHA-256 of the names and bytes of all files of this split.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for image in self.files
            for path in (image, image.with_suffix(".txt"))
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_boxes(path: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Read the boxes of one file, in pixels, and their labels.

    The file numbers its classes from 0. Class 0 becomes label 1, because 0 is the background.
    Boxes are clipped to the image.

    Parameters
    ----------
    path : Path
        A text file; each line is class, centre x, centre y, width and height of a box, each
        length as a fraction of the image.
    size : tuple of int
        Height and width of the image in pixels.

    Returns
    -------
    boxes : Tensor
        `(K, 4)` float32, x1, y1, x2, y2 in pixels.
    labels : Tensor
        `(K,)` int64, from 1.

    Raises
    ------
    DatasetError
        If a line is not a box; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "0001.txt").write_text("0 0.5 0.5 0.25 0.5")
    ...     boxes, labels = read_boxes(Path(folder, "0001.txt"), size=(20, 40))
    >>> boxes.tolist(), labels.tolist()
    ([[15.0, 5.0, 25.0, 15.0]], [1])
    """
    height, width = size
    rows: list[list[float]] = []
    labels: list[int] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            category, *fractions = line.split()
            x, y, w, h = map(float, fractions)
            label = int(category) + 1
        except ValueError:
            raise DatasetError(f"{path}, line {number}: {line!r} is not a box. {SOURCE}") from None
        top_left = [(x - w / 2) * width, (y - h / 2) * height]
        rows.append([*top_left, (x + w / 2) * width, (y + h / 2) * height])
        labels.append(label)
    target = {
        "boxes": torch.tensor(rows, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    try:
        check_target(target, size, len(LESION_CLASSES))
    except ValueError as problem:
        raise DatasetError(f"{path}: {problem}") from None
    return clip(target["boxes"], size), target["labels"]
