"""Image files as arrays: RGB photographs, two-level masks, and the field of view."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retina_course.data.images import read_image, read_pixels

DARK, WHITE = 20, 235  # the field of view is brighter, what is around it on white paper as bright
WHITE_EDGE = 0.25
# Fields of 313 photographs fill 0.65 to 0.85 of the frame; their shorter side is 0.71 to 1.00 of
# the longer one, their overlap (IoU) with a disc 0.98 to 1.00.
FILLS_FRAME, SMALL_FIELD, NARROW, DISC = 0.95, 0.25, 0.6, 0.9
CORNER = 1 / 20  # of the shorter side; measured by benchmarks/analysis/field_of_view.py
STEP, STEADY = 8, 0.95  # a threshold that is higher by STEP finds this share of a field, or more
MAX_LISTED = 10  # an error names at most this many missing files, and counts the rest


class DatasetError(ValueError):
    """A folder is incomplete, or a file is damaged; the message says which, and what to do."""


def printable(name: str) -> str:
    r"""A file's name as text that can be written into any file.

    Parameters
    ----------
    name : str
        The name as the system gives it; bytes that are not UTF-8 are surrogates.

    Returns
    -------
    str
        The same with a backslash and the number in place of each such byte.

    Examples
    --------
    >>> print(printable("Gr\udcfcn.png"))
    Gr\xfcn.png
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_files_message(what: str, problems: list[str], advice: str) -> str:
    """Describe the missing files of a folder: the first ones by name, and what to do.

    Parameters
    ----------
    what : str
        The dataset and its folder.
    problems : list of str
        The missing files.
    advice : str
        What to do.

    Returns
    -------
    str
        The text of a `DatasetError`.

    Examples
    --------
    >>> print(missing_files_message("STARE", ["labels-ah/im0001.ah.ppm"], "Unpack it again."))
    STARE is incomplete; 1 file(s) missing:
      labels-ah/im0001.ah.ppm
    Unpack it again.
    """
    shown = "\n".join(f"  {problem}" for problem in problems[:MAX_LISTED])
    more = f"\n  and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    return f"{what} is incomplete; {len(problems)} file(s) missing:\n{shown}{more}\n{advice}"


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a photograph as uint8 RGB.

    16 bits and floats in [0, 1] are scaled to 8 bits, grey is repeated to RGB.

    Parameters
    ----------
    path : Path
        An image file, see `read_pixels`.

    Returns
    -------
    ndarray of uint8
        `(H, W, 3)`.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has floats outside [0, 1].

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 7).save(Path(folder, "grey.png"))
    ...     image = read_rgb(Path(folder, "grey.png"))
    >>> image.shape, image.dtype, int(image.max())
    ((3, 4, 3), dtype('uint8'), 7)
    """
    pixels = _read(path)
    if pixels.dtype != np.uint8:
        try:
            image = read_image(pixels)
        except ValueError as problem:
            raise DatasetError(f"{path}: {problem}") from problem
        return (255 * image).round().byte().permute(1, 2, 0).contiguous().numpy()
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask of two levels, 0 and any one brighter; it may also be empty or full.

    Parameters
    ----------
    path : Path
        An image file; RGB is accepted if the three channels are equal.

    Returns
    -------
    ndarray of bool
        `(H, W)`, True where the mask is bright.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has colours or other levels (the message names them).

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.array([[0, 128]], np.uint8)).save(Path(folder, "mask.png"))
    ...     read_mask(Path(folder, "mask.png"))
    array([[False,  True]])
    """
    pixels = _read(path)
    if pixels.ndim == 3:
        if (pixels != pixels[:, :, :1]).any():
            raise DatasetError(
                f"{path} is a colour image, not a mask. Store the mask as black and white."
            )
        pixels = pixels[:, :, 0]
    levels = np.unique(pixels).tolist()
    bright = [level for level in levels if level != 0]
    if len(bright) > 1 or not all(0 < level < np.inf for level in bright):
        shown = ", ".join(map(str, levels[:8])) + (", ..." if len(levels) > 8 else "")
        raise DatasetError(
            f"The mask {path} has {len(levels)} level(s): {shown}. Expected two, 0 and one bright "
            "value, e.g. 255. Store it without lossy compression (not as JPEG) and without "
            "smoothed edges."
        )
    return pixels > 0


def field_of_view(image: np.ndarray) -> NDArray[np.bool_]:
    """Compute the field of view, the disc that the camera lights, for photographs without its mask.

    It is the largest 8-connected component of max(R, G, B) > 20, with its holes filled. Where at
    least a quarter of the image's edge is white (min(R, G, B) >= 235), the white that touches the
    edge does not count: some programs export the disc on white.

    A scan may be grey or noisy around the disc, so that all is brighter than 20. Where that finds
    no disc, the threshold is the brightest pixel in the image's corners, if it finds a disc whose
    edge is a step.

    Parameters
    ----------
    image : ndarray of uint8
        RGB, `(H, W, 3)`.

    Returns
    -------
    ndarray of bool
        `(H, W)`, True inside the field of view.

    Raises
    ------
    ValueError
        If the image has another shape or type, or no pixel is brighter than 20.

    Examples
    --------
    >>> image = np.zeros((5, 5, 3), np.uint8)
    >>> image[1:4, 1:4] = 90
    >>> image[2, 2] = 0  # a dark pixel inside
    >>> field_of_view(image).astype(int)
    array([[0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]])
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"Expected a uint8 RGB image of shape (H, W, 3), got {image.dtype} {image.shape}."
        )
    brightest, white = image.max(axis=2), _white_surround(image)
    found = _brighter(brightest, DARK, white)
    if found is None:
        raise ValueError(
            f"No pixel is brighter than {DARK}: the image is black and has no field of view."
        )
    if _is_usual(found):
        return found
    side = max(1, int(CORNER * min(brightest.shape)))
    ends = range(-side, side)  # the last pixels and the first
    level = max(DARK, int(brightest[np.ix_(ends, ends)].max()))
    raised, higher = (_brighter(brightest, at, white) for at in (level, level + STEP))
    if raised is None or higher is None or not _is_usual(raised):
        return found
    return raised if higher.sum() >= STEADY * raised.sum() else found


def is_disc(field: NDArray[np.bool_]) -> bool:
    """Whether a field of view looks like a disc, whole or cut off by the frame.

    Parameters
    ----------
    field : ndarray of bool
        `(H, W)`, not empty.

    Returns
    -------
    bool
        True where it largely agrees with the disc in the middle of its bounding box that is as wide
        as the longer side of the box, and the box is not much longer than wide.

    Examples
    --------
    >>> is_disc(np.ones((100, 100), bool))
    False
    """
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    part = field[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y, x = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in part.shape)
    disc = y[:, None] ** 2 + x**2 <= (max(part.shape) / 2) ** 2
    overlap = (disc & part).sum() / (disc | part).sum()
    return bool(min(part.shape) >= NARROW * max(part.shape) and overlap >= DISC)


def _is_usual(field: NDArray[np.bool_]) -> bool:
    return SMALL_FIELD <= field.mean() <= FILLS_FRAME and is_disc(field)


def _brighter(
    brightest: NDArray[np.uint8], level: int, without: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """The largest region of pixels brighter than a level, with its holes filled; None without."""
    lit = brightest > level
    inside = lit & ~without
    labels, count = ndimage.label(inside if inside.any() else lit, structure=np.ones((3, 3)))
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    return ndimage.binary_fill_holes(labels == 1 + sizes.argmax())


def _white_surround(image: np.ndarray) -> NDArray[np.bool_]:
    """The white that touches the edge of an image, and two pixels more: its border is soft."""
    white = image.min(axis=2) >= WHITE
    edges = (white[0], white[-1], white[:, 0], white[:, -1])
    if np.concatenate(edges).mean() < WHITE_EDGE:
        return np.zeros_like(white)
    labels, _ = ndimage.label(white)
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    surround = np.isin(labels, touching[touching > 0])
    return ndimage.binary_dilation(surround, np.ones((3, 3)), iterations=2)


def _read(path: Path) -> np.ndarray:
    """The pixels of a file; every problem is a `DatasetError`."""
    try:
        return read_pixels(path)
    except (FileNotFoundError, ValueError) as problem:
        raise DatasetError(str(problem)) from problem
