"""The datasets that the programs read, and the protocol's facts about them."""

import functools

from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.reading import DatasetError

DATASETS = {"CHASE_DB1": ChaseDB1, "HRF": HRF, "IDRiD_boxes": IDRiDBoxes}
CHASE_LICENCE = "CC BY 4.0, Fraz et al. 2012, Kingston University"


def digest(name: str) -> str:
    """SHA-256 of a whole dataset.

    Raises
    ------
    DatasetError : it is not in the folder RETINA_COURSE_DATA.
    """
    return DATASETS[name](split="all").digest()


@functools.cache
def digest_here(name: str) -> str | None:
    """`digest`, or None where the dataset is not here."""
    try:
        return digest(name)
    except DatasetError:
        return None


def chase_facts() -> dict:
    """What every result on CHASE_DB1 stores of its data."""
    return {"name": "CHASE_DB1", "digest": digest("CHASE_DB1"), "licence": CHASE_LICENCE}
