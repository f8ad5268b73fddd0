"""Image files as arrays: RGB photographs and two-level masks, in whatever form they were stored."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from retina_course.data.images import check_range, read_pixels

# What a vessel may be in a mask file: 1 (a label), 255 or 65535 (white in 8 or 16 bits).
FOREGROUND_VALUES = (1, 255, 65535)


class DatasetError(ValueError):
    """A folder is incomplete or a file is damaged; the message says which, and what to do."""


def read_rgb(path: Path) -> np.ndarray:
    """A photograph as uint8 RGB `(H, W, 3)`: 16 bits and floats in [0, 1] are scaled to 8 bits.

    Raises
    ------
    DatasetError : a file that cannot be read, or floats outside [0, 1].
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


def read_mask(path: Path, may_be_full: bool = False) -> np.ndarray:
    """A mask of two levels, 0 and one of 1, 255 and 65535, as bool `(H, W)`.

    Parameters
    ----------
    path : an image file, also RGB if its channels are equal.
    may_be_full : accept a mask without zeros (a field of view that fills the image).

    Raises
    ------
    DatasetError : an unreadable file, colours, other levels (they are named), an empty mask.
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


def field_of_view(image: np.ndarray) -> np.ndarray:
    """The disc that the camera lights, for photographs that come without a mask of it.

    The largest (8-connected) component of max(R, G, B) > 20, its holes filled.

    Parameters
    ----------
    image : uint8 RGB, `(H, W, 3)`.

    Returns
    -------
    bool, `(H, W)`.

    Raises
    ------
    ValueError : another shape or type, or no pixel brighter than 20.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"field_of_view needs a uint8 RGB image (H, W, 3), got {image.dtype} {image.shape}."
        )
    labels, count = ndimage.label(image.max(axis=2) > 20, structure=np.ones((3, 3)))
    if count == 0:
        raise ValueError("No pixel is brighter than 20: the image is black, without field of view.")
    sizes = np.bincount(labels.ravel())[1:]
    return ndimage.binary_fill_holes(labels == 1 + sizes.argmax())


def _read(path: Path) -> np.ndarray:
    try:
        return read_pixels(path)
    except (FileNotFoundError, ValueError) as problem:
        raise DatasetError(str(problem)) from problem
