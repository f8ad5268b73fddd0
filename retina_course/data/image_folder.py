"""A folder of the reader's own photographs and masks, matched by file name."""

import os
from collections.abc import Mapping
from pathlib import Path

from retina_course.data.folders import key, scan, stem, warn_of_left_out
from retina_course.data.photographs import VESSELS, Photographs, Record
from retina_course.data.reading import DatasetError, missing_files_message, printable

EXPECTED = "images/ and masks/ (and, optionally, fov/)"


class ImageFolder(Photographs):
    """A folder of your own photographs: `images/`, `masks/` and, optionally, `fov/`.

    The mask of `images/eye1.jpg` is a file `masks/eye1.*` or `masks/eye1_mask.*`, likewise in
    `fov/`; case does not count. Every image of a kind that Pillow reads is used, with any ending
    or without one; other files and nested folders are named in a warning. Without `fov/`, the
    field of view is computed by `field_of_view`. `name` and `patient` of a photograph are the
    file's stem. For a split, create two folders.

    Parameters
    ----------
    root : str or PathLike
        The folder.
    vessels : {"white", "black"}, optional
        How the masks show vessels. By default they are white, and a mask in which more than half
        of the field of view is white is an error that asks. "black" inverts the masks; "white"
        takes them as they are.
    field_angle : float or mapping of str to float, optional
        Width of the field of view in degrees, of all photographs or by file name ("eye1.jpg").

    Raises
    ------
    DatasetError
        If a folder is missing, there are no images, a photograph, mask or field of view lacks its
        counterpart, or more than one fits; indexing raises it for damaged files.
    ValueError
        If `vessels` has another value, or an angle is missing or none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from retina_course import ImageFolder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for kind in ("images", "masks", "fov"):
    ...         Path(folder, kind).mkdir()
    ...     mask = Image.new("L", (30, 20))
    ...     mask.paste(255, (5, 0, 9, 20))
    ...     mask.save(Path(folder, "masks", "eye1_mask.png"))
    ...     Image.new("L", (30, 20), 255).save(Path(folder, "fov", "eye1.png"))
    ...     Image.new("RGB", (30, 20), "red").save(Path(folder, "images", "eye1.png"))
    ...     photograph = ImageFolder(folder)[0]
    >>> photograph.name, photograph.image.shape, int(photograph.ground_truth.sum())
    ('eye1', (20, 30, 3), 80)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        vessels: str | None = None,
        field_angle: float | Mapping[str, float] | None = None,
    ) -> None:
        if vessels not in (None, *VESSELS):
            raise ValueError(f"Expected vessels to be 'white' or 'black', got {vessels!r}.")
        self.root, self.vessels, self.records = Path(root), vessels, []
        if not self.root.is_dir():
            raise DatasetError(f"There is no folder {root}. Expected one with {EXPECTED}.")
        kinds = ["images", "masks"] + ["fov"] * (self.root / "fov").is_dir()
        files: dict[str, dict[str, Path]] = {}
        for kind in kinds:
            files[kind], others = scan(self._folder(kind))
            warn_of_left_out(self.root / kind, others)
        images = files.pop("images")
        if not images:
            raise DatasetError(
                f"There are no images in {self.root / 'images'}. Expected {root} with {EXPECTED}."
            )
        problems: list[str] = []
        for name, image in images.items():
            found = {kind: _take(files[kind], name, images) for kind in files}
            own = stem(image)
            problems += [
                f"{kind}/{own}.* or {kind}/{own}_mask.*, for {image.name}"
                for kind, path in found.items()
                if path is None
            ]
            if mask := found["masks"]:
                own = printable(own)
                self.records.append(Record(own, own, "all", image, mask, fov=found.get("fov")))
        for kind, rest in files.items():
            problems += [f"images/{stem(path)}.*, for {kind}/{path.name}" for path in rest.values()]
        if problems:
            advice = "Images and masks are matched by name."
            raise DatasetError(missing_files_message(str(self.root), problems, advice))
        if field_angle is not None:
            self.set_field_angles(field_angle)

    def _folder(self, kind: str) -> Path:
        """One of the folders, which must exist."""
        folder = self.root / kind
        if not folder.is_dir():
            names = ", ".join(f"{path.name}/" for path in self.root.iterdir() if path.is_dir())
            raise DatasetError(
                f"{self.root} has no folder {kind}/ (its folders: {names or 'none'}). "
                f"Expected {self.root} with {EXPECTED}."
            )
        return folder


def _take(files: dict[str, Path], name: str, images: dict[str, Path]) -> Path | None:
    """Remove and return the file that belongs to the photograph of this name."""
    marked = key(f"{name}_mask")
    keys = [k for k in (name, marked) if k in files and (k == name or k not in images)]
    if len(keys) > 1:
        both = " and ".join(str(files[k]) for k in keys)
        raise DatasetError(f"{both} could both belong to {images[name]}. Keep one of them.")
    return files.pop(keys[0]) if keys else None
