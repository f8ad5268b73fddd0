"""Field angles: how many degrees wide the retina is that a photograph shows.

The field of view of a fundus camera is a disc; its diameter in degrees says how large a pixel is on
the retina, whatever the number of pixels. Cameras have 20 to 60 degrees, most of them 30, 45 or 50;
scanning ones up to 200.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from retina_course.data.folders import key
from retina_course.data.reading import MAX_LISTED
from retina_course.data.tables import read_table

WIDEST = 200.0  # degrees, the widest of the cameras that are sold
COLUMNS = ("file", "degrees")


def check_field_angle(angle: object) -> float:
    """A field angle, checked.

    Parameters
    ----------
    angle : object
        A number, or its text.

    Returns
    -------
    float
        Degrees, above 0 and at most `WIDEST`.

    Raises
    ------
    ValueError
        Anything else.

    Examples
    --------
    >>> check_field_angle("45")
    45.0
    """
    try:
        degrees = math.nan if isinstance(angle, bool) else float(angle)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        degrees = math.nan
    if not 0 < degrees <= WIDEST:
        raise ValueError(
            "Expected a field angle, the width of the field of view in degrees, above 0 and at "
            f"most {WIDEST:g} (fundus cameras: 20 to 60); got {angle!r}."
        )
    return degrees


def read_field_angles(path: Path) -> dict[str, float]:
    """Read a CSV file with the columns `file` and `degrees`.

    Parameters
    ----------
    path : Path
        The file; other columns are not used.

    Returns
    -------
    dict of str to float
        Degrees by the name of the photograph, as it stands there.

    Raises
    ------
    ValueError
        The file cannot be read as such a table, names a photograph twice, or gives something that
        is not an angle; the message names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "angles.csv").write_text("file,degrees\\nleft.jpg,45\\n")
    ...     read_field_angles(Path(folder, "angles.csv"))
    {'left.jpg': 45.0}
    """
    angles: dict[str, float] = {}
    for where, row in read_table(path, COLUMNS, "angles"):
        name = row["file"] or ""
        if not name or name in angles:
            raise ValueError(f"{where}: {f'{name} stands twice' if name else 'no file'}.")
        try:
            angles[name] = check_field_angle(row["degrees"])
        except ValueError as problem:
            raise ValueError(f"{where}, {name}: {problem}") from None
    return angles


def field_angles_of(
    files: Sequence[Path], angles: float | Mapping[str, float]
) -> tuple[list[float], list[str]]:
    """The field angle of each photograph: one for all, or by file name.

    Parameters
    ----------
    files : sequence of Path
        The photographs.
    angles : float or mapping of str to float
        Degrees; by name: "eye.jpg", or "visit2/eye.jpg" where folders hold files of one name. The
        longest name that fits counts; case does not.

    Returns
    -------
    degrees : list of float
        One angle per photograph.
    unused : list of str
        The names that belong to none of the photographs.

    Raises
    ------
    ValueError
        A photograph has no angle, or an angle is none (`check_field_angle`).

    Examples
    --------
    >>> field_angles_of([Path("a/eye.jpg")], {"eye.jpg": 45, "other.jpg": 50})
    ([45.0], ['other.jpg'])
    """
    if not isinstance(angles, Mapping):
        return [check_field_angle(angles)] * len(files), []
    by_end = {_parts(name): name for name in angles}
    found: list[str | None] = []
    for file in files:
        parts = _parts(str(file))
        ends = (parts[start:] for start in range(len(parts)))  # the longest first
        found.append(next((by_end[end] for end in ends if end in by_end), None))
    missing = [str(file) for file, name in zip(files, found, strict=True) if name is None]
    if missing:
        more = f" and {len(missing) - MAX_LISTED} more" if len(missing) > MAX_LISTED else ""
        raise ValueError(
            f"No field angle is given for {', '.join(missing[:MAX_LISTED])}{more}. Add a row with "
            "the file's name and the degrees for each."
        )
    degrees = [check_field_angle(angles[name]) for name in found if name is not None]
    return degrees, [name for name in angles if name not in found]


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the name of a file, as they are compared."""
    return PurePath(key(name).replace("\\", "/")).parts
