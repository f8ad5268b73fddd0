"""Photographs with labels of arteries and veins, in the colours of the published sets."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retina_course.data.image_files import is_photograph
from retina_course.data.reading import (
    DatasetError,
    field_of_view,
    missing_files_message,
    read_rgb,
)

NEAR = 64  # levels of 255 that a channel may be away from black or full
ADVICE = "Give the folder of the photographs and that of their labels, NAME.png or NAME_....png."


@dataclass(frozen=True, eq=False)
class ArteryVeinPhotograph:
    """One photograph with its arteries and veins.

    Parameters
    ----------
    name : str
        Name of the photograph's file, without its ending.
    image : ndarray of uint8
        RGB, `(H, W, 3)`.
    arteries, veins : ndarray of bool
        `(H, W)` each; a crossing belongs to both.
    unknown : ndarray of bool
        `(H, W)`, vessels whose kind the label leaves open.
    fov : ndarray of bool
        The field of view, `(H, W)`, see `field_of_view`.
    """

    name: str
    image: NDArray[np.uint8]
    arteries: NDArray[np.bool_]
    veins: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    fov: NDArray[np.bool_]


class ArteryVeinFolder(Sequence[ArteryVeinPhotograph]):
    """Photographs in one folder, and in another one the label of each in colours.

    Red is artery, blue vein, green a crossing of both, white a vessel of an unknown kind, black
    background. The labels of HRF (Hemelings et al. 2019, doi:10.1016/j.compmedimag.2019.05.004)
    and of DRIVE (RITE: Hu et al. 2013, doi:10.1007/978-3-642-40763-5_54) have these colours. The
    set is not part of the course and was not at hand: the loader is tested on small made files.

    Parameters
    ----------
    images : str or PathLike
        Folder with the photographs.
    labels : str or PathLike
        Folder with the labels. That of `01_dr.jpg` is `01_dr` with any ending, or begins with
        `01_dr_` and is not that of another photograph with a longer name.

    Raises
    ------
    DatasetError
        If a folder or a label is missing, or a photograph has two labels; indexing raises it for
        files that cannot be read, other colours, and labels of another size.

    Examples
    --------
    >>> folder = ArteryVeinFolder("HRF/images", "HRF/av")  # doctest: +SKIP
    """

    def __init__(self, images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> None:
        for folder in (images, labels):
            if not Path(folder).is_dir():
                raise DatasetError(f"There is no folder {folder}. {ADVICE}")
        photographs = sorted(path for path in Path(images).iterdir() if is_photograph(path))
        if not photographs:
            raise DatasetError(f"There is no photograph in {images}. {ADVICE}")
        drawn = sorted(path for path in Path(labels).iterdir() if is_photograph(path))
        best = {one: max(_fit(one, path) for path in photographs) for one in drawn}
        found = {
            path: [one for one in drawn if 0 < _fit(one, path) == best[one]] for path in photographs
        }
        if missing := [f"{path.stem}.png" for path, own in found.items() if not own]:
            raise DatasetError(
                missing_files_message(f"The folder of labels {labels}", missing, ADVICE)
            )
        for path, own in found.items():
            if len(own) > 1:
                names = ", ".join(one.name for one in own)
                raise DatasetError(f"{path.name} has {len(own)} labels: {names}. Leave one.")
        self.files = [(path, own[0]) for path, own in found.items()]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> ArteryVeinPhotograph:  # type: ignore[override]
        path, label = self.files[index]
        image, colours = read_rgb(path), read_rgb(label)
        if image.shape != colours.shape:
            raise DatasetError(
                f"{path} has {image.shape[1]}x{image.shape[0]} pixels, its label {label.name} "
                f"{colours.shape[1]}x{colours.shape[0]}. Expected the same size."
            )
        return ArteryVeinPhotograph(path.stem, image, *_kinds(colours, label), field_of_view(image))


def _fit(label: Path, photograph: Path) -> int:
    """How many letters of a label's name are the photograph's; 0 where it is not its label."""
    name, own = label.stem.lower(), photograph.stem.lower()
    return len(own) if name == own or name.startswith(own + "_") else 0


def _kinds(
    colours: NDArray[np.uint8], path: Path
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Arteries, veins and vessels of an unknown kind, by their colours."""
    red, green, blue = np.moveaxis(colours > 127, 2, 0)
    unclear = ((colours >= NEAR) & (colours <= 255 - NEAR)).any(axis=2)
    unclear |= red.astype(int) + green + blue == 2
    if unclear.any():
        y, x = np.argwhere(unclear)[0]
        raise DatasetError(
            f"{path} has {int(unclear.sum())} pixels of other colours, the first is "
            f"{tuple(colours[y, x].tolist())} at x={x}, y={y}. Expected black, red (artery), blue "
            "(vein), green (crossing) and white (unknown). Store it without lossy compression."
        )
    crossing, unknown = green & ~red, red & green
    return (red & ~green) | crossing, (blue & ~green) | crossing, unknown
