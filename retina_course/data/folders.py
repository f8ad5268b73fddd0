"""The image files of a folder, by name: each is used, or named in an error or a warning."""

import functools
import os
import unicodedata
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from retina_course.data.image_files import PHOTO_ENDINGS, ImageWarning, is_photograph
from retina_course.data.reading import MAX_LISTED, DatasetError


def scan(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Sort the entries of a folder into images and others.

    What an image is, says `is_photograph`. A hidden image is an "other"; what else is hidden is
    not returned.

    Parameters
    ----------
    folder : Path
        A folder, which exists.

    Returns
    -------
    images : dict of str to Path
        The image files by their `key`, in the order of their names.
    others : list of Path
        Folders and all other files.

    Raises
    ------
    DatasetError
        If two images have the same name except for its ending or its case.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     Image.new("L", (2, 2)).save(Path(name, "Eye1.png"))
    ...     _ = Path(name, "notes.txt").write_text("mine")
    ...     images, others = scan(Path(name))
    >>> list(images), [path.name for path in others]
    (['eye1'], ['notes.txt'])
    """
    images: dict[str, Path] = {}
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        is_hidden, is_image = path.name.startswith("."), not path.is_dir() and is_photograph(path)
        if is_image and not is_hidden:
            first = images.setdefault(key(stem(path)), path)
            if first is not path:
                raise DatasetError(f"{first} and {path} have the same name. Keep one of them.")
        elif is_image and not path.name.startswith("._") or not is_hidden:  # "._": macOS's notes
            others.append(path)
    return images, others


def stem(path: Path) -> str:
    """The name of an image file without the ending of its format.

    Parameters
    ----------
    path : Path
        The file; it is not read.

    Returns
    -------
    str
        The name; what looks like an ending, but is that of no format, belongs to it.

    Examples
    --------
    >>> stem(Path("im0001.ppm.gz")), stem(Path("visit.2"))
    ('im0001', 'visit.2')
    """
    name = path.name.removesuffix(".gz")
    beginning, ending = os.path.splitext(name)
    return beginning if ending.lower() in _endings() else name


def key(name: str) -> str:
    """What two names have in common that differ in case, or in the bytes of an accent.

    Parameters
    ----------
    name : str
        A file's name, or a part of it.

    Returns
    -------
    str
        The name in lower case and Unicode's composed form.

    Examples
    --------
    >>> key("EYE1"), key("Gru\u0308n") == key("gr\u00fcn")
    ('eye1', True)
    """
    return unicodedata.normalize("NFC", name).casefold()


def warn_of_left_out(folder: Path, others: Iterable[Path]) -> None:
    """Warn of the entries of a folder that are not read.

    Parameters
    ----------
    folder : Path
        The folder.
    others : iterable of Path
        The entries; without any, there is no warning.
    """
    named = [
        f"{path.name}/ (a folder; move its files into {folder.name}/)"
        if path.is_dir()
        else f"{path.name} ({'hidden' if path.name.startswith('.') else 'not an image'})"
        for path in others
    ]
    if named:
        more = f" and {len(named) - MAX_LISTED} more" if len(named) > MAX_LISTED else ""
        text = f"Left out of {folder}: {', '.join(named[:MAX_LISTED])}{more}."
        warnings.warn(text, ImageWarning, stacklevel=3)


@functools.cache
def _endings() -> frozenset[str]:
    """The endings of the formats that Pillow reads, in lower case."""
    kinds = Image.registered_extensions()
    return PHOTO_ENDINGS | {ending for ending, kind in kinds.items() if kind in Image.OPEN}
