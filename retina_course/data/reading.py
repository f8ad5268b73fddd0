"""Image files as arrays: RGB photographs, two-level masks, and the field of view."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retina_course.data.images import check_range, read_pixels

# The value of a vessel in a mask file: 1 (a label), 255 or 65535 (white in 8 or 16 bits).
FOREGROUND_VALUES = (1, 255, 65535)
MAX_LISTED = 10  # an error names at most this many missing files, and counts the rest


class DatasetError(ValueError):
    """A folder is incomplete, or a file is damaged; the message says which, and what to do."""


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
    if pixels.dtype == np.uint16:  # 65535 / 257 = 255
        pixels = np.round(pixels / 257).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        try:
            check_range(pixels)
        except ValueError as problem:
            raise DatasetError(f"{path}: {problem}") from problem
        pixels = np.round(pixels * 255).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)


def read_mask(path: Path, may_be_full: bool = False) -> NDArray[np.bool_]:
    """Read a mask of two levels: 0, and one of 1, 255 and 65535.

    Parameters
    ----------
    path : Path
        An image file; RGB is accepted if the three channels are equal.
    may_be_full : bool, default False
        Accept a mask without zeros, such as a field of view that fills the image.

    Returns
    -------
    ndarray of bool
        `(H, W)`.

    Raises
    ------
    DatasetError
        If the file cannot be read, has colours or other levels (the message names them), or the
        mask is empty.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.array([[0, 255]], np.uint8)).save(Path(folder, "mask.png"))
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
    if levels == [0]:
        raise DatasetError(f"The mask {path} is empty (all 0). Replace the file.")
    allowed = [[0, high] for high in FOREGROUND_VALUES]
    allowed += [[high] for high in FOREGROUND_VALUES] if may_be_full else []
    if levels not in allowed:
        shown = ", ".join(map(str, levels[:8])) + (", ..." if len(levels) > 8 else "")
        raise DatasetError(
            f"The mask {path} has {len(levels)} level(s): {shown}. Expected two, 0 and 255 (or 0 "
            "and 1). Store it without lossy compression (not as JPEG) and without smoothed edges."
        )
    return pixels > 0


def field_of_view(image: np.ndarray) -> NDArray[np.bool_]:
    """Compute the field of view, the disc that the camera lights, for photographs without its mask.

    It is the largest 8-connected component of max(R, G, B) > 20, with its holes filled.

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
    labels, count = ndimage.label(image.max(axis=2) > 20, structure=np.ones((3, 3)))
    if count == 0:
        raise ValueError(
            "No pixel is brighter than 20: the image is black and has no field of view."
        )
    sizes = np.bincount(labels.ravel())[1:]
    return ndimage.binary_fill_holes(labels == 1 + sizes.argmax())


def _read(path: Path) -> np.ndarray:
    """The pixels of a file; every problem is a `DatasetError`."""
    try:
        return read_pixels(path)
    except (FileNotFoundError, ValueError) as problem:
        raise DatasetError(str(problem)) from problem
