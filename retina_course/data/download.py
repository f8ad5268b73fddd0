"""CHASE_DB1 from its publisher: fetched only when asked for, checked file by file, all or nothing.

CHASE_DB1 is by Fraz et al. 2012 (doi:10.1109/TBME.2012.2205687), Kingston University; CC BY 4.0.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from importlib import resources
from pathlib import Path, PurePosixPath

from retina_course.data.reading import DatasetError

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


def download_chase_db1(root: str | os.PathLike, *, url: str | None = None) -> Path:
    """Fetch CHASE_DB1 into the folder `root`, which then suits `ChaseDB1(root)`.

    All 84 files are checked before the folder appears; whatever goes wrong before leaves nothing
    behind. A folder that is complete is left as it is, without a download.

    Parameters
    ----------
    root : the data set's own folder; new, empty, or complete.
    url : another address of the archive.

    Returns
    -------
    The folder.

    Raises
    ------
    DatasetError : no address answers with the true archive, or `root` holds something else.
    """
    import pooch  # here, because it brings tqdm.auto, which warns in notebooks without ipywidgets

    root = Path(root).resolve()
    if _is_done(root):
        return root
    failures = []
    with _workplace(root) as work:
        archive = Path(work, "archive.zip")
        for address in (url,) if url else URLS:
            try:
                pooch.HTTPDownloader(progressbar=True)(address, str(archive), None)
                return _install(archive, root, Path(work, "files"))
            # A failed or broken answer of one address: try the next.
            except (OSError, DatasetError) as problem:
                failures.append(f"  {address}: {problem}")
    raise DatasetError("CHASE_DB1 was not downloaded:\n" + "\n".join(failures) + f"\n{BY_HAND}")


def unpack_chase_db1(archive: str | os.PathLike, root: str | os.PathLike) -> Path:
    """The same as `download_chase_db1`, from an archive that is already on this computer."""
    root = Path(root).resolve()
    if not _is_done(root):
        with _workplace(root) as work:
            _install(Path(archive), root, Path(work, "files"))
    return root


def check_chase_db1(root: str | os.PathLike) -> list[str]:
    """What is wrong with a CHASE_DB1 folder, one line a file; an empty list: all is well."""
    problems = []
    for name, expected in _digests().items():
        path = Path(root, name)
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif _sha256(path) != expected:
            problems.append(f"{name} differs from the published file")
    return problems


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests() -> dict[str, str]:
    text = resources.files("retina_course.data").joinpath("chase_db1.sha256").read_text("ascii")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def _is_done(root: Path) -> bool:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    problems = check_chase_db1(root)
    if problems:
        raise DatasetError(
            f"{root} exists, but is not a complete CHASE_DB1: {_shortened(problems)}. "
            "Remove it, or give another folder."
        )
    return True


def _workplace(root: Path) -> tempfile.TemporaryDirectory:
    """A temporary folder on the same disk as `root`, so that a finished folder moves in one step.

    Folders that killed processes left behind are removed.
    """
    parent = next(folder for folder in root.parents if folder.is_dir())
    prefix = f".{root.name}.partial-"
    for left in parent.glob(f"{prefix}*"):
        shutil.rmtree(left)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=parent)


def _install(archive: Path, root: Path, files: Path) -> Path:
    shutil.rmtree(files, ignore_errors=True)  # what an earlier address sent
    files.mkdir()
    _extract(archive, files)
    problems = check_chase_db1(files)
    if problems:
        raise DatasetError(f"{archive.name} is not CHASE_DB1 as published: {_shortened(problems)}.")
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
    # zipfile lets errors of the decompressors through, which share no class.
    except DatasetError:
        raise
    except Exception as problem:
        raise DatasetError(
            f"{archive.name} is not a readable zip archive ({problem or type(problem).__name__})."
        ) from problem


def _safe_path(member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename or is_link:
        raise DatasetError(
            f"The archive has the member {member.filename!r}, which could lead out of the folder; "
            "nothing was unpacked."
        )
    return path


def _shortened(problems: list[str], count: int = 10) -> str:
    more = f", and {len(problems) - count} more" if len(problems) > count else ""
    return ", ".join(problems[:count]) + more
