"""CHASE_DB1 from its publisher: fetched on request only, checked file by file, all or nothing.

CHASE_DB1 is by Fraz et al. 2012 (doi:10.1109/TBME.2012.2205687), Kingston University; CC BY 4.0.
"""

import errno
import os
import shutil
import stat
import tempfile
import zipfile
from importlib import resources
from pathlib import Path, PurePosixPath

from retina_course.data.reading import DatasetError, file_digest

# The publisher's archive at its two addresses, tried in turn. The binding check is the SHA-256 of
# each of the 84 files (chase_db1.sha256), so the archive itself may be packed anew.
URLS = (
    "https://researchdata.kingston.ac.uk/96/1/CHASEDB1.zip",
    "https://researchinnovation.kingston.ac.uk/files/40659508/CHASEDB1.zip",
)
BY_HAND = (
    f"Save the archive with a web browser ({URLS[0]}) and unpack it with "
    "retina_course.data.download.unpack_chase_db1(archive, folder)."
)


def download_chase_db1(root: str | os.PathLike[str], *, url: str | None = None) -> Path:
    """Download CHASE_DB1 into the folder `root`, for `ChaseDB1(root)`.

    The folder appears only after all 84 files were checked; a failure before that leaves nothing
    behind. A complete folder is left as it is, without a download.

    Parameters
    ----------
    root : str or PathLike
        The dataset's own folder: new, empty, or complete.
    url : str, optional
        Another address of the archive.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    DatasetError
        If no address answers with the published archive, or `root` holds something else.
    OSError
        If the disk is full; `root` is named.

    Examples
    --------
    >>> download_chase_db1("CHASE_DB1")  # doctest: +SKIP
    """
    import pooch  # here, because it brings tqdm.auto, which warns in notebooks without ipywidgets

    root = Path(root).resolve()
    if _is_complete(root):
        return root
    failures = []
    with _temporary_folder(root) as work:
        archive = Path(work, "archive.zip")
        for address in (url,) if url else URLS:
            try:
                pooch.HTTPDownloader(progressbar=True)(address, str(archive), None)
                return _install(archive, root, Path(work, "files"))
            # A failed or broken answer of one address: try the next.
            except (OSError, DatasetError) as problem:
                if _is_of_full_disk(problem):  # so it is with every address
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root)) from problem
                failures.append(f"  {address}: {problem}")
    raise DatasetError("CHASE_DB1 was not downloaded:\n" + "\n".join(failures) + f"\n{BY_HAND}")


def unpack_chase_db1(archive: str | os.PathLike[str], root: str | os.PathLike[str]) -> Path:
    """Unpack CHASE_DB1 from an archive on this computer, with the checks of `download_chase_db1`.

    Parameters
    ----------
    archive : str or PathLike
        The publisher's zip file.
    root : str or PathLike
        The dataset's own folder: new, empty, or complete.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    DatasetError
        If the archive is not the published one, or `root` holds something else.

    Examples
    --------
    >>> unpack_chase_db1("CHASEDB1.zip", "CHASE_DB1")  # doctest: +SKIP
    """
    root = Path(root).resolve()
    if not _is_complete(root):
        with _temporary_folder(root) as work:
            _install(Path(archive), root, Path(work, "files"))
    return root


def check_chase_db1(root: str | os.PathLike[str]) -> list[str]:
    """Compare a CHASE_DB1 folder with the published files.

    Parameters
    ----------
    root : str or PathLike
        The dataset's folder.

    Returns
    -------
    list of str
        One line per file that is missing or differs; empty if the folder is complete.

    Examples
    --------
    >>> problems = check_chase_db1("a folder that does not exist")
    >>> len(problems), problems[0]
    (84, 'Image_01L.jpg is missing')
    """
    problems = []
    for name, expected in _digests().items():
        path = Path(root, name)
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif file_digest(path) != expected:
            problems.append(f"{name} differs from the published file")
    return problems


def _digests() -> dict[str, str]:
    """The SHA-256 of each of the 84 files, by name."""
    text = resources.files("retina_course.data").joinpath("chase_db1.sha256").read_text("ascii")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def _is_complete(root: Path) -> bool:
    """True if the folder holds the dataset; False if it is new or empty; else an error."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    problems = check_chase_db1(root)
    if problems:
        raise DatasetError(
            f"{root} exists, but is not a complete CHASE_DB1: {_shorten(problems)}. "
            "Remove it, or give another folder."
        )
    return True


def _temporary_folder(root: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the same disk as `root`, so that the result is moved in one step.

    Folders that stopped processes left behind are removed.
    """
    parent = next(folder for folder in root.parents if folder.is_dir())
    prefix = f".{root.name}.partial-"
    for leftover in parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=parent)


def _install(archive: Path, root: Path, files: Path) -> Path:
    """Unpack into the folder `files`, check, and move it to `root`."""
    shutil.rmtree(files, ignore_errors=True)  # what an earlier address sent
    files.mkdir()
    _extract(archive, files)
    problems = check_chase_db1(files)
    if problems:
        raise DatasetError(f"{archive.name} is not CHASE_DB1 as published: {_shorten(problems)}.")
    root.parent.mkdir(parents=True, exist_ok=True)
    if root.is_dir():
        root.rmdir()  # it is empty; a folder cannot be moved onto another on Windows
    os.replace(files, root)
    return root


def _extract(archive: Path, folder: Path) -> None:
    """Write the members with the names of the 84 files, flat; other members are not extracted."""
    names = _digests()
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                path = _safe_path(member)
                if path.name in names and not member.is_dir():
                    (folder / path.name).write_bytes(opened.read(member))
    # zipfile lets errors of the decompressors through, which have no common class.
    except DatasetError:
        raise
    except Exception as problem:
        if _is_of_full_disk(problem):
            raise
        raise DatasetError(
            f"{archive.name} is not a readable zip archive ({problem or type(problem).__name__})."
        ) from problem


def _is_of_full_disk(problem: Exception) -> bool:
    return isinstance(problem, OSError) and problem.errno == errno.ENOSPC


def _safe_path(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member, which stays inside the folder."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename or is_link:
        raise DatasetError(
            f"The archive has the member {member.filename!r}, which could lead out of the folder; "
            "nothing was unpacked."
        )
    return path


def _shorten(problems: list[str], count: int = 10) -> str:
    """The first `count` problems, and the number of the others."""
    more = f", and {len(problems) - count} more" if len(problems) > count else ""
    return ", ".join(problems[:count]) + more
