"""Augmentation of whole batches, on the device that holds the images.

A vessel dataset has few training images. They therefore stay on the device as tensors, without
worker processes, and each batch is cropped from them with a random rotation, scale and colour.
All random numbers come from one `torch.Generator` on the CPU, so a batch is the same on every
device.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass
class RandomCrops:
    """Augmented batches of square crops, from random places of random images.

    An instance is called with a `torch.Generator` and returns `(images, targets)`, the form that
    `retina_course.fit` expects. Each crop is rotated, scaled, flipped and colour-jittered.

    Images are sampled bilinearly, targets by nearest neighbour. The flips and 90-degree
    rotations that follow are exact. Pixels beyond the border are black and belong to class 0.

    Parameters
    ----------
    images : Tensor
        `(M, 3, H, W)`, float32 in [0, 1], on any device.
    targets : Tensor
        `(M, 1, H, W)`, float32 in {0, 1}, or `(M, H, W)`, int64 classes. On the same device.
    size : int, default 256
        Side of the crops in pixels.
    batch_size : int, default 4
        Number of crops per batch; the image of each is chosen at random.
    rotation : float, default 45.0
        Largest rotation angle in degrees, in both directions.
    scale : tuple of float, default (0.85, 1.2)
        Smallest and largest scale factor.
    jitter : float, default 0.2
        Strength of the colour changes, see `colour_jitter`.

    Raises
    ------
    ValueError
        If the shapes of `images` and `targets` do not fit together, or the crops are larger than
        the images.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RandomCrops, synthetic_batch
    >>> images, vessels, _ = synthetic_batch(2, size=64, seed=0)
    >>> crops = RandomCrops(images, vessels, size=32, batch_size=3)
    >>> x, y = crops(torch.Generator().manual_seed(0))
    >>> x.shape, y.shape
    (torch.Size([3, 3, 32, 32]), torch.Size([3, 1, 32, 32]))
    >>> y.unique()
    tensor([0., 1.])
    """

    images: Tensor
    targets: Tensor
    size: int = 256
    batch_size: int = 4
    rotation: float = 45.0
    scale: tuple[float, float] = (0.85, 1.2)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        images, targets = tuple(self.images.shape), tuple(self.targets.shape)
        if len(images) != 4 or images[1] != 3:
            raise ValueError(f"Expected images of shape (M, 3, H, W), got {images}.")
        if targets not in (images[:1] + images[2:], (images[0], 1) + images[2:]):
            raise ValueError(
                f"Images of shape {images} need targets of shape {(images[0], 1) + images[2:]} "
                f"or {images[:1] + images[2:]}, got {targets}."
            )
        if self.size > min(images[2:]):
            raise ValueError(
                f"Crops of {self.size}x{self.size} pixels do not fit into images of "
                f"{images[2]}x{images[3]} (height x width). Choose a smaller size."
            )

    def __call__(self, generator: Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(self.images), (self.batch_size,), generator=generator)
        chosen = chosen.to(self.images.device, non_blocking=True)
        images, targets = self.images[chosen], self.targets[chosen]
        grid = self._grid(generator)
        images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        masks = targets if targets.dim() == 4 else targets[:, None]
        masks = F.grid_sample(masks.float(), grid, mode="nearest", align_corners=False)
        images, masks = flip_and_rotate(images, masks, generator)
        images = colour_jitter(images, generator, self.jitter)
        return images, masks if targets.dim() == 4 else masks[:, 0].long()

    def _grid(self, generator: Generator) -> Tensor:
        """Where each pixel of each crop lies in its image, `(N, size, size, 2)`, in [-1, 1]."""
        n, (height, width) = self.batch_size, self.images.shape[2:]
        angle = torch.deg2rad(_uniform((n,), -self.rotation, self.rotation, generator))
        step = 1 / _uniform((n,), *self.scale, generator)  # source pixels per crop pixel
        # The range of the centre keeps a crop without rotation and scaling inside the image.
        margin = self.size / 2
        x = _uniform((n,), margin, width - margin, generator)
        y = _uniform((n,), margin, height - margin, generator)
        cos, sin = step * torch.cos(angle), step * torch.sin(angle)
        # Only four numbers per crop are copied to the GPU; the grid of pixels is computed there.
        device = self.images.device
        cos, sin, x, y = torch.stack([cos, sin, x, y]).to(device, non_blocking=True)
        offset = torch.arange(self.size, device=device) - (self.size - 1) / 2
        down, right = torch.meshgrid(offset, offset, indexing="ij")
        cos, sin, x, y = (value[:, None, None] for value in (cos, sin, x, y))
        source_x = x + cos * right - sin * down
        source_y = y + sin * right + cos * down
        return torch.stack([2 * source_x / width - 1, 2 * source_y / height - 1], dim=-1)


def flip_and_rotate(images: Tensor, masks: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Put each image and its mask into one of the 8 orientations of a square, at random.

    Flips and 90-degree rotations only move pixels; no value is interpolated.

    Parameters
    ----------
    images : Tensor
        `(N, C, H, H)`: the images must be square.
    masks : Tensor
        `(N, K, H, H)`, moved with the images.
    generator : torch.Generator
        Source of the random numbers, on the CPU.

    Returns
    -------
    images : Tensor
        Same shape as the input.
    masks : Tensor
        Same shape as the input.

    Raises
    ------
    ValueError
        If the images are not square.

    Examples
    --------
    >>> import torch
    >>> images = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> moved, masks = flip_and_rotate(images, images > 4, torch.Generator().manual_seed(0))
    >>> torch.equal(masks, moved > 4)
    True
    """
    if images.shape[-2] != images.shape[-1]:
        raise ValueError(f"A rotation needs square images, got shape {tuple(images.shape)}.")
    flips = torch.randint(2, (len(images),), generator=generator).tolist()
    turns = torch.randint(4, (len(images),), generator=generator).tolist()

    def reorient(batch: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.rot90(item.flip(-1) if flip else item, turn, dims=(-2, -1))
                for item, flip, turn in zip(batch, flips, turns, strict=True)
            ]
        )

    return reorient(images), reorient(masks)


def colour_jitter(images: Tensor, generator: Generator, strength: float = 0.2) -> Tensor:
    """Change brightness, contrast, saturation and hue at random, with new factors per image.

    Brightness, contrast and saturation are each multiplied by a factor in
    [1 - strength, 1 + strength]. The hue is rotated about the grey axis by up to `strength` / 4
    radians. Values are clipped to [0, 1].

    Parameters
    ----------
    images : Tensor
        `(N, 3, H, W)`, RGB in [0, 1].
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    strength : float, default 0.2
        Largest relative change; 0 changes nothing, apart from rounding.

    Returns
    -------
    Tensor
        The colour-jittered images, `(N, 3, H, W)` in [0, 1].

    Examples
    --------
    >>> import torch
    >>> grey = torch.full((1, 3, 2, 2), 0.5)
    >>> changed = colour_jitter(grey, torch.Generator().manual_seed(0))
    >>> changed.shape, bool((changed == changed[:, :1]).all())  # grey stays grey
    (torch.Size([1, 3, 2, 2]), True)
    """
    n = len(images)

    def draw(low: float, high: float) -> Tensor:
        values = _uniform((n, 1, 1, 1), low, high, generator)
        return values.to(images.device, non_blocking=True)

    def factor() -> Tensor:
        return draw(1 - strength, 1 + strength)

    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * factor() + mean * factor()
    angle = draw(-strength / 4, strength / 4)
    grey = images.mean(dim=1, keepdim=True)
    colour = (images - grey) * factor()
    # Rotation about (1, 1, 1): Rodrigues' formula for vectors perpendicular to the axis.
    cross = (colour.roll(1, dims=1) - colour.roll(-1, dims=1)) / 3**0.5
    return (grey + angle.cos() * colour + angle.sin() * cross).clamp(0, 1)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Random numbers, uniform in [low, high)."""
    return torch.rand(shape, generator=generator) * (high - low) + low
