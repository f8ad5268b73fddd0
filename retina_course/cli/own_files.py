"""The files that the photo commands write carry a mark, and no other file is ever replaced.

The mark, "retina-course segment KEY", is a PNG file's text "Software", a JPEG file's comment, and
"software" in a JSON file. A table has a column of that name. KEY stands for the photograph and all
settings, so that a result can be told from that of other settings.
"""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from retina_course.data.image_files import quietly

PROGRAM = "retina-course "
LONGEST_JPEG = 65500  # pixels
LONGEST_NAME = 255  # bytes, on all common file systems


def encode(content: np.ndarray | Mapping[str, Any], ending: str, mark: str) -> bytes:
    """The bytes of a result file with its mark.

    Parameters
    ----------
    content : ndarray or mapping
        Pixels for a PNG or JPEG file, a mapping for a JSON file.
    ending : str
        The end of the file's name: png, jpg or json.
    mark : str
        See the module.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        A side of a JPEG file would be too long.
    """
    if isinstance(content, Mapping):
        return (json.dumps({"software": mark, **content}, indent=1) + "\n").encode()
    buffer = io.BytesIO()
    if ending.endswith("jpg"):
        if max(content.shape) > LONGEST_JPEG:
            raise ValueError(f"The picture is too long for a JPEG file ({LONGEST_JPEG} pixels).")
        settings: dict[str, Any] = {"quality": 92, "subsampling": 0, "comment": mark}
    else:
        settings = {"pnginfo": PngImagePlugin.PngInfo()}
        settings["pnginfo"].add_text("Software", mark)
    image = Image.fromarray(content)
    image.save(buffer, "JPEG" if ending.endswith("jpg") else "PNG", **settings)
    return buffer.getvalue()


def mark_of(path: Path) -> str:
    """The mark of a file that a photo command made.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    str
        "retina-course segment KEY", of a table without the key; empty for every other file.
    """
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                header = next(csv.reader(file), [])
            found: Any = next((name for name in header if name.startswith(PROGRAM)), "")
        elif path.suffix == ".json":
            found = json.loads(path.read_bytes())["software"]
        elif path.suffix in (".png", ".jpg"):
            with quietly(), Image.open(path) as image:
                found = image.info.get("Software") or image.info.get("comment", b"")
        else:
            return ""
        found = found.decode() if isinstance(found, bytes) else found
        return found if isinstance(found, str) and found.startswith(PROGRAM) else ""
    except Exception:  # whatever it is, it is not ours
        return ""


def check_outputs(
    inputs: Sequence[tuple[Path, Path]],
    output: Path,
    endings: Sequence[str],
    command: str,
    table: Path | None = None,
) -> None:
    """Refuse, before anything is written, what would overwrite a file that is not a result.

    Parameters
    ----------
    inputs : sequence of tuple
        The path of each photograph, and its place in `output`.
    output : Path
        The folder for the results; it may be absent.
    endings : sequence of str
        What is written for each photograph: "vessels.png".
    command : str
        "segment", "detect" or "measure".
    table : Path, optional
        The table's file. Default: named like the command, in `output`.

    Raises
    ------
    ValueError
        A result would overwrite a photograph or a file that the command did not make, a name would
        be too long, or `output` is a file.
    """
    for folder in (output, *output.parents):
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise ValueError(
                f"{folder} is a file; results need a folder of this name. Give another output (-o)."
            )
    photographs = {_identity(path): path for path, _ in inputs if os.path.exists(path)}
    problems = []
    for path, stem in inputs:
        for result in (output / f"{stem}_{ending}" for ending in endings):
            if len(os.fsencode(result.name)) > LONGEST_NAME:
                raise ValueError(f"{path}: the name {result.name} would be too long. Rename it.")
            elif os.path.lexists(result):
                other = photographs.get(_identity(result)) if os.path.exists(result) else None
                if other:
                    problems.append(f"{other} (a photograph; by a result of {path})")
                elif not mark_of(result).startswith(f"{PROGRAM}{command} "):
                    problems.append(f"{result} (not made by retina-course {command})")
        place = output / stem.parent
        if os.path.lexists(place) and not os.path.isdir(place):
            problems.append(f"{place} (not a folder)")
    table = table or output / f"{command}.csv"
    if os.path.lexists(table) and mark_of(table) != f"{PROGRAM}{command}":
        problems.append(f"{table} (not made by retina-course {command})")
    if problems:
        raise ValueError(
            f"Results would overwrite {'; '.join(dict.fromkeys(problems))}. Nothing was written. "
            "Give another output (-o), or move these files away."
        )


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one file have in common, also through links."""
    status = path.stat()
    return status.st_dev, status.st_ino
