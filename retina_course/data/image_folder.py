"""A folder of the reader's own photographs and masks, matched by file name."""

import os
from pathlib import Path

from retina_course.data.photographs import Photographs, Record
from retina_course.data.reading import DatasetError, missing_files_message

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".bmp")


class ImageFolder(Photographs):
    """A folder of your own photographs: `images/`, `masks/` and, optionally, `fov/`.

    The mask of `images/eye1.jpg` is a file `masks/eye1.*` or `masks/eye1_mask.*`, likewise in
    `fov/`. Without `fov/`, the field of view is computed by `field_of_view`. `name` and `patient`
    of a photograph are the file's stem. For a split, create two folders.

    Parameters
    ----------
    root : str or PathLike
        The folder.

    Raises
    ------
    DatasetError
        If there are no images, an image has no mask, or two files have the same name; indexing
        raises it for damaged files.

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

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        images, masks, fovs = (_by_stem(self.root / kind) for kind in ("images", "masks", "fov"))
        if not images:
            raise DatasetError(
                f"There are no images in {self.root / 'images'}. Expected {self.root} with images/ "
                "and masks/ (and, optionally, fov/)."
            )
        has_fov = (self.root / "fov").is_dir()
        problems = []
        self.records = []
        for stem, image in images.items():
            mask, fov = _match(masks, stem), _match(fovs, stem)
            if mask is None:
                problems.append(f"masks/{stem}.* or masks/{stem}_mask.*, for {image.name}")
            else:
                self.records.append(Record(stem, stem, "all", image, mask, fov=fov))
            if has_fov and fov is None:
                problems.append(f"fov/{stem}.* or fov/{stem}_mask.*, for {image.name}")
        if problems:
            advice = "Images and masks are matched by name."
            raise DatasetError(missing_files_message(str(self.root), problems, advice))


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix, sorted."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = path.name.removesuffix(".gz")
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in SUFFIXES or name.startswith("."):
            continue
        if stem in found:
            raise DatasetError(f"{found[stem]} and {path} have the same name. Keep one of them.")
        found[stem] = path
    return found


def _match(files: dict[str, Path], stem: str) -> Path | None:
    """The file that belongs to the image with this stem."""
    return files.get(stem) or files.get(f"{stem}_mask")
