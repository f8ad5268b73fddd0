"""Reading one image: a file, PIL image, array or tensor becomes `(3, H, W)` in [0, 1]."""

import gzip
import io
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

ImageSource = str | PathLike | Image.Image | np.ndarray | Tensor
ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(source: ImageSource) -> Tensor:
    """Any image as a float32 RGB tensor `(3, H, W)` in [0, 1].

    Parameters
    ----------
    source : a file's path or a PIL image (EXIF orientation honoured); a NumPy array `(H, W)`,
        `(H, W, 3)` or `(H, W, 4)`, uint8, uint16 or float in [0, 1]; a tensor `(3, H, W)` or
        `(1, 3, H, W)` of the same types. Grey is repeated to RGB. What a file or a PIL image has
        transparent becomes black; an array's alpha channel is dropped.

    Raises
    ------
    FileNotFoundError : no such file.
    TypeError : not an image, or a type of number other than those above.
    ValueError : unreadable file, wrong shape, NaN, or values outside [0, 1].
    """
    if isinstance(source, Tensor):
        return _scale(_tensor_to_hwc(source))
    if isinstance(source, (str, PathLike)):
        return _scale(read_pixels(source))
    if isinstance(source, Image.Image):
        return _scale(_pixels(source))
    if isinstance(source, np.ndarray):
        return _scale(source)
    raise TypeError(
        "Expected an image as a path, a PIL image, a NumPy array or a tensor, "
        f"got {type(source).__name__}."
    )


def read_pixels(path: str | PathLike) -> np.ndarray:
    """The pixels of an image file, upright and without transparency, also of a `.gz` file.

    Returns
    -------
    `(H, W)` or `(H, W, 3)`, uint8, uint16 or (grey only) float32, as they are stored.

    Raises
    ------
    FileNotFoundError : no such file.
    ValueError : a folder, or a file that cannot be read as an image.
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
        raise ValueError(f"{path} is a folder; give the image files in it.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image, or not of a kind that Pillow reads.") from None
    except (MemoryError, PermissionError):
        raise
    # Damaged bytes make the decoders raise errors of a dozen types.
    except Exception as error:
        problem = str(error) or type(error).__name__
        raise ValueError(
            f"Cannot read the image {path} ({problem}). It may be damaged or cut off: replace it "
            "by a fresh copy."
        ) from error


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF tag says, which a viewer does, too.

    `ImageOps.exif_transpose` also writes the other tags again, and fails where one is odd.
    """
    image.load()
    turn = TURNS.get(image.getexif().get(ORIENTATION))
    return image if turn is None else image.transpose(turn)


def on_black(image: Image.Image) -> Image.Image:
    """Without transparency: what was transparent is black, as outside the field of view."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA"))


def _pixels(image: Image.Image) -> np.ndarray:
    image = upright(image)  # as a viewer shows it
    if image.mode.startswith("I"):  # 16-bit grey; Pillow may hold it in 32 bits
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"values {values.min()} to {values.max()} exceed 16 bits")
        return values.astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image)
    image = on_black(image)
    return np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _tensor_to_hwc(tensor: Tensor) -> np.ndarray:
    shape = tuple(tensor.shape)
    if tensor.dim() == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() != 3 or tensor.shape[0] != 3:
        raise ValueError(f"Expected one RGB image as a tensor (3, H, W), got shape {shape}.")
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype != torch.bfloat16 else tensor.float()).permute(1, 2, 0).numpy()


def _scale(array: np.ndarray) -> Tensor:
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
    low, high = float(image.min()), float(image.max())
    if not np.isfinite(low + high):
        bad = int((~np.isfinite(image)).sum())
        raise ValueError(f"{bad} values of the image are NaN or infinite.")
    if low < 0 or high > 1:
        hint = " Divide by 255." if low >= 0 and high <= 255 else ""
        raise ValueError(
            f"Expected floats in [0, 1], got values from {low:.4g} to {high:.4g}.{hint}"
        )
