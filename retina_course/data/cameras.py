"""Augmentation that imitates other cameras: crops of any scale, light, focus, noise and file.

A network that has seen one camera fails on the next. `RandomCameras` therefore changes everything
that differs between cameras: how many pixels a degree has, the light, the colours, the focus, the
noise, the sharpening, the compression and the edge of the field of view. The idea is called domain
randomisation (Tobin et al. 2017, arXiv:1703.06907): where the training varies more than the
world does, the world is one more variation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from retina_course.data import appearance


@dataclass(frozen=True)
class Scaled:
    """Images of one scale, with their targets, to take crops from.

    Parameters
    ----------
    images : Tensor
        `(M, 3, H, W)`, float32 in [0, 1].
    targets : Tensor
        `(M, C, H, W)`, float32 in [0, 1]: which part of the pixel is vessel; or, with two channels,
        artery and vein.
    pixels_per_degree : float
        Pixels for each degree of the field of view.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or the scale is not positive.

    Examples
    --------
    >>> from retina_course import synthetic_batch
    >>> images, vessels, _ = synthetic_batch(2, size=64)
    >>> len(Scaled(images, vessels, pixels_per_degree=64 / 45).images)
    2
    """

    images: Tensor
    targets: Tensor
    pixels_per_degree: float

    def __post_init__(self) -> None:
        images, targets = tuple(self.images.shape), tuple(self.targets.shape)
        fitting = len(targets) == 4 and (targets[0], *targets[2:]) == (images[0], *images[2:])
        if len(images) != 4 or images[1] != 3 or not fitting:
            raise ValueError(
                f"Expected images (M, 3, H, W) and targets (M, C, H, W), got {images} "
                f"and {targets}."
            )
        if not self.pixels_per_degree > 0:
            raise ValueError(f"pixels_per_degree must be positive, got {self.pixels_per_degree}.")


@dataclass
class RandomCameras:
    """Batches of crops as different cameras would show them.

    An instance is called with a `torch.Generator` and returns `(images, targets)`, the form that
    `retina_course.fit` expects. First a source is chosen, then one of its images, a scale, a
    place, an angle; then `appearance.change` changes light, colours, focus, noise and file.

    The targets are the part of each pixel that is vessel, between 0 and 1. At a coarse scale a
    thin vessel covers less than one pixel, and a target of 0 or 1 would be broken into pieces.

    Parameters
    ----------
    sources : sequence of Scaled
        Where the crops come from, each source with its own scale.
    shares : sequence of float, optional
        How often each source is used, as fractions of 1. By default in proportion to its number
        of images.
    size : int, default 256
        Side of the crops in pixels.
    batch_size : int, default 4
        Crops per batch.
    pixels_per_degree : tuple of float, default (10.0, 32.0)
        Lowest and highest scale of a crop; its logarithm is uniform.
    strength : float, default 1.0
        Strength of the changes of appearance, see `appearance.change`.
    seed : int, default 0
        Seed of the sensor noise that all batches share.
    device : torch.device, optional
        Where the crops are made. By default where the first source is.

    Raises
    ------
    ValueError
        If there is no source, or shares or scales are not positive and finite.

    Examples
    --------
    >>> import torch
    >>> from retina_course import synthetic_batch
    >>> images, vessels, _ = synthetic_batch(2, size=128)
    >>> cameras = RandomCameras([Scaled(images, vessels, 128 / 45)], size=64, batch_size=3,
    ...                         pixels_per_degree=(1.5, 3.0))
    >>> x, y = cameras(torch.Generator().manual_seed(0))
    >>> x.shape, y.shape
    (torch.Size([3, 3, 64, 64]), torch.Size([3, 1, 64, 64]))
    """

    sources: Sequence[Scaled]
    shares: Sequence[float] | None = None
    size: int = 256
    batch_size: int = 4
    pixels_per_degree: tuple[float, float] = (10.0, 32.0)
    strength: float = 1.0
    seed: int = 0
    device: torch.device | None = None
    _pyramids: list[list[tuple[Tensor, Tensor]]] = field(init=False, repr=False)
    _noise: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("RandomCameras needs at least one source of images.")
        low, high = self.pixels_per_degree
        if not 0 < low <= high < float("inf"):
            raise ValueError(
                "pixels_per_degree must be two positive numbers, the lower first, "
                f"got {low}, {high}."
            )
        if self.shares is None:
            total = sum(len(source.images) for source in self.sources)
            self.shares = [len(source.images) / total for source in self.sources]
        positive = all(0 < share < float("inf") for share in self.shares)
        if len(self.shares) != len(self.sources) or not positive:
            raise ValueError(
                f"shares must be {len(self.sources)} positive numbers, one for each source, "
                f"got {list(self.shares)}."
            )
        device = self.device or self.sources[0].images.device
        self._pyramids = [
            _pyramid((s.images.to(device), s.targets.to(device)), s.pixels_per_degree / low)
            for s in self.sources
        ]
        self._noise = appearance.noise_bank(self.size, self.seed).to(device)

    def __call__(self, generator: Generator) -> tuple[Tensor, Tensor]:
        crops = torch.cat([self._crop(generator) for _ in range(self.batch_size)])
        images, targets = crops[:, :3], crops[:, 3:]
        images = appearance.change(images, self._noise, generator, self.strength)
        return images, targets.clamp(0, 1)

    def _crop(self, generator: Generator) -> Tensor:
        """One crop of image and targets, `(1, 3 + C, size, size)`."""
        assert self.shares is not None
        r = torch.rand(9, generator=generator).tolist()
        cumulated = torch.tensor(self.shares).cumsum(0)
        chosen = int((r[0] * cumulated[-1] >= cumulated[:-1]).sum())
        source, pyramid = self.sources[chosen], self._pyramids[chosen]
        index = int(r[1] * len(source.images))
        low, high = self.pixels_per_degree
        scale = low * (high / low) ** r[2]
        step = source.pixels_per_degree / scale  # pixels of the source per pixel of the crop
        # A level of the pyramid is half as large as that before: no pixel is skipped.
        level = min(max(0, int(torch.tensor(step).log2().floor())), len(pyramid) - 1)
        image = torch.cat([part[index : index + 1] for part in pyramid[level]], dim=1)
        step /= 2**level
        height, width = image.shape[2:]
        aspect = 0.9 + 0.2 * r[3]
        turn = torch.tensor(2 * torch.pi * r[4])
        mirror = 1 if r[5] < 0.5 else -1
        matrix = torch.tensor(
            [[turn.cos() * mirror, -turn.sin()], [turn.sin() * mirror, turn.cos()]]
        ) * torch.tensor([[step * aspect], [step / aspect]])
        margin = 0.35 * self.size * step  # the centre keeps most of a crop inside the image
        x = _between(margin, width - margin, r[6])
        y = _between(margin, height - margin, r[7])
        # affine_grid counts in halves of the sides, of the crop and of the image.
        halves = torch.tensor([[width], [height]]) / self.size
        centre = torch.tensor([[2 * x / width - 1], [2 * y / height - 1]])
        theta = torch.cat([matrix / halves, centre], dim=1)[None].to(image.device)
        grid = F.affine_grid(theta, [1, 1, self.size, self.size], align_corners=False)
        return F.grid_sample(image, grid, mode="bilinear", align_corners=False)


def _pyramid(both: tuple[Tensor, Tensor], largest_step: float) -> list[tuple[Tensor, Tensor]]:
    """Images and targets, and halved again and again while a crop may skip pixels.

    The two stay apart: joined they would be held in memory twice.
    """
    levels = [both]
    while 2 ** len(levels) <= largest_step and min(levels[-1][0].shape[2:]) > 32:
        images, targets = levels[-1]
        levels.append((F.avg_pool2d(images, 2), F.avg_pool2d(targets, 2)))
    return levels


def _between(low: float, high: float, r: float) -> float:
    """A place between two limits; their middle where the image is too small for any."""
    return low + r * (high - low) if low < high else (low + high) / 2
