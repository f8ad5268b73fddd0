"""The optic disc of each photograph, from a table."""

import csv
from pathlib import Path

from retina_course.measurement.measure import Disc

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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if not set(COLUMNS) <= set(header):
                raise ValueError(
                    f"{path} has the columns {', '.join(header) or 'none'}; expected "
                    f"{', '.join(COLUMNS)}, separated by commas."
                )
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                try:
                    x, y, diameter = (float(row[column]) for column in COLUMNS[1:])
                except (TypeError, ValueError):
                    raise ValueError(f"{where}: expected three numbers in pixels.") from None
                if not diameter > 0 or row["file"] in discs:
                    raise ValueError(f"{where}: a diameter above 0, and one line for each file.")
                discs[row["file"]] = Disc(x, y, diameter)
    except (OSError, UnicodeError, csv.Error) as problem:
        raise ValueError(f"{path} cannot be read as a table of discs: {problem}") from problem
    return discs
