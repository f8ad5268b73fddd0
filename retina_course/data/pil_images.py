"""A PIL image as an array: upright and without transparency."""

import numpy as np
from PIL import Image

EXIF_ORIENTATION = 0x0112  # the tag; 1 is upright
EXIF_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_pixels(image: Image.Image) -> np.ndarray:
    """The pixels of a PIL image as an array, upright and without transparency.

    Parameters
    ----------
    image : PIL image
        Any mode.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)`, uint8, uint16 or, for grey images only, float32.

    Raises
    ------
    ValueError
        If the numbers exceed 16 bits.

    Examples
    --------
    >>> to_pixels(Image.new("CMYK", (2, 1))).tolist()
    [[[255, 255, 255], [255, 255, 255]]]
    """
    image = apply_orientation(image)
    if image.mode.startswith("I"):  # 16-bit grey; Pillow may hold it in 32 bits
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"values {values.min()} to {values.max()} exceed 16 bits")
        return values.astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image)
    image = composite_on_black(image)
    return np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def apply_orientation(image: Image.Image) -> Image.Image:
    """Rotate or mirror an image as its EXIF orientation tag says, as image viewers do.

    `PIL.ImageOps.exif_transpose` does the same, but also writes the other tags again, and fails
    where one of them is invalid.

    Parameters
    ----------
    image : PIL image
        An image with or without EXIF tags.

    Returns
    -------
    PIL image
        The upright image.

    Examples
    --------
    >>> image = Image.new("L", (6, 4))
    >>> image.getexif()[EXIF_ORIENTATION] = 6  # shown after a 90-degree rotation
    >>> apply_orientation(image).size
    (4, 6)
    """
    image.load()
    tag = image.getexif().get(EXIF_ORIENTATION)
    transpose = None if tag is None else EXIF_TRANSPOSES.get(tag)
    return image if transpose is None else image.transpose(transpose)


def composite_on_black(image: Image.Image) -> Image.Image:
    """Remove transparency: transparent pixels become black, as outside the field of view.

    Parameters
    ----------
    image : PIL image
        An image of any mode.

    Returns
    -------
    PIL image
        The same image if it is opaque, else a new one in mode "RGBA".

    Examples
    --------
    >>> composite_on_black(Image.new("RGBA", (1, 1), (200, 0, 0, 0))).getpixel((0, 0))
    (0, 0, 0, 255)
    """
    if not {"A", "a"} & set(image.getbands()) and "transparency" not in image.info:
        return image
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA"))
