"""Fundus photographs with a ground truth of vessels: CHASE_DB1, HRF, STARE, DRIVE, FIVES, a folder.

Each class contains the file names of one dataset and its splits.
"""

from collections.abc import Iterator
from pathlib import Path

from retina_course.data.download import download_chase_db1
from retina_course.data.fives import FIVES
from retina_course.data.image_folder import ImageFolder
from retina_course.data.photographs import Photograph, Record, split_by_patient
from retina_course.data.published import PublishedPhotographs
from retina_course.data.reading import DatasetError, field_of_view

__all__ = [
    "DRIVE",
    "FIVES",
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


class ChaseDB1(PublishedPhotographs):
    """CHASE_DB1: 28 photographs of 999x960 pixels, both eyes of 14 children, two observers.

    The dataset has no official split. The most used one is taken: the first 8 photographs
    (children 01-04) are "train", the last 20 "test". It has no masks of the field of view; they
    are computed by `field_of_view`. It opens without the files of the second observer.

    The camera, a hand-held Nidek NM-200-D, has a field of view of 30 degrees (Fraz et al. 2012).

    Fraz et al. 2012, doi:10.1109/TBME.2012.2205687; CC BY 4.0; see `download_chase_db1`.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `CHASE_DB1` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or some files are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.

    Examples
    --------
    >>> from retina_course import ChaseDB1
    >>> for photograph in ChaseDB1(split="train"):  # doctest: +SKIP
    ...     print(photograph.name, photograph.patient, photograph.image.shape)
    """

    folder = "CHASE_DB1"
    field_angle = 30.0
    source = (
        "retina_course.data.datasets.download_chase_db1(folder) fetches the dataset "
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
    """HRF: 45 photographs of 3504x2336 pixels of diabetic retinopathy, glaucoma and healthy eyes.

    The numbers 01-05 of each group (dr, g, h) are "train" (15 photographs), the others "test"
    (30). The dataset has masks of the field of view.

    The camera, a Canon CF-60UVi, has a field of view of 60 degrees, cut off above and below. The
    angle is that which the papers that use the set repeat; we have not checked it in Budai et al.

    In the copy behind this course's results, the ground truth of 11_h, 12_h and 13_h (all "test")
    was derived from labels of arteries and veins. On the other 42 photographs this derivation
    differs from the published ground truth in 0 to 420 of 8.2 million pixels.

    Budai et al. 2013, doi:10.1155/2013/154860; CC BY 4.0 by the statement of third parties: confirm
    it with the owner before you hand the photographs on.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `HRF` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or some files are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.

    Examples
    --------
    >>> from retina_course import HRF
    >>> photographs = HRF(split="test")  # doctest: +SKIP
    """

    folder = "HRF"
    field_angle = 60.0
    source = "Provide the folder as published: images/, manual1/ and mask/, 45 files each."

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
    """STARE: 20 photographs of 700x605 pixels, two observers (AH and VK).

    The ground truth is by AH, the second observer is VK. The dataset has no official split: the
    first 10 photographs are "train", the last 10 "test". It has no masks of the field of view;
    they are computed by `field_of_view`. It opens without the files of the second observer.

    The camera, a Topcon TRV-50, has a field of view of 35 degrees (Hoover et al. 2000).

    Hoover et al. 2000, doi:10.1109/42.845178.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `STARE` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or some files are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.

    Examples
    --------
    >>> from retina_course import STARE
    >>> photographs = STARE(split="test")  # doctest: +SKIP
    """

    folder = "STARE"
    field_angle = 35.0
    source = (
        "Provide the folder as published: stare-images/, labels-ah/ and labels-vk/, 20 files each "
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
    """DRIVE: 40 photographs of 565x584 pixels, in the official halves.

    The photographs 21-40 are "train", 01-20 "test"; each half can be opened without the other.
    The dataset has masks of the field of view. A second observer is read from
    `test/2nd_manual`, if its files are there. The owner forbids copies by others, so get the
    dataset from the owner.

    The camera, a Canon CR5, has a field of view of 45 degrees (Staal et al. 2004).

    Staal et al. 2004, doi:10.1109/TMI.2004.825627.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `DRIVE` in `$RETINA_COURSE_DATA`.
    split : {"train", "test", "all"}, default "train"
        The split to list.

    Raises
    ------
    DatasetError
        If the folder or some files are missing; indexing raises it for damaged files.
    ValueError
        If `split` has another value.

    Examples
    --------
    >>> from retina_course import DRIVE
    >>> photographs = DRIVE(split="test")  # doctest: +SKIP
    """

    folder = "DRIVE"
    field_angle = 45.0
    source = "Provide the folder as published by its owner, with training/ and test/."

    def _layout(self) -> Iterator[Record]:
        halves = {"train": ("training", range(21, 41)), "test": ("test", range(1, 21))}
        for split, (half, numbers) in halves.items():
            for number in numbers:
                name = f"{number:02d}_{half}"
                yield Record(
                    name,
                    patient=f"{number:02d}",
                    split=split,
                    image=Path(f"{half}/images/{name}.tif"),
                    ground_truth=Path(f"{half}/1st_manual/{number:02d}_manual1.gif"),
                    second_observer=Path(f"{half}/2nd_manual/{number:02d}_manual2.gif"),
                    fov=Path(f"{half}/mask/{name}_mask.gif"),
                )

    def _advice(self, problems: list[str]) -> str:
        if any(problem.startswith("test/1st_manual") for problem in problems):
            return (
                "The official download may come without the labels of the test half: put them "
                "into test/1st_manual, or work with split='train'."
            )
        return self.source
