"""The stored results of this folder: JSON with provenance, and images."""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Image

_FOLDER = files(__package__)


def read(name: str) -> dict[str, Any]:
    """Read a stored result.

    Parameters
    ----------
    name : str
        File name without `.json`.

    Returns
    -------
    dict
        The content of the file.

    Raises
    ------
    ValueError
        If there is no such result; the message lists the results that exist.

    Examples
    --------
    >>> from retina_course import results
    >>> sorted(results.read("unet_small_chase_db1")["summary"])
    ['flips', 'no_flips']
    """
    return json.loads(_file(f"{name}.json").read_text(encoding="utf-8"))


def read_all(ending: str, folder: str = "") -> list[dict[str, Any]]:
    """Read all stored results whose file names have the same ending.

    Parameters
    ----------
    ending : str
        The end of the file names, with `.json`.
    folder : str, optional
        A folder beside this file; the default is the folder of this file.

    Returns
    -------
    list of dict
        The content of each file, sorted by file name; empty if the folder does not exist.

    Examples
    --------
    >>> sorted(result["model"]["name"] for result in read_all("_chase_db1.json"))[:2]
    ['linknet', 'retina_segmentor']
    """
    place = _FOLDER / folder
    found = sorted(place.iterdir(), key=lambda f: f.name) if place.is_dir() else []
    return [json.loads(f.read_text(encoding="utf-8")) for f in found if f.name.endswith(ending)]


def image(name: str) -> "Image":
    """Load a stored image, for the last line of a notebook cell.

    Parameters
    ----------
    name : str
        File name, e.g. "unet_small_chase_db1_errors.jpg".

    Returns
    -------
    IPython.display.Image
        The image, which a notebook displays.

    Raises
    ------
    ValueError
        If there is no such image; the message lists the images that exist.

    Examples
    --------
    >>> from retina_course import results
    >>> results.image("disc_edge.jpg").format
    'jpeg'
    """
    from IPython.display import Image  # every notebook has it; only this function needs it

    return Image(data=_file(name).read_bytes())


def by_device(name: str) -> dict[str, dict[str, Any]]:
    """Read a folder of stored results that has one file per device.

    Parameters
    ----------
    name : str
        Name of the folder, which is also the name of the benchmark program.

    Returns
    -------
    dict of dict
        The content of each file, by device.

    Raises
    ------
    ValueError
        If there is no such folder, or it is empty.

    Examples
    --------
    >>> from retina_course import results
    >>> all("device" in content for content in results.by_device("time_to_f1").values())
    True
    """
    contents = read_all(".json", name)
    if not contents:
        raise ValueError(
            f"Nothing is stored under {name!r} yet. The program {name}.py in benchmarks/ writes it."
        )
    return {content["device"]: content for content in contents}


def _file(name: str) -> Traversable:
    """A stored file, which exists."""
    file = _FOLDER / name
    ending = name[name.rfind(".") :]
    names = sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(ending))
    if name not in names:
        raise ValueError(
            f"No stored result {name.removesuffix('.json')!r}. "
            f"Available: {', '.join(n.removesuffix('.json') for n in names) or 'none'}."
        )
    return file
