"""Photograph after photograph: what is done is skipped, what fails is named, the rest goes on.

The results of a photograph and its row of the table appear together. Where they cannot be written,
the batch stops: the next ones could not be written either.
"""

import hashlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retina_course import __version__
from retina_course.cli.field_angles import (
    Angle,
    FieldAngle,
    as_given,
    given_fact,
    look_at_disc,
    photograph_angles,
    scale_facts,
)
from retina_course.cli.found import Found
from retina_course.cli.listing import Photo, find_masks, left_out, list_photographs, same_results
from retina_course.cli.output import clear_up, make_folder, memory_errors, message
from retina_course.cli.own_files import PROGRAM, check_outputs, encode, mark_of
from retina_course.cli.photo_table import SETTINGS, PhotoTable
from retina_course.data.files import alone_in, write_together
from retina_course.data.image_files import ImageWarning
from retina_course.data.images import read_image
from retina_course.data.reading import file_digest, printable, read_mask
from retina_course.inference.field_of_view import as_fov, measured_diameter
from retina_course.inference.quality import photograph_warnings
from retina_course.inference.scale import SCALE_KEYS, describe_scale, used_field_angle

SHOWN = 12  # hexadecimal digits of a digest in the table


@dataclass(frozen=True)
class Batch:
    """One command, with its settings, for many photographs.

    Parameters
    ----------
    command : str
        "segment", "detect" or "measure".
    endings : sequence of str
        Of the result files.
    columns : sequence of str
        Of the results in the table.
    look : callable
        Takes the photograph's path, its pixels, its field of view and its field angle, and looks
        for something.
    card : mapping
        The network's card.
    settings : mapping
        The columns of the table that are the same for all photographs.
    output : Path
        Folder for the results; it is created if necessary.
    recursive : bool
        Look into the folders of folders.
    again : bool
        Compute also what is done.
    field_of_view : Path or None
        A mask, or a folder of masks; see `find_masks`.
    fov_diameter : float or None
        The diameter of the field of view in pixels of the photograph.
    field_angle : float, Path or None
        Its width in degrees, or a table; see `photograph_angles`.
    is_mask : callable
        Says of an image that it is a vessel map itself: its field of view is not looked for.
    table : Path, optional
        The table's file. Default: named like the command, in `output`.
    more_settings : mapping, optional
        Further settings of the command, by column.
    """

    command: str
    endings: Sequence[str]
    columns: Sequence[str]
    look: Callable[[Path, Tensor, Tensor, Angle], Found]
    card: Mapping[str, Any]
    settings: Mapping[str, object]
    output: Path
    recursive: bool
    again: bool
    field_of_view: Path | None
    fov_diameter: float | None
    field_angle: FieldAngle
    is_mask: Callable[[Tensor], bool] = lambda image: False
    table: Path | None = None
    more_settings: Mapping[str, object] = field(default_factory=dict)

    def run(self, given: Sequence[Path]) -> int:
        """Look at all photographs.

        Parameters
        ----------
        given : sequence of Path
            Files, folders and patterns.

        Returns
        -------
        int
            Exit code: 0, or 1 where a photograph failed.

        Raises
        ------
        ValueError
            There is no photograph, a mask or an angle is missing, or results cannot be written or
            would overwrite other files.
        """
        listing = list_photographs(given, self.recursive, masks=self.command == "measure")
        masks = find_masks(listing, self.field_of_view)
        if not listing.photos and not listing.unmatched:
            raise ValueError(" ".join([f"No photograph in {_names(given)}.", *left_out(listing)]))
        angles = photograph_angles([photo.path for photo in listing.photos], self.field_angle)
        problems = {f"No file matches {pattern}.": [pattern] for pattern in listing.unmatched}
        problems |= same_results(listing)
        photos = listing.photos
        file = self.table or self.output / f"{self.command}.csv"
        named = [(photo.path, photo.stem) for photo in photos]
        check_outputs(named, self.output, self.endings, self.command, file)
        table = PhotoTable(file, self.command, self.columns, tuple(self.more_settings))
        table.refuse_others(named)
        if self.field_angle is not None and used_field_angle(None, self.card) is None:
            text = "the weights' card gives no pixels_per_degree: --field-angle changes nothing"
            print(f"retina-course: warning: {text}", file=sys.stderr)
        folders = {(self.output / photo.stem).parent for photo in photos}
        for folder in sorted(folders | {file.parent} if photos else folders):
            make_folder(folder)
            clear_up(folder)
        failed = [name for names in problems.values() for name in names]
        count = len(failed) + len(photos)
        for problem in problems:
            _error(problem)
        for number, photo in enumerate(photos):
            try:
                if not self._one(photo, masks.get(photo.path), angles[photo.path], table):
                    failed.append(str(photo.path))
            except _CannotWrite as error:
                _error(str(error))
                rest = _names(photo.path for photo in photos[number:])
                print(f"retina-course: stopped; not done: {rest}", file=sys.stderr)
                return 1
        for line in left_out(listing):
            print(f"retina-course: {line}", file=sys.stderr)
        if failed:
            text = f"{len(failed)} of {count} photographs failed: {_names(failed)}"
            print(f"retina-course: {text}", file=sys.stderr)
        return 1 if failed else 0

    def _one(self, photo: Photo, mask: Path | None, angle: float | None, table: PhotoTable) -> bool:
        """Look at one photograph and write its results and its row; False where it failed."""
        started = time.perf_counter()
        row: dict[str, object] = {
            "photograph": printable(str(photo.path)),
            "output": printable(photo.stem.as_posix()),
            **self.settings,
            **self.more_settings,
            "field_angle_given": given_fact(angle, self.card),
            f"{PROGRAM}{self.command}": __version__,
        }
        files: dict[Path, bytes] = {}
        try:
            row |= {"sha256": file_digest(photo.path), "field_of_view": self._given(mask)}
            of_mask = row | dict.fromkeys(self.settings, "")  # before its pixels are read
            if not self.again and any(self._done(photo, one, table) for one in (row, of_mask)):
                print(f"{photo.path}: done before; --again computes it again", flush=True)
                return True
            with memory_errors():
                found = self._look(photo, mask, angle, row)
            for ending in self.endings:
                place = self._place(photo, ending)
                files[place] = encode(found.files[ending], ending, self._mark(row))
        except (ValueError, OSError, MemoryError) as error:
            absent = isinstance(error, FileNotFoundError)
            text = f"No image file {photo.path}." if absent else message(error)
            row["error"] = printable(text)
            _error(text if str(photo.path) in text else f"{photo.path}: {text}")
        seconds = time.perf_counter() - started
        row["seconds"] = f"{seconds:.2f}"
        try:
            with alone_in(table.path.parent):
                write_together({**files, table.path: table.with_row(row)})
        except (OSError, ValueError) as error:
            raise _CannotWrite(message(error)) from error
        if files:
            place = self._place(photo, "*")
            print(f"{photo.path}: {found.summary}, {seconds:.1f} s -> {place}", flush=True)
        return bool(files)

    def _look(
        self, photo: Photo, mask: Path | None, given_angle: float | None, row: dict[str, object]
    ) -> Found:
        """Read a photograph, look at it, and fill in the row."""
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always", ImageWarning)
            image = read_image(photo.path)
            given = None if mask is None else read_mask(mask)
        if given is not None and given.shape != image.shape[1:]:
            raise ValueError(
                f"the photograph is {image.shape[2]}x{image.shape[1]}, its mask {mask} "
                f"{given.shape[1]}x{given.shape[0]}. Give a mask of the same size."
            )
        is_mask = self.is_mask(image)
        whole = torch.ones(image.shape[1:], dtype=torch.bool) if is_mask else None
        fov = as_fov(whole if given is None else given, image)
        of_files = [str(note.message) for note in notes if note.category is ImageWarning]
        doubts = [text.removeprefix(f"{photo.path}: ") for text in of_files]
        angle = as_given(given_angle)
        if is_mask:
            row |= dict.fromkeys(self.settings, "")  # no network sees it
        else:
            of_field: dict[str, Any] = {"fov": fov, "fov_diameter": self.fov_diameter}
            angle, of_angle = look_at_disc(given_angle, self.card, image, **of_field)
            of_field |= {"fov_is_given": mask is not None, "field_angle": angle.degrees}
            doubts += of_angle + photograph_warnings(image, card=self.card, **of_field)
        found = self.look(photo.path, image, fov, angle)
        doubts += found.warnings
        doubts = list(dict.fromkeys(doubts))  # `measure` says the angle's again, in its flags
        for doubt in doubts:
            print(f"retina-course: warning: {photo.path}: {doubt}", file=sys.stderr)
        height, width = fov.shape
        diameter = self.fov_diameter or measured_diameter(fov)
        row |= {
            "width": width,
            "height": height,
            "fov_pixels": int(fov.sum()),
            "fov_diameter": f"{diameter:g}",
            "fov_fraction": f"{float(fov.float().mean()):.4f}",
            **scale_facts(diameter, angle, self.card),
            **found.values,
            "warnings": printable(" ".join(doubts)),
        }
        if is_mask:
            row["pixels_per_degree"] = ""  # of a network, too
            return found
        estimated = angle.source == "estimated"
        seen = describe_scale(diameter, angle.degrees, self.card, estimated=estimated)
        return replace(found, summary=f"{found.summary}; {seen}")

    def _done(self, photo: Photo, row: Mapping[str, object], table: PhotoTable) -> bool:
        """Whether the table and all files are those of this row."""
        mark, places = self._mark(row), (self._place(photo, ending) for ending in self.endings)
        return table.holds(row) and all(mark_of(place) == mark for place in places)

    def _given(self, mask: Path | None) -> str:
        """What the user says about the field of view, for the table."""
        parts = [] if mask is None else [f"mask {file_digest(mask)[:SHOWN]}"]
        parts += [] if self.fov_diameter is None else [f"diameter {self.fov_diameter:g}"]
        return ", ".join(parts) or "found"

    def _place(self, photo: Photo, ending: str) -> Path:
        return self.output / f"{photo.stem}_{ending}"

    def _mark(self, row: Mapping[str, object]) -> str:
        """The mark of the result files, see `own_files`."""
        of_card = [
            self.card.get(key) for key in ("fov_diameter", *SCALE_KEYS, "colours", "classes")
        ]
        settings = (*SETTINGS, *self.more_settings)
        text = repr([*(str(row[column]) for column in settings), *of_card])
        return f"{PROGRAM}{self.command} {hashlib.sha256(text.encode()).hexdigest()[:SHOWN]}"


class _CannotWrite(Exception):
    """The results of a photograph cannot be written."""


def _names(paths: Iterable[object]) -> str:
    return ", ".join(map(str, paths))


def _error(text: str) -> None:
    print(f"retina-course: error: {text}", file=sys.stderr)
