"""The optic disc of each photograph, from a table."""

import math
from pathlib import Path

from retina_course.data.tables import read_table
from retina_course.measurement.equivalents import Disc

COLUMNS = ("file", "x", "y", "diameter")


def read_discs(path: Path) -> dict[str, Disc]:
    """Read a CSV file with the columns `file`, `x`, `y` and `diameter`, in pixels.

    Parameters
    ----------
    path : Path
        The file; other columns are not used.

    Returns
    -------
    dict of str to Disc
        By the name of the photograph's file.

    Raises
    ------
    ValueError
        The file cannot be read as such a table, or a line has no disc; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = "file,x,y,diameter\\neye.jpg,300,280,90\\n"
    ...     _ = Path(folder, "discs.csv").write_text(text)
    ...     read_discs(Path(folder, "discs.csv"))
    {'eye.jpg': Disc(x=300.0, y=280.0, diameter=90.0)}
    """
    discs: dict[str, Disc] = {}
    for where, row in read_table(path, COLUMNS, "discs"):
        try:
            x, y, diameter = (float(row[column]) for column in COLUMNS[1:])
        except (TypeError, ValueError):
            raise ValueError(f"{where}: expected three numbers in pixels.") from None
        if not row["file"] or row["file"] in discs:
            raise ValueError(f"{where}: expected one line for each file, with its name.")
        if not (math.isfinite(x) and math.isfinite(y) and 0 < diameter < math.inf):
            raise ValueError(f"{where}: expected finite numbers, and a diameter above 0.")
        discs[row["file"]] = Disc(x, y, diameter)
    return discs
