"""Parts that the course's networks share."""

import torch
from torch import Tensor, nn


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int = 3) -> list[nn.Module]:
    """A convolution that keeps height and width (stride 1, odd kernel), batch norm, ReLU.

    `(N, in_channels, H, W) -> (N, out_channels, H, W)`. Returned as a list, so that a network can
    put a pooling layer in front within one `nn.Sequential`.
    """
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def check_channels(in_channels: int, num_classes: int) -> None:
    """Raise `ValueError` unless both channel counts of a network are positive integers."""
    for name, value in (("in_channels", in_channels), ("num_classes", num_classes)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")


def check_input(x: Tensor, in_channels: int, multiple: int) -> None:
    """Raise an error that helps unless `x` is a batch of images that a network can take.

    Parameters
    ----------
    x : expected `(N, in_channels, H, W)`, floating point, H and W multiples of `multiple`.

    Raises
    ------
    TypeError : not a floating-point tensor.
    ValueError : wrong number of dimensions or channels, or a size that does not fit; the message
        names the nearest sizes that do.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"Expected a torch.Tensor, got {type(x).__name__}.")
    if x.dim() != 4:
        hint = " Add the batch dimension: x.unsqueeze(0)." if x.dim() == 3 else ""
        raise ValueError(f"Expected images (N, C, H, W), got shape {tuple(x.shape)}.{hint}")
    if not torch.is_floating_point(x):
        raise TypeError(
            f"Expected floating-point images in [0, 1], got {x.dtype}. "
            "For 8-bit images: x.float() / 255."
        )
    if x.shape[1] != in_channels:
        raise ValueError(
            f"Expected {in_channels} channels, got {x.shape[1]} (shape {tuple(x.shape)}). "
            "Convert the images, or build the model with another in_channels."
        )
    height, width = x.shape[2:]
    if height % multiple or width % multiple or height == 0 or width == 0:
        raise ValueError(
            f"Height and width must be multiples of {multiple}, got {height}x{width}. Nearest "
            f"sizes that fit: {_fit(height, multiple)} (height), {_fit(width, multiple)} (width). "
            "Pad or crop the images; inference.predict does so by itself."
        )


def _fit(size: int, multiple: int) -> str:
    below = size // multiple * multiple
    if below == size and size:
        return str(size)
    return f"{below} or {below + multiple}" if below else str(multiple)
