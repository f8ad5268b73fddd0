"""Reading an image: a file, a PIL image, an array or a tensor becomes `(3, H, W)` in [0, 1]."""

import warnings
from os import PathLike

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from retina_course.data.image_files import ImageWarning, read_pixels
from retina_course.data.pil_images import to_pixels

DEPTHS = (8, 10, 12, 14, 16)  # bits that the numbers of a 16-bit image may have
ImageSource = str | PathLike[str] | Image.Image | np.ndarray | Tensor


def read_image(source: ImageSource) -> Tensor:
    """Read any image as a float32 RGB tensor in [0, 1].

    Grey is repeated to RGB. Transparent pixels of a file or a PIL image become black, as outside
    the field of view; the alpha channel of an array is dropped.

    Cameras of 10, 12 or 14 bits store their numbers in images of 16. White is therefore the largest
    number of the fewest bits out of 8, 10, 12, 14 and 16 that hold all numbers of the image: 4095
    where the largest is 3000. An `ImageWarning` says so where it is not 65535.

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
        return _to_tensor(read_pixels(source), f"{source}: ")
    if isinstance(source, Image.Image):
        return _to_tensor(to_pixels(source))
    if isinstance(source, np.ndarray):
        return _to_tensor(source)
    raise TypeError(
        "Expected an image as a path, a PIL image, a NumPy array or a tensor, "
        f"got {type(source).__name__}."
    )


def _tensor_to_hwc(tensor: Tensor) -> np.ndarray:
    """A tensor `(3, H, W)` or `(1, 3, H, W)` as an array `(H, W, 3)`."""
    shape = tuple(tensor.shape)
    if tensor.dim() == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() != 3 or tensor.shape[0] != 3:
        raise ValueError(f"Expected one RGB image as a tensor of shape (3, H, W), got {shape}.")
    tensor = tensor.detach().cpu()
    return (tensor if tensor.dtype != torch.bfloat16 else tensor.float()).permute(1, 2, 0).numpy()


def _to_tensor(array: np.ndarray, where: str = "") -> Tensor:
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
        white = _white(array[..., :3], where)
        image = array[..., :3].astype(np.float32) / white
    elif np.issubdtype(array.dtype, np.floating):
        image = array[..., :3].astype(np.float32)
        check_range(image)
    else:
        raise TypeError(f"Expected uint8, uint16 or floats in [0, 1], got {array.dtype}.")
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return planes.expand(3, -1, -1).contiguous()


def _white(array: np.ndarray, where: str) -> int:
    """The number that stands for white in an image of 8 or 16 bits, see `read_image`."""
    if array.dtype == np.uint8:
        return 255
    largest = int(array.max())
    bits = next(depth for depth in DEPTHS if largest < 2**depth)
    if bits < 16:
        warnings.warn(
            f"{where}the largest number of the 16-bit image is {largest}: it is read as an image "
            f"of {bits} bits, white is {2**bits - 1}.",
            ImageWarning,
            stacklevel=4,
        )
    return 2**bits - 1


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
