"""What stands in this folder: JSON with provenance, and images."""

import json
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.display import Image

_FOLDER = files(__package__)


def read(name: str) -> dict:
    """The stored result `name` (without `.json`).

    Raises
    ------
    ValueError : no such result; the message lists those that exist.
    """
    return json.loads(_file(f"{name}.json").read_text(encoding="utf-8"))


def read_all(ending: str, folder: str = "") -> list[dict]:
    """All stored results whose file names end so, by name; none where there is no such folder."""
    place = _FOLDER / folder
    found = sorted(place.iterdir(), key=lambda f: f.name) if place.is_dir() else []
    return [json.loads(f.read_text(encoding="utf-8")) for f in found if f.name.endswith(ending)]


def image(name: str) -> "Image":
    """A stored image, e.g. "unet_small_chase_db1_errors.jpg", to end a notebook cell with.

    Raises
    ------
    ValueError : no such image; the message lists those that exist.
    """
    from IPython.display import Image  # there in every notebook; the package needs it nowhere else

    return Image(data=_file(name).read_bytes())


def by_device(name: str) -> dict[str, dict]:
    """What stands in the folder `name`, one file a device: {device: content}, by device.

    Raises
    ------
    ValueError : no such folder, or an empty one.
    """
    contents = read_all(".json", name)
    if not contents:
        raise ValueError(f"Nothing is stored under {name!r} yet: benchmarks/{name}.py writes it.")
    return {content["device"]: content for content in contents}


def _file(name: str):
    file = _FOLDER / name
    ending = name[name.rfind(".") :]
    names = sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(ending))
    if name not in names:
        raise ValueError(
            f"No stored result {name.removesuffix('.json')!r}. "
            f"Available: {', '.join(n.removesuffix('.json') for n in names) or 'none'}."
        )
    return file
