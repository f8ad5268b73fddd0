"""The table of a folder of results: `segment.csv` for example, one row per photograph."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from retina_course.cli.own_files import PROGRAM
from retina_course.data.reading import file_digest, printable

COLUMNS = (
    *("photograph", "output", "width", "height"),
    *("fov_pixels", "fov_diameter", "fov_fraction"),
    *("field_angle", "field_angle_is", "pixels_per_degree"),
)
# What a photograph is not looked at again for, if nothing of it has changed:
SETTINGS = (
    *("sha256", "weights_sha256", "threshold", "flips", "field_of_view", "field_angle_given"),
)
LAST = ("seconds", "weights", "warnings", "error")


class PhotoTable:
    """The rows that are in the file now, and the file with one more.

    It is read again for each row, so that a row which another process has added meanwhile, and a
    column of the user's own, are kept. Who writes it holds `alone_in` from the reading on.

    Parameters
    ----------
    path : Path
        The file; it may be absent.
    command : str
        "segment", "detect" or "measure"; see `own_files` for the mark.
    results : sequence of str
        The columns of the command's results.
    settings : sequence of str, optional
        Columns of the command's own settings, besides `SETTINGS`.
    """

    def __init__(
        self, path: Path, command: str, results: Sequence[str], settings: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.settings = (*SETTINGS, *settings)
        self.columns = [*COLUMNS, *results, *self.settings, *LAST, f"{PROGRAM}{command}"]

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether the file has a row of the same photograph with the same settings, done.

        Parameters
        ----------
        row : mapping
            By column; "output" and those in `SETTINGS` must be there.

        Returns
        -------
        bool
            False also where the row there tells of an error.

        Raises
        ------
        ValueError
            The file has become something else.
        """
        known = self._read()[1].get(str(row["output"]))
        same = known and all(known.get(column) == str(row[column]) for column in self.settings)
        return bool(same and known and not known.get("error"))

    def refuse_others(self, inputs: Sequence[tuple[Path, Path]]) -> None:
        """Refuse a photograph whose results would replace those of another one.

        Parameters
        ----------
        inputs : sequence of tuple
            The path of each photograph, and its place in the output folder.

        Raises
        ------
        ValueError
            The file has a row of another photograph for the same results.
        """
        rows = self._read()[1]
        for path, stem in inputs:
            known = rows.get(printable(stem.as_posix()), {})
            other, digest = known.get("photograph", ""), known.get("sha256")
            moved = os.path.abspath(other) != os.path.abspath(printable(str(path)))
            if digest and moved and path.exists() and file_digest(path) != digest:
                raise ValueError(
                    f"{self.path} has the results of another photograph {stem}, {other}. "
                    f"Give another output (-o) for {path}. Nothing was written."
                )

    def with_row(self, row: Mapping[str, object]) -> bytes:
        """The file with a row, in the place of the earlier row of the same output.

        Parameters
        ----------
        row : mapping
            By column; "output" must be there.

        Returns
        -------
        bytes
            The content of the file.

        Raises
        ------
        ValueError
            The file has become something else.
        """
        columns, rows = self._read()
        text = {name: "" if value is None else str(value) for name, value in row.items()}
        rows[text["output"]] = text
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        return buffer.getvalue().encode()

    def _read(self) -> tuple[list[str], dict[str, dict[str, str]]]:
        """The columns, with those that only the file has, and the rows."""
        if not self.path.exists():
            return self.columns, {}
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                found = [{k: v or "" for k, v in row.items() if k is not None} for row in reader]
                own = reader.fieldnames or []
                rows = {row["output"]: row for row in found}
        except (KeyError, UnicodeError, csv.Error) as error:
            raise ValueError(
                f"{self.path} is not a table of {self.columns[-1]} any more ({error!r}). Move it "
                "away, or give another output (-o)."
            ) from error
        return [*self.columns, *(name for name in own if name not in self.columns)], rows
