"""Synthetic fundus images from a seed, of any size, with an exact ground truth.

The seed determines a scene, in units of the radius of the field of view. The scene is then painted
at the requested size, so the same seed gives the same eye at every size (apart from pixel noise).
The masks are computed from the geometry, before blur and noise, and are therefore exact. The image
follows a simple optical model: blood and pigment attenuate the light that the fundus reflects, by
the law of Beer and Lambert.

All random numbers come from `numpy.random.Generator(PCG64(...))`, by its methods `random` and
`standard_normal` only. Masks, classes and boxes are the same on every machine. The image is
quantised to 8 bits, like a photograph, and may differ by one level (1/255) in single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from retina_course.data.synthetic import scene as fundus_scene

BACKGROUND, VESSEL, DISC, LESION = range(4)
MIN_SIZE = 32  # pixels


@dataclass(frozen=True)
class Fundus:
    """One synthetic fundus image with its exact layers.

    The layers `artery`, `vein`, `disc`, `haemorrhage` and `exudate` lie inside `fov` and may
    overlap.

    Parameters
    ----------
    image : Tensor
        `(3, H, W)`, float32 RGB in [0, 1], black outside the field of view.
    artery, vein : Tensor
        `(H, W)`, bool: the vessels of each kind.
    disc : Tensor
        `(H, W)`, bool: the optic disc.
    haemorrhage, exudate : Tensor
        `(H, W)`, bool: the dark and the bright lesions.
    fov : Tensor
        `(H, W)`, bool: the field of view.
    boxes : Tensor
        `(K, 4)`, float32, x1, y1, x2, y2 in pixels, x2 and y2 exclusive: the disc, then each
        connected lesion.
    labels : Tensor
        `(K,)`, int64, the class of each box: 2 disc, 3 lesion.
    """

    image: Tensor
    artery: Tensor
    vein: Tensor
    disc: Tensor
    haemorrhage: Tensor
    exudate: Tensor
    fov: Tensor
    boxes: Tensor
    labels: Tensor

    @property
    def vessel(self) -> Tensor:
        """Arteries and veins together, `(H, W)`, bool."""
        return self.artery | self.vein

    @property
    def lesion(self) -> Tensor:
        """Haemorrhages (dark) and hard exudates (bright) together, `(H, W)`, bool."""
        return self.haemorrhage | self.exudate

    @property
    def classes(self) -> Tensor:
        """The class map, `(H, W)`, int64: 0 background, 1 vessel, 2 disc, 3 lesion.

        Where they overlap, lesions hide vessels, and both hide the disc.
        """
        classes = torch.zeros(self.fov.shape, dtype=torch.int64)
        classes[self.disc] = DISC
        classes[self.vessel] = VESSEL
        classes[self.lesion] = LESION
        return classes


def make_fundus(size: int | tuple[int, int] = 512, seed: int = 0) -> Fundus:
    """Generate one synthetic fundus image with its layers.

    Parameters
    ----------
    size : int or tuple of int, default 512
        Side in pixels, or height and width, each at least 32. Where they differ, the round field
        of view fits the shorter side.
    seed : int, default 0
        At least 0; the same seed gives the same eye at every size.

    Returns
    -------
    Fundus
        The image, its layers, and the boxes of disc and lesions.

    Raises
    ------
    TypeError
        If `size` or `seed` are not integers.
    ValueError
        If `size` is less than 32, or `seed` is negative.

    Examples
    --------
    >>> from retina_course import make_fundus
    >>> fundus = make_fundus(size=(64, 96), seed=13)
    >>> fundus.image.shape, fundus.vessel.shape
    (torch.Size([3, 64, 96]), torch.Size([64, 96]))
    >>> fundus.classes.unique()  # background, vessel, disc, lesion
    tensor([0, 1, 2, 3])
    """
    height, width = _checked_size(size)
    scene = fundus_scene.Scene(_checked_seed(seed))
    side = min(height, width)
    image, layers = fundus_scene.paint(scene, side)
    top, left = (height - side) // 2, (width - side) // 2
    around = ((top, height - side - top), (left, width - side - left))
    image = np.pad(image, ((0, 0), *around))
    layers = {name: np.pad(layer, around) for name, layer in layers.items()}
    boxes, labels = _boxes(layers["disc"], layers["haemorrhage"] | layers["exudate"])
    tensors = {name: torch.from_numpy(layer) for name, layer in layers.items()}
    return Fundus(image=torch.from_numpy(image), boxes=boxes, labels=labels, **tensors)


def synthetic_batch(
    n: int, size: int | tuple[int, int] = 128, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Generate `n` synthetic images for vessel segmentation.

    Parameters
    ----------
    n : int
        Number of images.
    size : int or tuple of int, default 128
        Side in pixels, or height and width, each at least 32.
    seed : int, default 0
        Seed of the batch; other seeds give other images.

    Returns
    -------
    images : Tensor
        `(n, 3, H, W)`, float32 RGB in [0, 1].
    vessels : Tensor
        `(n, 1, H, W)`, float32 in {0, 1}.
    fovs : Tensor
        `(n, 1, H, W)`, bool, the fields of view.

    Examples
    --------
    >>> from retina_course import synthetic_batch
    >>> images, vessels, fovs = synthetic_batch(2, size=64, seed=0)
    >>> images.shape, vessels.shape, fovs.dtype
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 1, 64, 64]), torch.bool)
    """
    batch = make_fundus_images(n, size, seed)
    images = torch.stack([fundus.image for fundus in batch])
    vessels = torch.stack([fundus.vessel for fundus in batch])[:, None].float()
    return images, vessels, torch.stack([fundus.fov for fundus in batch])[:, None]


def synthetic_classes(
    n: int, size: int | tuple[int, int] = 128, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Generate the images of `synthetic_batch(n, size, seed)` with their class maps.

    Parameters
    ----------
    n : int
        Number of images.
    size : int or tuple of int, default 128
        Side in pixels, or height and width, each at least 32.
    seed : int, default 0
        Seed of the batch; other seeds give other images.

    Returns
    -------
    images : Tensor
        `(n, 3, H, W)`, float32 RGB in [0, 1].
    classes : Tensor
        `(n, H, W)`, int64: 0 background, 1 vessel, 2 disc, 3 lesion.

    Examples
    --------
    >>> images, classes = synthetic_classes(2, size=64, seed=0)
    >>> images.shape, classes.shape
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 64, 64]))
    """
    batch = make_fundus_images(n, size, seed)
    images = torch.stack([fundus.image for fundus in batch])
    return images, torch.stack([fundus.classes for fundus in batch])


def make_fundus_images(n: int, size: int | tuple[int, int] = 128, seed: int = 0) -> list[Fundus]:
    """Generate `n` synthetic images with all their layers.

    Parameters
    ----------
    n : int
        Number of images.
    size : int or tuple of int, default 128
        Side in pixels, or height and width, each at least 32.
    seed : int, default 0
        Seed of the batch; other seeds give other images.

    Returns
    -------
    list of Fundus
        The images.

    Raises
    ------
    ValueError
        If `n` is not an integer of at least 1.

    Examples
    --------
    >>> [fundus.image.shape for fundus in make_fundus_images(2, size=(32, 40))]
    [torch.Size([3, 32, 40]), torch.Size([3, 32, 40])]
    """
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n must be an integer of at least 1, got {n!r}.")
    seed = _checked_seed(seed)
    # Hashed, so that the batches of two neighbouring seeds have no image in common.
    seeds = [np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0] for i in range(n)]
    return [make_fundus(size, int(one)) for one in seeds]


def _boxes(disc: np.ndarray, lesion: np.ndarray) -> tuple[Tensor, Tensor]:
    """Boxes of the disc and of each lesion (pixels that touch, also at corners, are one)."""
    pieces, _ = ndimage.label(lesion, structure=np.ones((3, 3)))
    places = ndimage.find_objects(disc.astype(np.int8)) + ndimage.find_objects(pieces)
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in places]
    labels = [DISC] * bool(disc.any()) + [LESION] * int(pieces.max())
    return (
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )


def _checked_size(size: object) -> tuple[int, int]:
    """`size` as (height, width)."""
    pair = (size, size) if isinstance(size, Integral) else size
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not all(isinstance(side, Integral) and not isinstance(side, bool) for side in pair)
    ):
        raise TypeError(f"size must be an int or (height, width) in pixels, got {size!r}.")
    if min(pair) < MIN_SIZE:
        raise ValueError(
            f"size must be at least {MIN_SIZE} pixels in each direction, got {size!r}."
        )
    return int(pair[0]), int(pair[1])


def _checked_seed(seed: object) -> int:
    """`seed` as an int >= 0."""
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer, got {seed!r}.")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed!r}.")
    return int(seed)
