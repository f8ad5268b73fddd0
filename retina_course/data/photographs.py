"""The base of all datasets of photographs: records of files, reading, checks, splits.

A dataset lists its files when it is opened, and reads a photograph when it is indexed. Masks are
checked here, once, and returned as `bool`, so losses and metrics need not check them again.
Nothing is downloaded here (see `download.py`).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset
from torch.utils.data._utils.collate import default_collate_fn_map

from retina_course.data.field_angles import field_angles_of
from retina_course.data.reading import (
    DatasetError,
    field_of_view,
    file_digest,
    read_mask,
    read_rgb,
)

SPLITS = ("train", "test", "all")
VESSELS = ("white", "black")  # how masks may show them


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
    field_angle : float, optional
        Width of the whole field of view in degrees; None where it is not known.
    """

    name: str
    patient: str
    image: NDArray[np.uint8]
    ground_truth: NDArray[np.bool_]
    fov: NDArray[np.bool_]
    second_observer: NDArray[np.bool_] | None = None
    field_angle: float | None = None


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
    field_angle : float, optional
        Width of the whole field of view in degrees; None where it is not known.
    """

    name: str
    patient: str
    split: str
    image: Path
    ground_truth: Path
    second_observer: Path | None = None
    fov: Path | None = None
    field_angle: float | None = None

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


def list_batch(batch: list[Any], *, collate_fn_map: Any = None) -> list[Any]:
    """Leave a batch as it is: a `DataLoader` then gives lists, as photographs differ in size.

    Parameters
    ----------
    batch : list
        Photographs.
    collate_fn_map : object, optional
        What `torch.utils.data.default_collate` passes on; not used.

    Returns
    -------
    list
        `batch` itself.
    """
    return batch


class Photographs(Dataset[Photograph]):
    """Base class of the datasets: `len`, indexing and iteration read one `Photograph` each.

    A subclass sets `root` and `records`. Indexing raises `DatasetError` if a file is damaged, a
    mask and its image differ in size, or a mask seems to be inverted. A `DataLoader` gives lists
    of `Photograph`, as the sizes may differ.

    Attributes
    ----------
    root : Path
        The dataset's folder.
    records : list of Record
        The files of each photograph.
    vessels : str or None
        How the masks show vessels. None, the default: white, and at most half of the field of view.
    """

    root: Path
    records: list[Record]
    vessels: str | None = None

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
            masks["fov"] = read_mask(record.fov)
            if not masks["fov"].any():
                raise DatasetError(f"The field of view {record.fov} is empty. Replace the file.")
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
        for kind in ("ground_truth", "second_observer"):
            if kind in masks:
                path = getattr(record, kind)
                masks[kind] = _oriented(masks[kind], masks["fov"], self.vessels, path)
        return Photograph(
            record.name, record.patient, image, **masks, field_angle=record.field_angle
        )

    def set_field_angles(self, angles: float | Mapping[str, float]) -> list[str]:
        """Say how wide the fields of view are, where the dataset does not know it, or not rightly.

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
        degrees, unused = field_angles_of([r.image for r in self.records], angles)
        pairs = zip(self.records, degrees, strict=True)
        self.records = [replace(record, field_angle=angle) for record, angle in pairs]
        return unused

    @property
    def field_angles(self) -> list[float | None]:
        """The field angle of each photograph in degrees, in order; no file is read."""
        return [record.field_angle for record in self.records]

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
        digests = {
            path.relative_to(self.root).as_posix(): file_digest(path)
            for record in self.records
            for path in record.files
        }
        lines = [f"{digests[name]}  {name}\n" for name in sorted(digests)]
        return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()

    def image_digests(self) -> dict[str, str]:
        """Compute the SHA-256 of the bytes of each photograph, without its masks.

        Returns
        -------
        dict of str to str
            64 hexadecimal digits for each name.
        """
        return {record.name: file_digest(record.image) for record in self.records}


def _size(pixels: np.ndarray) -> str:
    """Width x height as text."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _oriented(
    mask: NDArray[np.bool_], fov: NDArray[np.bool_], vessels: str | None, path: Path
) -> NDArray[np.bool_]:
    """The mask with vessels True; an error where it may be the other way round."""
    if vessels == "black":
        mask = ~mask & fov
    share = mask[fov].mean()
    if share > 0.5 and vessels is None:
        raise DatasetError(
            f"{path} labels {share:.0%} of the field of view as vessel. If the masks show vessels "
            "in black, say vessels='black' (--vessels black); if this mask is right as it is, "
            "vessels='white'. Or are fov/ and masks/ mixed up?"
        )
    if share > 0.5 and vessels == "black":
        raise DatasetError(
            f"{path}, read as black vessels on white, labels {share:.0%} of the field of view as "
            "vessel. All masks of a folder must be alike."
        )
    return mask


default_collate_fn_map[Photograph] = list_batch
