"""IDRiD's photographs with boxes: optic disc, hard exudates, haemorrhages."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import default_collate_fn_map

from retina_course.data.detection import LESION_CLASSES, check_target
from retina_course.data.field_angles import field_angles_of
from retina_course.data.folders import key, scan, stem, warn_of_left_out
from retina_course.data.photographs import SPLITS, list_batch
from retina_course.data.reading import (
    DatasetError,
    file_digest,
    missing_files_message,
    printable,
    read_rgb,
)
from retina_course.models.detection.boxes import clip

TEST_IMAGES = 80
SPLIT_SEED = 0
FIELD_ANGLE = 50.0  # degrees
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
    field_angle : float, optional
        Width of the whole field of view in degrees; None where it is not known.
    """

    name: str
    image: NDArray[np.uint8]
    boxes: Tensor
    labels: Tensor
    field_angle: float | None = None


class IDRiDBoxes(Dataset[BoxedPhotograph]):
    """IDRiD: 240 photographs of 768x510 pixels with boxes in three classes.

    The labels are 1 optic disc (one in every photograph), 2 hard exudates and 3 haemorrhages. A
    box often contains a cluster of lesions. The dataset has no split: 80 photographs, selected
    by a fixed seed, are "test", the other 160 "train". It does not name the patients either, so
    two photographs of one patient may lie on both sides.

    The camera, a Kowa VX-10 alpha, has a field of view of 50 degrees (Porwal et al. 2018), cut off
    above and below.

    Images: Porwal et al. 2018, doi:10.3390/data3030025, CC BY 4.0. Boxes: CODRAS, von Csefalvay
    2019, CC BY-SA 4.0. Indexing and iteration read one `BoxedPhotograph` each; a `DataLoader`
    gives lists of them.

    A folder of your own with the same classes is read alike, with `split="all"`: photographs of
    any kind that Pillow reads, each beside its text file. An empty text file is a photograph
    without a box. Other files are named in a warning.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `IDRiD_boxes` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.
    field_angle : float or mapping of str to float, optional
        Width of the field of view in degrees, of all photographs or by file name. The default is
        50, that of IDRiD's camera; None for photographs of a camera that you do not know.

    Raises
    ------
    DatasetError
        If the folder, a photograph or a file of boxes is missing; indexing raises it for damaged
        files.
    ValueError
        If `split` has another value, or an angle is missing or none.

    Examples
    --------
    >>> from retina_course import IDRiDBoxes
    >>> for photograph in IDRiDBoxes("IDRiD_boxes", split="test"):  # doctest: +SKIP
    ...     print(photograph.name, photograph.image.shape, photograph.labels.tolist())
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        field_angle: float | Mapping[str, float] | None = FIELD_ANGLE,
    ) -> None:
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
        if not self.root.is_dir():
            raise DatasetError(f"There are no photographs: {root} is not a folder. {SOURCE}")
        images, others = scan(self.root)
        texts = {key(path.stem): path for path in others if path.suffix.lower() == ".txt"}
        if not images:
            raise DatasetError(f"There are no photographs in {self.root}. {SOURCE}")
        missing = [f"{stem(path)}.txt" for name, path in images.items() if name not in texts]
        lonely = [path for name, path in texts.items() if name not in images and _has_boxes(path)]
        missing += [f"{path.stem}.jpg, for {path.name}" for path in lonely]
        if missing:
            where = f"IDRiD_boxes in {self.root}"
            raise DatasetError(missing_files_message(where, missing, SOURCE))
        used = [texts[name] for name in images]
        warn_of_left_out(self.root, [path for path in others if path not in used])
        pairs = list(zip(images.values(), used, strict=True))
        order = np.random.Generator(np.random.PCG64(SPLIT_SEED)).random(len(pairs)).argsort()
        held_out = set(order[: round(len(pairs) * TEST_IMAGES / 240)].tolist())
        self.texts = {
            image: text
            for i, (image, text) in enumerate(pairs)
            if split == "all" or (i in held_out) == (split == "test")
        }
        self.files = list(self.texts)
        self.field_angles: list[float | None] = [None] * len(self.files)
        if field_angle is not None:
            self.set_field_angles(field_angle)

    def set_field_angles(self, angles: float | Mapping[str, float]) -> list[str]:
        """Say how wide the fields of view are, see `Photographs.set_field_angles`.

        Parameters
        ----------
        angles : float or mapping of str to float
            Degrees, for all photographs or by file name, see `field_angles_of`.

        Returns
        -------
        list of str
            The names in `angles` that belong to none of the photographs.

        Raises
        ------
        ValueError
            A photograph has no angle, or an angle is none.
        """
        degrees, unused = field_angles_of(self.files, angles)
        self.field_angles = [*degrees]
        return unused

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[BoxedPhotograph]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> BoxedPhotograph:
        path = self.files[index]
        image = read_rgb(path)
        height, width, _ = image.shape
        boxes, labels = read_boxes(self.texts[path], (height, width))
        name = printable(stem(path))
        return BoxedPhotograph(name, image, boxes, labels, self.field_angles[index])

    def digest(self) -> str:
        """Compute the SHA-256 of the names and bytes of all files of this split.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        lines = [
            f"{file_digest(path)}  {path.name}\n" for pair in self.texts.items() for path in pair
        ]
        return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()

    def image_digests(self) -> dict[str, str]:
        """Compute the SHA-256 of the bytes of each photograph, without its boxes.

        Returns
        -------
        dict of str to str
            64 hexadecimal digits for each name.
        """
        return {printable(stem(path)): file_digest(path) for path in self.files}


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
        If the file is not a text in UTF-8, or a line is not a box; the message names it.

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
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin with a mark
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not a text in UTF-8: save it as such. {SOURCE}") from None
    for number, line in enumerate(text.splitlines(), start=1):
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


def _has_boxes(path: Path) -> bool:
    """True for a text file whose lines are boxes, false for notes."""
    try:
        return len(read_boxes(path, (1, 1))[0]) > 0
    except DatasetError:
        return False


default_collate_fn_map[BoxedPhotograph] = list_batch
