"""The base of all datasets of photographs: records of files, reading, checks, splits.

A dataset lists its files when it is opened, and reads a photograph when it is indexed. Masks are
checked here, once, and returned as `bool`, so losses and metrics need not check them again.
Nothing is downloaded here (see `download.py`).
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset

from retina_course.data.reading import (
    DatasetError,
    field_of_view,
    missing_files_message,
    read_mask,
    read_rgb,
)

SPLITS = ("train", "test", "all")


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph with its ground truth.

    Parameters
    ----------
    name : str
        Name of the photograph in its dataset.
    patient : str
        The patient; a split keeps all photographs of a patient on one side.
    image : ndarray of uint8
        RGB, `(H, W, 3)`.
    ground_truth : ndarray of bool
        The vessels that the first observer labelled, `(H, W)`.
    fov : ndarray of bool
        The field of view, `(H, W)`.
    second_observer : ndarray of bool, optional
        The vessels that a second observer labelled, `(H, W)`; None where there is not one.
    """

    name: str
    patient: str
    image: NDArray[np.uint8]
    ground_truth: NDArray[np.bool_]
    fov: NDArray[np.bool_]
    second_observer: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Record:
    """The files of one photograph.

    Parameters
    ----------
    name : str
        Name of the photograph.
    patient : str
        The patient.
    split : str
        The split to which the photograph belongs: "train", "test", or "all" if there is no split.
    image, ground_truth : Path
        The photograph, and the vessels that the first observer labelled.
    second_observer, fov : Path, optional
        Mask of the second observer and of the field of view; None if the dataset has no such file.
    """

    name: str
    patient: str
    split: str
    image: Path
    ground_truth: Path
    second_observer: Path | None = None
    fov: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that there are, in the order of the fields."""
        files = (self.image, self.ground_truth, self.second_observer, self.fov)
        return [file for file in files if file is not None]


def split_by_patient(
    dataset: "Photographs", held_out: Collection[str]
) -> tuple[Subset[Photograph], Subset[Photograph]]:
    """Split a dataset into training and validation photographs, by patient.

    The two eyes of a patient look alike. All photographs of a patient therefore stay on one side.

    Parameters
    ----------
    dataset : Photographs
        A dataset of photographs, such as `ChaseDB1`.
    held_out : collection of str
        The patients of the validation set.

    Returns
    -------
    training : Subset
        The photographs of all other patients.
    validation : Subset
        The photographs of the patients in `held_out`.

    Raises
    ------
    ValueError
        If the dataset does not have one of these patients.

    Examples
    --------
    >>> from retina_course import ChaseDB1
    >>> training, validation = split_by_patient(ChaseDB1(), ["04"])  # doctest: +SKIP
    """
    unknown = sorted(set(held_out) - set(dataset.patients))
    if unknown:
        known = ", ".join(sorted(set(dataset.patients)))
        raise ValueError(f"No patient {', '.join(unknown)} in this dataset, which has {known}.")
    indexed = list(enumerate(dataset.patients))
    rest = [i for i, patient in indexed if patient not in held_out]
    return Subset(dataset, rest), Subset(dataset, [i for i, p in indexed if p in held_out])


class Photographs(Dataset[Photograph]):
    """Base class of the datasets: `len`, indexing and iteration read one `Photograph` each.

    A subclass sets `root` and `records`. Indexing raises `DatasetError` if a file is damaged, or
    a mask and its image differ in size.

    Attributes
    ----------
    root : Path
        The dataset's folder.
    records : list of Record
        The files of each photograph.
    """

    root: Path
    records: list[Record]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Photograph]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Photograph:
        record = self.records[index]
        image = read_rgb(record.image)
        masks = {"ground_truth": read_mask(record.ground_truth)}
        if record.second_observer is not None:
            masks["second_observer"] = read_mask(record.second_observer)
        if record.fov is not None:
            masks["fov"] = read_mask(record.fov, may_be_full=True)
        for kind, mask in masks.items():
            if mask.shape != image.shape[:2]:
                raise DatasetError(
                    f"{getattr(record, kind)} is {_size(mask)}, but its image {record.image} is "
                    f"{_size(image)} (width x height). Provide both in the same size, as published."
                )
        if record.fov is None:
            try:
                masks["fov"] = field_of_view(image)
            except ValueError as problem:
                raise DatasetError(f"{record.image}: {problem} Replace the file.") from problem
        return Photograph(record.name, record.patient, image, **masks)

    @property
    def patients(self) -> list[str]:
        """The patient of each photograph, in order; no file is read."""
        return [record.patient for record in self.records]

    def digest(self) -> str:
        """Compute the SHA-256 of the names and bytes of all files of this split.

        Returns
        -------
        str
            64 hexadecimal digits; names are relative to the root.
        """
        of_files = {
            path.relative_to(self.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for record in self.records
            for path in record.files
        }
        lines = [f"{of_files[name]}  {name}\n" for name in sorted(of_files)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class PublishedPhotographs(Photographs):
    """Base class of the public datasets, which are read in the layout of their owners.

    File names match in any case, also with `.gz` at their end.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder. The default is the folder that the class attribute `folder` names,
        in the folder of the environment variable `RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or some of its files are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.
    """

    folder = ""
    source = ""

    def __init__(self, root: str | os.PathLike[str] | None = None, split: str = "train") -> None:
        if split not in SPLITS:
            raise ValueError(
                f"Expected split to be one of {', '.join(map(repr, SPLITS))}, got {split!r}."
            )
        self.split = split
        self.root = self._find_root(root)
        records = self._resolve(list(self._layout()))
        self.records = [record for record in records if split in (record.split, "all")]

    def _layout(self) -> Iterator[Record]:
        """The records with the published paths, relative to the root."""
        raise NotImplementedError

    def _find_root(self, root: str | os.PathLike[str] | None) -> Path:
        """The dataset's folder, which exists."""
        if root is None and not os.environ.get("RETINA_COURSE_DATA"):
            raise DatasetError(
                f"Where is {self.folder}? Give its folder (root=...), or set RETINA_COURSE_DATA to "
                f"the folder that holds {self.folder}. {self.source}"
            )
        found = Path(os.environ["RETINA_COURSE_DATA"], self.folder) if root is None else Path(root)
        if not found.is_dir():
            raise DatasetError(f"There is no folder {found} with {self.folder}. {self.source}")
        return found

    def _resolve(self, records: list[Record]) -> list[Record]:
        """The same records with the paths of the files as they are on the disk."""
        parents = {path.parent for record in records for path in record.files}
        present = {
            (parent / file.name.lower()): file
            for parent in parents
            if (self.root / parent).is_dir()
            for file in sorted((self.root / parent).iterdir())
        }
        problems: list[str] = []

        def find(path: Path) -> Path:
            lower = path.with_name(path.name.lower())
            found = present.get(lower) or present.get(lower.with_name(lower.name + ".gz"))
            if found is None:
                problems.append(path.as_posix())
            elif found.stat().st_size == 0:
                problems.append(f"{path.as_posix()} (an empty file)")
            return found or path

        resolved = [
            replace(
                record,
                image=find(record.image),
                ground_truth=find(record.ground_truth),
                second_observer=record.second_observer and find(record.second_observer),
                fov=record.fov and find(record.fov),
            )
            for record in records
        ]
        if problems:
            where = f"{self.folder} in {self.root}"
            raise DatasetError(missing_files_message(where, problems, self._advice(problems)))
        return resolved

    def _advice(self, problems: list[str]) -> str:
        """What to do about these missing files: the end of the error message."""
        return self.source


def _size(pixels: np.ndarray) -> str:
    """Width x height as text."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
