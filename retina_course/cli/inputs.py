"""What the commands are given: datasets by name or folder, weights, thresholds."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retina_course.data import datasets
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.photographs import Photographs
from retina_course.data.published import PublishedPhotographs
from retina_course.models import DETECTORS

SETS: dict[str, type[PublishedPhotographs]] = {
    "chase_db1": datasets.ChaseDB1,
    "hrf": datasets.HRF,
    "stare": datasets.STARE,
    "drive": datasets.DRIVE,
    "fives": datasets.FIVES,
}
BOXES = "idrid_boxes"


def open_data(data: str, split: str, vessels: str | None = None) -> Photographs:
    """A dataset of photographs with vessels, by name, or from a folder.

    Parameters
    ----------
    data : str
        A name in `SETS`, in any case, for the folder in `$RETINA_COURSE_DATA`; the folder of such
        a set under its own name; or a folder with images/ and masks/.
    split : str
        "train", "test" or "all", of a published dataset. Other folders are used whole.
    vessels : {"white", "black"}, optional
        See `ImageFolder`.

    Returns
    -------
    Photographs
        The dataset; no photograph has been read yet.

    Raises
    ------
    ValueError
        There is no such dataset; a name that was perhaps meant is given.
    """
    folder = Path(data)
    if data.lower() in SETS and not folder.is_dir():
        dataset: Photographs = SETS[data.lower()](split=split)
    elif known := SETS.get(_own_name(data)):
        own = (folder / "masks").is_dir()  # somebody's own copy, in the form of an `ImageFolder`
        dataset = datasets.ImageFolder(data) if own else known(data, split=split)
    elif _own_name(data) == BOXES:
        raise ValueError(f"{data} has boxes, not vessels. Choose one of: {', '.join(SETS)}.")
    else:
        _check_folder(data, "images", [*SETS])
        dataset = datasets.ImageFolder(data)
    dataset.vessels = vessels
    return dataset


def open_boxes(data: str) -> IDRiDBoxes:
    """A dataset of photographs with boxes, by name, or from a folder.

    Parameters
    ----------
    data : str
        "idrid_boxes", in any case, for the folder in `$RETINA_COURSE_DATA`; this folder under its
        own name, of which the training split is used; or another folder of this form, used whole.

    Returns
    -------
    IDRiDBoxes
        The dataset; no photograph has been read yet.

    Raises
    ------
    ValueError
        There is no such dataset; a name that was perhaps meant is given.
    """
    if data.lower() == BOXES and not Path(data).is_dir():
        return IDRiDBoxes(split="train")
    if _own_name(data) in SETS:
        raise ValueError(f"{data} has vessels, not boxes: a detector learns from {BOXES}.")
    _check_folder(data, ".", [BOXES])
    if _own_name(data) == BOXES:
        return IDRiDBoxes(data, split="train")
    return IDRiDBoxes(data, split="all", field_angle=None)  # of a camera that is not known


def _own_name(data: str) -> str:
    """The name of a folder, in lower case."""
    return Path(data).resolve().name.lower()


def _check_folder(data: str, needed: str, names: list[str]) -> None:
    """Name the dataset that was perhaps meant, where a folder is not there, or not of this form."""
    if Path(data, needed).is_dir():
        return
    near = difflib.get_close_matches(_own_name(data), names, n=1)
    if not Path(data).is_dir():
        hint = f"Did you mean {near[0]}?" if near else f"Expected a folder or {', '.join(names)}."
        raise ValueError(f"There is no folder {data}. {hint}")
    if near:
        raise ValueError(
            f"{data} has no folder {needed}/. If it is the published set {near[0]}, give the "
            f"folder that set's own name, {SETS[near[0]].folder}."
        )


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


def refuse_segmentor(card: Mapping[str, Any], weights: str) -> None:
    """Refuse the weights of a network that finds vessels: its outputs are not boxes.

    Parameters
    ----------
    card : mapping
        The card of the weights.
    weights : str
        Their name or path, for the message.

    Raises
    ------
    ValueError
        The card is not that of a detector.
    """
    if card["model"] not in DETECTORS:
        raise ValueError(f"{weights} finds vessels, not boxes: see retina-course segment.")
