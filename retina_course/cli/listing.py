"""What the PHOTO arguments stand for: files, folders, patterns; and the mask of each photograph."""

import glob
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retina_course.cli.own_files import PROGRAM, mark_of
from retina_course.data.files import TEMPORARY
from retina_course.data.image_files import is_photograph

MAX_OWN = 10  # results of earlier runs that are named
MASK_NAMES = ("", "_mask", "_fov")  # what follows the photograph's name in that of its mask


@dataclass(frozen=True)
class Photo:
    """A photograph and its place in the output folder.

    Parameters
    ----------
    path : Path
        The image file.
    stem : Path
        Relative to the output folder, without the endings: "sub/eye".
    """

    path: Path
    stem: Path


@dataclass
class Listing:
    """What the PHOTO arguments stand for; every file of a folder is in one of the lists.

    Parameters
    ----------
    photos : list of Photo
        What is to be looked at; a file may be absent or damaged.
    unmatched : list of str
        Patterns that match no file.
    others : list of Path
        Files that are not images.
    own : list of Path
        Files that `retina-course` made.
    folders : list of Path
        Folders that were not looked into.
    """

    photos: list[Photo] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    own: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def list_photographs(given: Sequence[Path], recursive: bool, masks: bool = False) -> Listing:
    """Find out what the PHOTO arguments stand for.

    Parameters
    ----------
    given : sequence of Path
        Files, folders, and patterns with `*`, `?` or `[...]` that the shell did not expand.
    recursive : bool
        Look into the folders of folders.
    masks : bool, default False
        Vessel maps that `retina-course segment` made count as photographs, too.

    Returns
    -------
    Listing
        In the order of the arguments; inside a folder by name.
    """
    listing = Listing()
    for path in given:
        matches = [path]
        if glob.has_magic(str(path)) and not os.path.lexists(path):
            matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
            if not matches:
                listing.unmatched.append(str(path))
        for match in matches:
            if os.path.isdir(match):
                _look_into(match, Path(), recursive, listing, masks)
            elif mark_of(match) and not (masks and _is_vessel_map(match)):
                listing.own.append(match)
            else:
                listing.photos.append(Photo(match, Path(stem_of(match))))
    unique = {(os.path.abspath(photo.path), photo.stem): photo for photo in listing.photos}
    listing.photos = list(unique.values())
    return listing


def left_out(listing: Listing) -> list[str]:
    """What of the folders was not used.

    Parameters
    ----------
    listing : Listing
        What the arguments stand for.

    Returns
    -------
    list of str
        One line for each kind of file.
    """
    lines = []
    if listing.others:
        lines.append(f"not images, skipped: {_names(listing.others)}")
    if listing.own:
        more = len(listing.own) - MAX_OWN
        named = _names(listing.own[:MAX_OWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"made by retina-course, skipped: {named}")
    if listing.folders:
        lines.append(f"folders, not looked into without --recursive: {_names(listing.folders)}")
    return lines


def same_results(listing: Listing) -> dict[str, list[str]]:
    """Photographs that would write the same files; they are taken off the list of photographs.

    Parameters
    ----------
    listing : Listing
        The photographs.

    Returns
    -------
    dict of str to list of str
        For each such name, or for names that some systems take for one, a sentence that says what
        to do, and its photographs.
    """
    groups: dict[str, list[Photo]] = {}
    for photo in listing.photos:
        name = unicodedata.normalize("NFC", photo.stem.as_posix()).casefold()
        groups.setdefault(name, []).append(photo)
    listing.photos = [group[0] for group in groups.values() if len(group) == 1]
    found = {}
    for group in groups.values():
        if len(group) > 1:
            names = [str(photo.path) for photo in group]
            together = len({os.path.abspath(photo.path.parent) for photo in group}) < len(group)
            advice = "Rename one of them" if together else "Use an output folder for each"
            text = f"{', '.join(names[:-1])} and {names[-1]} would write the same files"
            found[f"{text}. {advice}; none of them was looked at."] = names
    return found


def stem_of(path: Path) -> str:
    """A file's name without the ending of its kind.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Its name, without ".gz" and an ending that begins with a letter: the numbers that DICOM
        files have for names stay as they are.

    Examples
    --------
    >>> stem_of(Path("a/im0001.PPM.gz")), stem_of(Path("1.2.840.5"))
    ('im0001', '1.2.840.5')
    """
    name = path.with_suffix("").name if path.suffix.lower() == ".gz" else path.name
    return re.sub(r"(?<=.)\.[A-Za-z][A-Za-z0-9]*$", "", name)


def find_masks(listing: Listing, given: Path | None) -> dict[Path, Path]:
    """The field-of-view mask of each photograph; masks are taken off the list of photographs.

    Parameters
    ----------
    listing : Listing
        The photographs.
    given : Path or None
        `--field-of-view`: a file, for all photographs, or a folder, with a mask for each: the mask
        of `eye.jpg` is `eye.png`, `eye_mask.png` or `eye_fov.png`, in any case and format.

    Returns
    -------
    dict of Path to Path
        By the photograph's path; empty where no mask is given.

    Raises
    ------
    ValueError
        There is no such file or folder, or a photograph has no mask or several.
    """
    if given is None:
        return {}
    if not given.exists():
        raise ValueError(f"There is no mask, nor a folder with masks, {given} (--field-of-view).")
    if given.is_file():
        masks = {photo.path: [given] for photo in listing.photos}
    else:
        masks = {photo.path: _masks_of(photo, given) for photo in listing.photos}
    used = {os.path.abspath(mask) for found in masks.values() for mask in found}
    listing.photos = [p for p in listing.photos if os.path.abspath(p.path) not in used]
    wrong = [str(p.path) for p in listing.photos if len(masks[p.path]) != 1]
    if wrong:
        raise ValueError(
            f"{given} does not hold one mask for each photograph (NAME, NAME_mask or NAME_fov). "
            f"None or several for: {', '.join(wrong)}."
        )
    return {photo.path: masks[photo.path][0] for photo in listing.photos}


def _masks_of(photo: Photo, folder: Path) -> list[Path]:
    """The masks of a photograph in a folder, or in its subfolder of the same name."""
    names = {f"{photo.stem.name}{more}".casefold() for more in MASK_NAMES}
    place = folder / photo.stem.parent
    files = sorted((place if place.is_dir() else folder).iterdir())
    itself = os.path.abspath(photo.path)
    return [
        file
        for file in files
        if stem_of(file).casefold() in names and file.is_file() and os.path.abspath(file) != itself
    ]


def _names(paths: Sequence[object]) -> str:
    return ", ".join(map(str, paths))


def _is_vessel_map(path: Path) -> bool:
    """Whether a file is the NAME_vessels.png that `retina-course segment` wrote."""
    return path.name.endswith("_vessels.png") and mark_of(path).startswith(f"{PROGRAM}segment ")


def _look_into(folder: Path, below: Path, recursive: bool, listing: Listing, masks: bool) -> None:
    """Sort the files of a folder into the lists; `below` is its place in the output folder."""
    for path in sorted(folder.iterdir()):
        if os.path.isdir(path):
            if recursive and not path.is_symlink():  # a link may lead back here
                _look_into(path, below / path.name, recursive, listing, masks)
            else:
                listing.folders.append(path)
        elif not os.path.isfile(path):  # a device, or a link to nowhere
            listing.others.append(path)
        elif masks and _is_vessel_map(path):
            listing.photos.append(Photo(path, below / stem_of(path)))
        elif mark_of(path) or path.name.startswith(TEMPORARY):
            listing.own.append(path)
        elif is_photograph(path):
            listing.photos.append(Photo(path, below / stem_of(path)))
        else:
            listing.others.append(path)
