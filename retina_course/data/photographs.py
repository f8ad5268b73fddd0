"""What all loaders of photographs share: the records, the reading, the checks, the splits.

A loader lists its files when it is made, and reads a photograph when it is asked for it. Masks are
checked here, once, so that losses and metrics need not: what leaves this file is `bool`. Nothing
is downloaded here (see `download.py`).
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset, Subset

from retina_course.data.reading import DatasetError, field_of_view, read_mask, read_rgb

SPLITS = ("train", "test", "all")
LISTED = 10  # an error names so many missing files, and counts the rest


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph and what was drawn on it.

    `image` is uint8 RGB `(H, W, 3)`; `ground_truth` (the vessels), `fov` (field of view) and
    `second_observer` (None where there is none) are bool `(H, W)`. Splits go by `patient`.
    """

    name: str
    patient: str
    image: np.ndarray
    ground_truth: np.ndarray
    fov: np.ndarray
    second_observer: np.ndarray | None = None


@dataclass(frozen=True)
class Record:
    """The files of one photograph; a None is a file that the data set does not have."""

    name: str
    patient: str
    split: str
    image: Path
    ground_truth: Path
    second_observer: Path | None = None
    fov: Path | None = None

    @property
    def files(self) -> list[Path]:
        return [
            f
            for f in (self.image, self.ground_truth, self.second_observer, self.fov)
            if f is not None
        ]


def split_by_patient(dataset: "Photographs", held_out: Collection[str]) -> tuple[Subset, Subset]:
    """The photographs of all other patients, and those of `held_out` (for validation).

    Both eyes of a patient are alike, so they stay on one side:
    `train, validation = split_by_patient(ChaseDB1(), ["04"])`.

    Raises
    ------
    ValueError : a patient whom the data set does not have.
    """
    unknown = sorted(set(held_out) - set(dataset.patients))
    if unknown:
        known = ", ".join(sorted(set(dataset.patients)))
        raise ValueError(f"No patient {', '.join(unknown)} in this data set, which has {known}.")
    indexed = list(enumerate(dataset.patients))
    rest = [i for i, patient in indexed if patient not in held_out]
    return Subset(dataset, rest), Subset(dataset, [i for i, p in indexed if p in held_out])


class Photographs(Dataset):
    """What all loaders share: `len`, indexing (reads one `Photograph`), `patients`, `digest`."""

    root: Path
    records: list[Record]

    def __len__(self) -> int:
        return len(self.records)

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
                    f"{_size(image)}. Bring both in the same size, as published."
                )
        if record.fov is None:
            try:
                masks["fov"] = field_of_view(image)
            except ValueError as problem:
                raise DatasetError(f"{record.image}: {problem} Replace the file.") from problem
        return Photograph(record.name, record.patient, image, **masks)

    @property
    def patients(self) -> list[str]:
        """The patient of each photograph, in order; reads no file."""
        return [record.patient for record in self.records]

    def digest(self) -> str:
        """SHA-256 of the names (relative to the root) and bytes of all files of this split."""
        of_files = {
            path.relative_to(self.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for record in self.records
            for path in record.files
        }
        lines = [f"{of_files[name]}  {name}\n" for name in sorted(of_files)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class PublishedPhotographs(Photographs):
    """A public data set in the layout of its owners; names match in any case, also with `.gz`.

    Parameters
    ----------
    root : the data set's folder; by default the folder `folder` in `$RETINA_COURSE_DATA`.
    split : "train", "test" or "all".

    Raises
    ------
    DatasetError : no folder, or an incomplete one; later, when a damaged file is read.
    ValueError : another split.
    """

    folder = ""
    source = ""

    def __init__(self, root: str | os.PathLike | None = None, split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"Split {split!r} is none of {', '.join(map(repr, SPLITS))}.")
        self.split = split
        self.root = self._find_root(root)
        records = self._resolve(list(self._layout()))
        self.records = [record for record in records if split in (record.split, "all")]

    def _layout(self) -> Iterator[Record]:
        """The records with the published paths, relative to the root."""
        raise NotImplementedError

    def _find_root(self, root: str | os.PathLike | None) -> Path:
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
        """The same records with the paths of the files that lie there."""
        parents = {path.parent for record in records for path in record.files}
        present = {
            (parent / file.name.lower()): file
            for parent in parents
            if (self.root / parent).is_dir()
            for file in sorted((self.root / parent).iterdir())
        }
        problems = []

        def find(path: Path | None) -> Path | None:
            if path is None:
                return None
            lower = path.with_name(path.name.lower())
            found = present.get(lower) or present.get(lower.with_name(lower.name + ".gz"))
            if found is None:
                problems.append(path.as_posix())
            elif found.stat().st_size == 0:
                problems.append(f"{path.as_posix()} (an empty file)")
            return found

        kinds = ("image", "ground_truth", "second_observer", "fov")
        resolved = [
            Record(r.name, r.patient, r.split, *(find(getattr(r, kind)) for kind in kinds))
            for r in records
        ]
        if problems:
            raise incomplete(f"{self.folder} in {self.root}", problems, self._advice(problems))
        return resolved

    def _advice(self, problems: list[str]) -> str:
        return self.source


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def incomplete(what: str, problems: list[str], advice: str) -> DatasetError:
    """The one error for a folder that lacks files: names the first ones, says what to do."""
    shown = "\n".join(f"  {problem}" for problem in problems[:LISTED])
    more = f"\n  and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    return DatasetError(
        f"{what} is incomplete; {len(problems)} file(s) missing:\n{shown}{more}\n{advice}"
    )
