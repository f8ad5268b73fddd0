"""The base of the public datasets, which are read in the layout of their owners."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from retina_course.data.photographs import SPLITS, Photographs, Record
from retina_course.data.reading import DatasetError, missing_files_message


class PublishedPhotographs(Photographs):
    """Base class of the public datasets, which are read in the layout of their owners.

    File names match in any case, also with `.gz` at their end. Only the files of the split must be
    there. A second observer is optional, but complete: all of the files, or none.

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
    field_angle: float  # degrees, of the set's camera

    def __init__(self, root: str | os.PathLike[str] | None = None, split: str = "train") -> None:
        if split not in SPLITS:
            raise ValueError(
                f"Expected split to be one of {', '.join(map(repr, SPLITS))}, got {split!r}."
            )
        self.split = split
        self.root = self._find_root(root)
        self.records = self._resolve([r for r in self._layout() if split in (r.split, "all")])

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

        def look(path: Path) -> Path | None:
            lower = path.with_name(path.name.lower())
            return present.get(lower) or present.get(lower.with_name(lower.name + ".gz"))

        def find(path: Path) -> Path:
            found = look(path)
            if found is None:
                problems.append(path.as_posix())
            elif found.stat().st_size == 0:
                problems.append(f"{path.as_posix()} (an empty file)")
            return found or path

        seconds = [record.second_observer for record in records if record.second_observer]
        observed = {path.parent for path in seconds if look(path)}

        def find_second(path: Path | None) -> Path | None:
            return find(path) if path and path.parent in observed else None

        resolved = [
            replace(
                record,
                image=find(record.image),
                ground_truth=find(record.ground_truth),
                second_observer=find_second(record.second_observer),
                fov=record.fov and find(record.fov),
                field_angle=self.field_angle,
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
