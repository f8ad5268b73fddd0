"""Small synthetic photographs and masks in the layout of each published data set."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

from retina_course.data.datasets import DRIVE, FIVES, HRF, STARE, ChaseDB1

SIZE = (20, 24)  # height, width of the synthetic photographs


def save(path: Path, pixels: np.ndarray, **options) -> None:
    """Write an image in the format that its ending names, gzipped for `.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(stream, Image.registered_extensions()[Path(name).suffix.lower()], **options)
    content = stream.getvalue()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def photograph() -> np.ndarray:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[disk((10, 12), 9)] = (200, 90, 30)
    return image


def vessels(column: int = 12) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[4:16, column] = 255
    return mask


def disc() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[disk((10, 12), 8)] = 255
    return mask


def rgb(mask: np.ndarray) -> np.ndarray:
    return np.stack([mask] * 3, axis=2)


def make_chase(root: Path) -> Path:
    for child in range(1, 15):
        for eye in "LR":
            name = f"Image_{child:02d}{eye}"
            save(root / f"{name}.jpg", photograph())
            save(root / f"{name}_1stHO.png", vessels() > 0)
            save(root / f"{name}_2ndHO.png", vessels(column=13) > 0)
    return root


def make_hrf(root: Path) -> Path:
    for number in range(1, 16):
        for group, ending in (("dr", "JPG"), ("g", "jpg"), ("h", "jpg")):
            name = f"{number:02d}_{group}"
            save(root / f"images/{name}.{ending}", photograph())
            save(root / f"manual1/{name}.tif", vessels())
            save(root / f"mask/{name}_mask.tif", rgb(disc()))
    return root


def make_stare(root: Path, gz: str = "") -> Path:
    for number in STARE.numbers:
        name = f"im{number:04d}"
        save(root / f"stare-images/{name}.ppm{gz}", photograph())
        save(root / f"labels-ah/{name}.ah.ppm{gz}", vessels())
        save(root / f"labels-vk/{name}.vk.ppm{gz}", vessels(column=13))
    return root


def make_drive(root: Path) -> Path:
    for half, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            save(root / f"{half}/images/{number:02d}_{half}.tif", photograph())
            save(root / f"{half}/1st_manual/{number:02d}_manual1.gif", vessels())
            save(root / f"{half}/mask/{number:02d}_{half}_mask.gif", disc())
    return root


def make_fives(root: Path) -> Path:
    first = (root / "train/Original/1_A.png", root / "train/Ground truth/1_A.png")
    save(first[0], photograph())
    save(first[1], rgb(vessels()))
    content = [path.read_bytes() for path in first]
    for half, count in (("train", 600), ("test", 200)):
        for kind, one in zip(("Original", "Ground truth"), content, strict=True):
            (root / half / kind).mkdir(parents=True, exist_ok=True)
            for number in range(1, count + 1):
                condition = "ADGN"[4 * (number - 1) // count]
                (root / half / kind / f"{number}_{condition}.png").write_bytes(one)
    return root


def make_folder(root: Path) -> Path:
    save(root / "images/a.JPG", photograph())
    save(root / "images/b.png", photograph())
    save(root / "masks/a.png", vessels())
    save(root / "masks/b_mask.tif", vessels() // 255)
    return root


LAYOUTS = {
    ChaseDB1: make_chase,
    HRF: make_hrf,
    STARE: make_stare,
    DRIVE: make_drive,
    FIVES: make_fives,
}
published = pytest.mark.parametrize("loader", LAYOUTS, ids=lambda loader: loader.__name__)
