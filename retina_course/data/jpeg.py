"""What a JPEG file loses, as arithmetic on whole batches."""

import math

import torch
from torch import Tensor

# Quantisation of a JPEG file at quality 50, brightness and colour (ITU-T T.81, Annex K).
_LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
]  # fmt: skip
_CHROMINANCE = [
    [17, 18, 24, 47, 99, 99, 99, 99], [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99], [47, 66, 99, 99, 99, 99, 99, 99],
] + [[99] * 8] * 4  # fmt: skip


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """The images as they come back from JPEG files.

    The loss is that of the quantised cosine transforms of 8x8 blocks, of brightness and of colour
    (ITU-T T.81; the tables' scale by quality as libjpeg has it). Colour is stored at full size.

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)`, RGB in [0, 1]; H and W are multiples of 8.
    quality : Tensor
        `(N, 1, 1, 1)`, each from 1 to 100.

    Returns
    -------
    Tensor
        `(N, 3, H, W)` in [0, 1].

    Raises
    ------
    ValueError
        If H or W is not a multiple of 8.

    Examples
    --------
    >>> import torch
    >>> grey = torch.full((1, 3, 8, 8), 0.5)
    >>> bool((jpeg(grey, torch.tensor(90.0).view(1, 1, 1, 1)) - grey).abs().max() < 0.01)
    True
    """
    n, _, height, width = images.shape
    if height % 8 or width % 8:
        raise ValueError(f"Height and width must be multiples of 8, got {height}x{width}.")
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    tables = images.new_tensor([_LUMINANCE, _CHROMINANCE, _CHROMINANCE])
    steps = (scale[..., None, None] * tables[:, None, :, None]).clamp(min=1)  # (N, 3, 1, 8, 1, 8)
    k = torch.arange(8, device=images.device)
    cosines = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
    cosines[0] /= 2**0.5
    to_ycc = images.new_tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    )
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, 255 * images - 128)
    blocks = ycc.reshape(n, 3, height // 8, 8, width // 8, 8)
    waves = torch.einsum("ui,ncaibj,vj->ncaubv", cosines, blocks, cosines)
    waves = (waves / steps).round() * steps
    blocks = torch.einsum("ui,ncaubv,vj->ncaibj", cosines, waves, cosines)
    ycc = blocks.reshape(n, 3, height, width)
    rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), ycc)
    return ((rgb + 128) / 255).clamp(0, 1)
