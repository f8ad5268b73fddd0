"""Synthetic fundus images: seeded, of any size, with masks that are exact because they are drawn.

A scene is drawn from the seed in units of the radius of the field of view, then painted at the
size asked for: the same seed gives the same eye at every size (pixel noise apart). Masks are made
from the geometry, before blur and noise. The image follows a simple optical model: light reflected
by the fundus, dimmed by what lies before it (blood, pigment) by the law of Beer and Lambert.

All randomness comes from `numpy.random.Generator(PCG64(...))`, by its methods `random` and
`standard_normal` only. Masks, classes and boxes are the same on every machine; the image is
quantised to 8 bits, as a photograph is, and may differ by one level (1/255) in single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from scipy import ndimage

from retina_course.data.synthetic import scene as fundus_scene

BACKGROUND, VESSEL, DISC, LESION = range(4)
SMALLEST = 32


@dataclass(frozen=True)
class Fundus:
    """One synthetic fundus image with its exact layers.

    Attributes
    ----------
    image : float32 (3, H, W), RGB in [0, 1], black outside the field of view.
    artery, vein, disc, haemorrhage, exudate, fov : bool (H, W). The first five lie inside `fov`
        and may overlap.
    boxes : float32 (K, 4), x1, y1, x2, y2 in pixels, x2 and y2 exclusive: the disc, then each
        connected lesion.
    labels : int64 (K,), class ids of the boxes: 2 disc, 3 lesion.
    """

    image: torch.Tensor
    artery: torch.Tensor
    vein: torch.Tensor
    disc: torch.Tensor
    haemorrhage: torch.Tensor
    exudate: torch.Tensor
    fov: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor

    @property
    def vessel(self) -> torch.Tensor:
        """Arteries and veins together, bool (H, W)."""
        return self.artery | self.vein

    @property
    def lesion(self) -> torch.Tensor:
        """Haemorrhages (dark) and hard exudates (bright) together, bool (H, W)."""
        return self.haemorrhage | self.exudate

    @property
    def classes(self) -> torch.Tensor:
        """0 background, 1 vessel, 2 disc, 3 lesion, int64 (H, W); lesion over vessel over disc."""
        classes = torch.zeros(self.fov.shape, dtype=torch.int64)
        classes[self.disc] = DISC
        classes[self.vessel] = VESSEL
        classes[self.lesion] = LESION
        return classes


def make_fundus(size: int | tuple[int, int] = 512, seed: int = 0) -> Fundus:
    """Make one fundus image.

    Parameters
    ----------
    size : side in pixels, or (height, width), each at least 32. Where they differ, the round
        field of view fits the shorter side.
    seed : integer >= 0; the same seed gives the same eye at every size.

    Raises
    ------
    TypeError, ValueError : `size` or `seed` is not of that kind.
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
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`n` synthetic images for vessel segmentation; other seeds give other images.

    Returns
    -------
    images float32 (n, 3, H, W), vessels float32 (n, 1, H, W) in {0, 1}, fovs bool (n, 1, H, W).
    """
    made = make_fundus_images(n, size, seed)
    images = torch.stack([fundus.image for fundus in made])
    vessels = torch.stack([fundus.vessel for fundus in made])[:, None].float()
    return images, vessels, torch.stack([fundus.fov for fundus in made])[:, None]


def synthetic_classes(
    n: int, size: int | tuple[int, int] = 128, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of `synthetic_batch(n, size, seed)`, and their class maps int64 (n, H, W)."""
    made = make_fundus_images(n, size, seed)
    images = torch.stack([fundus.image for fundus in made])
    return images, torch.stack([fundus.classes for fundus in made])


def make_fundus_images(n: int, size: int | tuple[int, int] = 128, seed: int = 0) -> list[Fundus]:
    """`n` images with all their layers; other seeds give other images."""
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a whole number of images, 1 or more, got {n!r}")
    seed = _checked_seed(seed)
    # Hashed, so that the batches of two neighbouring seeds share no image.
    seeds = [np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0] for i in range(n)]
    return [make_fundus(size, int(one)) for one in seeds]


def _boxes(disc: np.ndarray, lesion: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of the disc and of each lesion (pixels that touch, also at corners, are one)."""
    pieces, _ = ndimage.label(lesion, structure=np.ones((3, 3)))
    places = ndimage.find_objects(disc.astype(np.int8)) + ndimage.find_objects(pieces)
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in places]
    labels = [DISC] * bool(disc.any()) + [LESION] * int(pieces.max())
    return (
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )


def _checked_size(size) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, Integral) else size
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not all(isinstance(side, Integral) and not isinstance(side, bool) for side in pair)
    ):
        raise TypeError(f"size must be an int or (height, width) in whole pixels, got {size!r}")
    if min(pair) < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels each way, got {size!r}")
    return int(pair[0]), int(pair[1])


def _checked_seed(seed) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"seed must be an integer, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed!r}")
    return int(seed)
