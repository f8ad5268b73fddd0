"""A CSV file with one line per photograph, line by line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_table(path: Path, columns: Sequence[str], what: str) -> Iterator[tuple[str, dict]]:
    """The lines of a CSV file that must have certain columns.

    Parameters
    ----------
    path : Path
        The file; other columns are not used.
    columns : sequence of str
        The columns that it needs.
    what : str
        What the file is, for the message: "angles".

    Yields
    ------
    str
        The file and the number of the line, for messages about it.
    dict
        The cells by column.

    Raises
    ------
    ValueError
        The file cannot be read as such a table, or lacks a column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("file,degrees\\nleft.jpg,45\\n")
    ...     [row["file"] for _, row in read_table(Path(folder, "a.csv"), ["file"], "names")]
    ['left.jpg']
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if not set(columns) <= set(header):
                raise ValueError(
                    f"{path} has the columns {', '.join(header) or 'none'}; expected "
                    f"{' and '.join(columns)}, separated by commas."
                )
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except (OSError, UnicodeError, csv.Error) as problem:
        raise ValueError(f"{path} cannot be read as a table of {what}: {problem}") from problem
