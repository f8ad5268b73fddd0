"""Synthetic images with boxes: fundus images with lesions, and rings and discs in noise."""

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from retina_course.data.detection import Target, boxes_from_masks
from retina_course.data.synthetic.fundus import make_fundus_images

TOY_CLASSES = ("disc", "ring")


def synthetic_detection(n: int, size: int = 256, seed: int = 0) -> tuple[Tensor, list[Target]]:
    """Generate `n` synthetic fundus images with the exact boxes of their discs and lesions.

    The images are those of `synthetic_batch(n, size, seed)`. The labels are those of
    `LESION_CLASSES`: 1 optic disc, 2 hard exudates, 3 haemorrhages. Where they overlap, exudates
    hide haemorrhages, and both hide the disc.

    Parameters
    ----------
    n : int
        Number of images.
    size : int, default 256
        Side of the images in pixels, at least 32.
    seed : int, default 0
        Seed of the batch; other seeds give other images.

    Returns
    -------
    images : Tensor
        `(n, 3, size, size)`, float32 RGB in [0, 1].
    targets : list of dict
        For each image `boxes`, `labels` and `segmentation`, see `retina_course.data.detection`.

    Examples
    --------
    >>> images, targets = synthetic_detection(2, size=64, seed=0)
    >>> images.shape, targets[0]["segmentation"].shape
    (torch.Size([2, 3, 64, 64]), torch.Size([64, 64]))
    >>> [int((target["labels"] == 1).sum()) for target in targets]  # one optic disc each
    [1, 1]
    """
    images = make_fundus_images(n, size, seed)
    targets = []
    for fundus in images:
        classes = torch.zeros(fundus.fov.shape, dtype=torch.int64)
        for label, layer in ((1, fundus.disc), (3, fundus.haemorrhage), (2, fundus.exudate)):
            classes[layer] = label
        boxes, labels = boxes_from_masks(classes)
        targets.append({"boxes": boxes, "labels": labels, "segmentation": classes})
    return torch.stack([fundus.image for fundus in images]), targets


def synthetic_toys(
    n: int, seed: int = 0, *, size: int = 320, radius: int = 20, hole: int = 4
) -> tuple[Tensor, list[Target]]:
    """Generate images with one disc or one ring in noise; the class is what must be found.

    This is the toy experiment of arXiv:1811.08661, corrected. The noise is uniform in [0, 1). A
    disc of `radius` pixels (label 1) is 0.2 brighter than the noise. A ring (label 2, as likely
    as a disc) has a hole of `hole` pixels radius, which is background. All values are divided by
    1.2, to stay in [0, 1].

    The published program compares the squared distance with a squared DIAMETER. Its objects of
    "diameter 20" therefore measure 39 pixels, and its margin is for 20, so the border cuts some
    of them. Here `radius` is the radius, and every object lies inside the image.

    Parameters
    ----------
    n : int
        Number of images.
    seed : int, default 0
        Seed of the batch.
    size : int, default 320
        Side of the images in pixels.
    radius : int, default 20
        Radius of discs and rings in pixels.
    hole : int, default 4
        Radius of a ring's hole in pixels.

    Returns
    -------
    images : Tensor
        `(n, 1, size, size)`, float32 in [0, 1].
    targets : list of dict
        For each image `boxes`, `labels` and `segmentation`, see `retina_course.data.detection`.

    Raises
    ------
    ValueError
        If `n` is less than 1, or the sizes do not fit into each other.

    Examples
    --------
    >>> images, targets = synthetic_toys(2, seed=0, size=64, radius=10)
    >>> images.shape
    torch.Size([2, 1, 64, 64])
    >>> x1, y1, x2, y2 = targets[0]["boxes"][0].tolist()
    >>> x2 - x1, y2 - y1  # a diameter of 2 * radius - 1 pixels
    (19.0, 19.0)
    """
    if n < 1 or not 0 < hole < radius or 2 * radius + 1 > size:
        raise ValueError(
            "Expected n >= 1, 0 < hole < radius and 2 radius < size, got "
            f"n={n}, hole={hole}, radius={radius}, size={size}."
        )
    images, targets = [], []
    for i in range(n):
        rng = Generator(PCG64((seed, i)))
        room = size - 2 * radius
        x, y = (radius + int(room * rng.random()) for _ in range(2))
        is_ring = rng.random() < 0.5
        ticks = np.arange(size)
        squared_distance = (ticks - x) ** 2 + (ticks[:, None] - y) ** 2
        shape = squared_distance < radius**2
        if is_ring:
            shape &= squared_distance >= hole**2
        image = (rng.random((size, size)) + 0.2 * shape) / 1.2
        classes = torch.from_numpy(shape.astype(np.int64) * (1 + is_ring))
        boxes, labels = boxes_from_masks(classes)
        images.append(torch.from_numpy(image.astype(np.float32))[None])
        targets.append({"boxes": boxes, "labels": labels, "segmentation": classes})
    return torch.stack(images), targets
