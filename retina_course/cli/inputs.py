"""What the commands are given: datasets by name or folder, weights, thresholds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retina_course.data import datasets
from retina_course.data.photographs import Photographs, PublishedPhotographs
from retina_course.models import DETECTORS

SETS: dict[str, type[PublishedPhotographs]] = {
    "chase_db1": datasets.ChaseDB1,
    "hrf": datasets.HRF,
    "stare": datasets.STARE,
    "drive": datasets.DRIVE,
}


def open_data(data: str, split: str) -> Photographs:
    """A dataset by name, or from a folder.

    Parameters
    ----------
    data : str
        A name in `SETS`, in any case, for the folder in `$RETINA_COURSE_DATA`; the folder of such
        a set under its own name; or a folder with images/ and masks/.
    split : str
        "train", "test" or "all", of a published dataset. Other folders are used whole.

    Returns
    -------
    Photographs
        The dataset; no photograph has been read yet.
    """
    if data.lower() in SETS and not Path(data).is_dir():
        return SETS[data.lower()](split=split)
    known = SETS.get(Path(data).resolve().name.lower())
    return known(data, split=split) if known else datasets.ImageFolder(data)


def choose_threshold(given: float | None, card: Mapping[str, Any]) -> float:
    """The threshold that the user gives, else the card's.

    Parameters
    ----------
    given : float or None
        The option `--threshold`.
    card : mapping
        The card of the weights.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        Neither gives one.
    """
    chosen = card.get("threshold") if given is None else given
    if chosen is None:
        raise ValueError("The weights' card gives no threshold: say --threshold, e.g. 0.5.")
    return chosen


def refuse_detector(card: Mapping[str, Any], weights: str) -> None:
    """Refuse the weights of a detector: its outputs are not a vessel map.

    Parameters
    ----------
    card : mapping
        The card of the weights.
    weights : str
        Their name or path, for the message.

    Raises
    ------
    ValueError
        The card is that of a detector.
    """
    if card["model"] in DETECTORS:
        raise ValueError(f"{weights} finds boxes, not vessels: see retina-course detect.")
