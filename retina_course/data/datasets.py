"""Fundus photographs with a ground truth of vessels: CHASE_DB1, HRF, STARE, DRIVE, a folder.

Each class says where the files of one data set lie, and which belong to which split.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from retina_course.data.download import download_chase_db1
from retina_course.data.photographs import (
    Photograph,
    Photographs,
    PublishedPhotographs,
    Record,
    incomplete,
    split_by_patient,
)
from retina_course.data.reading import DatasetError, field_of_view

__all__ = [
    "DRIVE",
    "HRF",
    "STARE",
    "ChaseDB1",
    "DatasetError",
    "ImageFolder",
    "Photograph",
    "download_chase_db1",
    "field_of_view",
    "split_by_patient",
]

ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp")


class ChaseDB1(PublishedPhotographs):
    """CHASE_DB1: both eyes of 14 children, 28 photographs of 999x960, two observers.

    The first 8 photographs (children 01-04) are "train", the last 20 "test"; the data set has no
    official split, and this one is the most used. No FOV masks come with it: computed. Fraz et
    al. 2012, doi:10.1109/TBME.2012.2205687; CC BY 4.0.
    """

    folder = "CHASE_DB1"
    source = (
        "retina_course.data.datasets.download_chase_db1(folder) fetches the data set "
        "(28 photographs, CC BY 4.0)."
    )

    def _layout(self) -> Iterator[Record]:
        for child in range(1, 15):
            for eye in "LR":
                name = f"Image_{child:02d}{eye}"
                yield Record(
                    name,
                    patient=f"{child:02d}",
                    split="train" if child <= 4 else "test",
                    image=Path(f"{name}.jpg"),
                    ground_truth=Path(f"{name}_1stHO.png"),
                    second_observer=Path(f"{name}_2ndHO.png"),
                )


class HRF(PublishedPhotographs):
    """HRF: 45 photographs of 3504x2336: diabetic retinopathy (dr), glaucoma (g), healthy (h).

    Numbers 01-05 of each are "train" (15), the others "test" (30). FOV masks come with it.
    Budai et al. 2013, doi:10.1155/2013/154860.
    """

    folder = "HRF"
    source = "Bring the folder as published: images/, manual1/ and mask/, 45 files each."

    def _layout(self) -> Iterator[Record]:
        for number in range(1, 16):
            for group in ("dr", "g", "h"):
                name = f"{number:02d}_{group}"
                yield Record(
                    name,
                    patient=name,
                    split="train" if number <= 5 else "test",
                    image=Path(f"images/{name}.jpg"),
                    ground_truth=Path(f"manual1/{name}.tif"),
                    fov=Path(f"mask/{name}_mask.tif"),
                )


class STARE(PublishedPhotographs):
    """STARE: 20 photographs of 700x605; ground truth by observer AH, second observer VK.

    The first 10 are "train", the last 10 "test" (there is no official split). No FOV masks come
    with it: computed. Hoover et al. 2000, doi:10.1109/42.845178.
    """

    folder = "STARE"
    source = (
        "Bring the folder as published: stare-images/, labels-ah/ and labels-vk/, 20 files each "
        "(.ppm or .ppm.gz)."
    )
    numbers = (
        *(1, 2, 3, 4, 5, 44, 77, 81, 82, 139),
        *(162, 163, 235, 236, 239, 240, 255, 291, 319, 324),
    )

    def _layout(self) -> Iterator[Record]:
        for position, number in enumerate(self.numbers):
            name = f"im{number:04d}"
            yield Record(
                name,
                patient=name,
                split="train" if position < 10 else "test",
                image=Path(f"stare-images/{name}.ppm"),
                ground_truth=Path(f"labels-ah/{name}.ah.ppm"),
                second_observer=Path(f"labels-vk/{name}.vk.ppm"),
            )


class DRIVE(PublishedPhotographs):
    """DRIVE: 40 photographs of 565x584, official halves: "train" 21-40, "test" 01-20.

    Each half can be opened without the other. FOV masks come with it; the second observer
    (test half only) is read where `test/2nd_manual` is there. Staal et al. 2004,
    doi:10.1109/TMI.2004.825627. Its owner forbids copies by others: get it from the owner.
    """

    folder = "DRIVE"
    source = "Bring the folder as published by its owner, with training/ and test/."

    def _layout(self) -> Iterator[Record]:
        halves = {"train": ("training", range(21, 41)), "test": ("test", range(1, 21))}
        for split, (half, numbers) in halves.items():
            if self.split not in (split, "all"):
                continue
            has_second = (self.root / half / "2nd_manual").is_dir()
            for number in numbers:
                name = f"{number:02d}_{half}"
                second = Path(f"{half}/2nd_manual/{number:02d}_manual2.gif")
                yield Record(
                    name,
                    patient=f"{number:02d}",
                    split=split,
                    image=Path(f"{half}/images/{name}.tif"),
                    ground_truth=Path(f"{half}/1st_manual/{number:02d}_manual1.gif"),
                    second_observer=second if has_second else None,
                    fov=Path(f"{half}/mask/{name}_mask.gif"),
                )

    def _advice(self, problems: list[str]) -> str:
        if any(problem.startswith("test/1st_manual") for problem in problems):
            return (
                "The official download may come without the labels of the test half: put them "
                "into test/1st_manual, or work with split='train'."
            )
        return self.source


class ImageFolder(Photographs):
    """A folder of one's own: `images/`, `masks/` and, optionally, `fov/`.

    The mask of `images/eye1.jpg` is a file `masks/eye1.*` or `masks/eye1_mask.*`, likewise in
    `fov/`; without `fov/` it is computed. `name` and `patient` are the file's stem. For a split,
    make two folders.

    Raises
    ------
    DatasetError : no images, or images without mask; later, when a damaged file is read.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        images, masks, fovs = (_by_stem(self.root / kind) for kind in ("images", "masks", "fov"))
        if not images:
            raise DatasetError(
                f"There are no images in {self.root / 'images'}. Expected {self.root} with images/ "
                "and masks/ (and, optionally, fov/)."
            )
        has_fov = (self.root / "fov").is_dir()
        wanted = {"masks": masks} | ({"fov": fovs} if has_fov else {})
        problems = [
            f"{kind}/{stem}.* or {kind}/{stem}_mask.*, for {image.name}"
            for stem, image in images.items()
            for kind, files in wanted.items()
            if _partner(files, stem) is None
        ]
        if problems:
            raise incomplete(str(self.root), problems, "Images and masks are matched by name.")
        self.records = [
            Record(stem, stem, "all", image, _partner(masks, stem), None, _partner(fovs, stem))
            for stem, image in images.items()
        ]


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without ending, sorted."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = path.name.removesuffix(".gz")
        stem, ending = os.path.splitext(name)
        if ending.lower() not in ENDINGS or name.startswith("."):
            continue
        if stem in found:
            raise DatasetError(f"{found[stem]} and {path} have the same name. Keep one of them.")
        found[stem] = path
    return found


def _partner(files: dict[str, Path], stem: str) -> Path | None:
    return files.get(stem) or files.get(f"{stem}_mask")
