"""Reading an image: a file, a PIL image, an array or a tensor becomes `(3, H, W)` in [0, 1]."""

import gzip
import io
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

ImageSource = str | PathLike[str] | Image.Image | np.ndarray | Tensor
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


def read_image(source: ImageSource) -> Tensor:
    """Read any image as a float32 RGB tensor in [0, 1].

    Grey is repeated to RGB. Transparent pixels of a file or a PIL image become black, as outside
    the field of view; the alpha channel of an array is dropped.

    Parameters
    ----------
    source : str, PathLike, PIL image, ndarray or Tensor
        A file or a PIL image, whose EXIF orientation is applied; an array `(H, W)`, `(H, W, 3)`
        or `(H, W, 4)` of uint8, uint16 or float in [0, 1]; or a tensor `(3, H, W)` or
        `(1, 3, H, W)` of the same types.

    Returns
    -------
    Tensor
        `(3, H, W)`, float32 in [0, 1], on the CPU.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError
        If `source` is not an image, or its numbers have another type.
    ValueError
        If the file cannot be read, the shape is wrong, or values are NaN or outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from retina_course import read_image
    >>> image = read_image(np.full((4, 6), 255, np.uint8))
    >>> image.shape, image.dtype, image.max()
    (torch.Size([3, 4, 6]), torch.float32, tensor(1.))
    """
    if isinstance(source, Tensor):
        return _to_tensor(_tensor_to_hwc(source))
    if isinstance(source, (str, PathLike)):
        return _to_tensor(read_pixels(source))
    if isinstance(source, Image.Image):
        return _to_tensor(_pixels(source))
    if isinstance(source, np.ndarray):
        return _to_tensor(source)
    raise TypeError(
        "Expected an image as a path, a PIL image, a NumPy array or a tensor, "
        f"got {type(source).__name__}."
    )


def read_pixels(path: str | PathLike[str]) -> np.ndarray:
    """Read the stored pixels of an image file, upright and without transparency.

    Parameters
    ----------
    path : str or PathLike
        A file of any kind that Pillow reads, also compressed as `.gz`.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)`, uint8, uint16 or, for grey images only, float32, as stored.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the path is a folder, or the file cannot be read as an image.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (4, 3), "red").save(Path(folder, "photo.png"))
    ...     pixels = read_pixels(Path(folder, "photo.png"))
    >>> pixels.shape, pixels.dtype
    ((3, 4, 3), dtype('uint8'))
    """
    try:
        content = Path(path).read_bytes()
        if Path(path).suffix.lower() == ".gz":
            content = gzip.decompress(content)
        with Image.open(io.BytesIO(content)) as image:
            return _pixels(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"No image file {path}.") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; give an image file in it.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image, or not of a kind that Pillow reads.") from None
    except (MemoryError, PermissionError):
        raise
    # Damaged bytes make the decoders raise errors of a dozen types.
    except Exception as error:
        problem = str(error) or type(error).__name__
        raise ValueError(
            f"Cannot read the image {path} ({problem}). It may be damaged or cut off: replace it "
            "by a new copy."
        ) from error


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
    >>> image.getexif()[EXIF_ORIENTATION] = 6  # shown after a quarter turn
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
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA"))


def _pixels(image: Image.Image) -> np.ndarray:
    """The pixels of a PIL image as an array, upright and without transparency."""
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


def _tensor_to_hwc(tensor: Tensor) -> np.ndarray:
    """A tensor `(3, H, W)` or `(1, 3, H, W)` as an array `(H, W, 3)`."""
    shape = tuple(tensor.shape)
    if tensor.dim() == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() != 3 or tensor.shape[0] != 3:
        raise ValueError(f"Expected one RGB image as a tensor of shape (3, H, W), got {shape}.")
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype != torch.bfloat16 else tensor.float()).permute(1, 2, 0).numpy()


def _to_tensor(array: np.ndarray) -> Tensor:
    """An array `(H, W)`, `(H, W, 3)` or `(H, W, 4)` as a tensor `(3, H, W)` in [0, 1]."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = " Channels come last in a NumPy image: array.transpose(1, 2, 0)."
        raise ValueError(
            f"Expected an image (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}.{hint}"
        )
    if array.size == 0:
        raise ValueError(f"The image is empty: its shape is {array.shape}.")
    if array.dtype in (np.uint8, np.uint16):
        image = array[..., :3].astype(np.float32) / np.iinfo(array.dtype).max
    elif np.issubdtype(array.dtype, np.floating):
        image = array[..., :3].astype(np.float32)
        check_range(image)
    else:
        raise TypeError(f"Expected uint8, uint16 or floats in [0, 1], got {array.dtype}.")
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return planes.expand(3, -1, -1).contiguous()


def check_range(image: np.ndarray) -> None:
    """Check that the values of a float image are finite and in [0, 1].

    Parameters
    ----------
    image : ndarray of float
        An image of any shape with at least one pixel.

    Raises
    ------
    ValueError
        If values are NaN, infinite or outside [0, 1].

    Examples
    --------
    >>> check_range(np.array([0.0, 200.0]))
    Traceback (most recent call last):
    ValueError: Expected floats in [0, 1], got values from 0 to 200. Divide by 255.
    """
    low, high = float(image.min()), float(image.max())
    if not np.isfinite(low + high):
        bad = int((~np.isfinite(image)).sum())
        raise ValueError(f"{bad} values of the image are NaN or infinite.")
    if low < 0 or high > 1:
        hint = " Divide by 255." if low >= 0 and high <= 255 else ""
        raise ValueError(
            f"Expected floats in [0, 1], got values from {low:.4g} to {high:.4g}.{hint}"
        )
