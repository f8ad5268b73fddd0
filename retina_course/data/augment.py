"""Augmentation in batch, on the device that holds the images: no workers, no copies of images.

The training images of a vessel data set are few. They stay on the device as tensors, and each
batch is cut out of them turned, scaled and recoloured. All randomness comes from one
`torch.Generator` on the CPU, so that a batch is the same on every device.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass
class RandomCrops:
    """Draws augmented batches: `crops(generator) -> (images, targets)`, the form that `fit` takes.

    Parameters
    ----------
    images : `(M, 3, H, W)` float32 in [0, 1], any device.
    targets : `(M, 1, H, W)` float32 in {0, 1}; or `(M, H, W)` int64 classes.
    size : side of the square crops in pixels.
    batch_size : crops a batch, each from an image chosen at random.
    rotation : largest turn in degrees, to either side.
    scale : smallest and largest magnification.
    jitter : strength of the change of brightness, contrast, saturation and hue.

    Images are sampled bilinearly, targets by nearest neighbour; flips and quarter turns, which
    follow, are exact. Pixels beyond the border are black and belong to class 0.

    Raises
    ------
    ValueError : images and targets that do not belong together, or crops larger than the images.
    """

    images: Tensor
    targets: Tensor
    size: int = 256
    batch_size: int = 4
    rotation: float = 45.0
    scale: tuple[float, float] = (0.85, 1.2)
    jitter: float = 0.2

    def __post_init__(self):
        images, targets = tuple(self.images.shape), tuple(self.targets.shape)
        if len(images) != 4 or images[1] != 3:
            raise ValueError(f"Expected images (M, 3, H, W), got {images}.")
        if targets not in (images[:1] + images[2:], (images[0], 1) + images[2:]):
            raise ValueError(
                f"Images {images} need targets {(images[0], 1) + images[2:]} or "
                f"{images[:1] + images[2:]}, got {targets}."
            )
        if self.size > min(images[2:]):
            raise ValueError(
                f"Crops of {self.size} pixels do not fit into images of {images[2]}x{images[3]}."
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
        """Where each pixel of each crop lies in its image, `(N, size, size, 2)` in [-1, 1]."""
        n, (height, width) = self.batch_size, self.images.shape[2:]
        angle = torch.deg2rad(_uniform((n,), -self.rotation, self.rotation, generator))
        step = 1 / _uniform((n,), *self.scale, generator)  # source pixels per crop pixel
        # The centre lies so that an unturned, unscaled crop stays inside the image.
        margin = self.size / 2
        x = _uniform((n,), margin, width - margin, generator)
        y = _uniform((n,), margin, height - margin, generator)
        cos, sin = step * torch.cos(angle), step * torch.sin(angle)
        # Four numbers a crop travel to the GPU; the grid of all pixels is made there.
        device = self.images.device
        cos, sin, x, y = torch.stack([cos, sin, x, y]).to(device, non_blocking=True)
        offset = torch.arange(self.size, device=device) - (self.size - 1) / 2
        down, right = torch.meshgrid(offset, offset, indexing="ij")
        cos, sin, x, y = (value[:, None, None] for value in (cos, sin, x, y))
        source_x = x + cos * right - sin * down
        source_y = y + sin * right + cos * down
        return torch.stack([2 * source_x / width - 1, 2 * source_y / height - 1], dim=-1)


def flip_and_rotate(images: Tensor, masks: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each image and its mask in one of the 8 orientations of a square, exactly (pixels move)."""
    flips = torch.randint(2, (len(images),), generator=generator).tolist()
    turns = torch.randint(4, (len(images),), generator=generator).tolist()

    def turned(batch: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.rot90(item.flip(-1) if flip else item, turn, dims=(-2, -1))
                for item, flip, turn in zip(batch, flips, turns, strict=True)
            ]
        )

    return turned(images), turned(masks)


def colour_jitter(images: Tensor, generator: Generator, strength: float = 0.2) -> Tensor:
    """Random brightness, contrast, saturation and hue, one draw per image; stays in [0, 1].

    Brightness and contrast change by a factor in [1 - strength, 1 + strength], saturation
    likewise; hue turns the colour plane by up to `strength` / 4 radians about the grey axis.
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
    # A turn about (1, 1, 1): Rodrigues' formula for vectors perpendicular to the axis.
    cross = (colour.roll(1, dims=1) - colour.roll(-1, dims=1)) / 3**0.5
    return (grey + angle.cos() * colour + angle.sin() * cross).clamp(0, 1)


def _uniform(shape: tuple, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low
