"""FIVES: the largest public set of photographs with a ground truth of vessels."""

from collections.abc import Iterator
from pathlib import Path

from retina_course.data.photographs import Record
from retina_course.data.published import PublishedPhotographs


class FIVES(PublishedPhotographs):
    """FIVES: 800 photographs of 2048x2048 pixels of three diseases and of normal eyes.

    The splits are the official ones: 600 photographs are "train", 200 "test". The last letter of a
    name is the condition: A age-related macular degeneration, D diabetic retinopathy, G glaucoma,
    N normal. Both halves count from 1; a name therefore begins with its half: "train_1_A". The
    dataset has no masks of the field of view; they are computed by `field_of_view`. It does not
    name the patients: two photographs of one patient may lie on both sides.

    The camera, a Topcon TRC-NW8, has a field of view of 50 degrees by the statement of third
    parties; we have not checked it in Jin et al.

    Jin et al. 2022, doi:10.1038/s41597-022-01564-3; CC BY 4.0 by the statement of third parties.

    Parameters
    ----------
    root : str or PathLike, optional
        The dataset's folder; the default is `FIVES` in `$RETINA_COURSE_DATA`.
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
    >>> from retina_course import FIVES
    >>> photographs = FIVES(split="test")  # doctest: +SKIP
    """

    folder = "FIVES"
    field_angle = 50.0
    source = (
        "Provide the folder as published: train/ (600) and test/ (200), each with Original/ and "
        "Ground truth/."
    )

    def _layout(self) -> Iterator[Record]:
        for split, count in (("train", 600), ("test", 200)):
            # The number does not say the condition: the files do.
            found = {p.stem.split("_")[0]: p.name for p in self.root.glob(f"{split}/*/*_?.*")}
            for number in range(1, count + 1):
                file = found.get(str(number), f"{number}_?.png")
                name = f"{split}_{Path(file).stem}"
                yield Record(
                    name,
                    patient=name,
                    split=split,
                    image=Path(f"{split}/Original/{file}"),
                    ground_truth=Path(f"{split}/Ground truth/{file}"),
                )
