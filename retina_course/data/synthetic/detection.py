"""Synthetic images with boxes: images with lesions, and rings and discs on noise."""

import numpy as np
import torch
from numpy.random import PCG64, Generator
from torch import Tensor

from retina_course.data.detection import Target, boxes_from_masks
from retina_course.data.synthetic.fundus import make_fundus_images

TOY_CLASSES = ("disc", "ring")


def synthetic_detection(n: int, size: int = 256, seed: int = 0) -> tuple[Tensor, list[Target]]:
    """The images of `synthetic_batch(n, size, seed)` and exact boxes of their discs and lesions.

    Labels as in `LESION_CLASSES`: 1 optic disc, 2 hard exudates, 3 haemorrhages. Where they
    overlap, exudates lie over haemorrhages, and both over the disc.

    Returns
    -------
    images float32 `(n, 3, H, W)`, and n targets with `segmentation`.
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
    """A disc or a ring in noise, one an image: which of the two is the question.

    The toy experiment of arXiv 1811.08661, corrected. Noise is uniform in [0, 1); a
    disc of `radius` pixels is 0.2 brighter, and a ring (label 2, as likely as a disc, label 1)
    lacks the middle `hole` pixels of radius. The published program compares the squared distance
    with a squared DIAMETER, so that its objects of "diameter 20" measure 39 pixels, and leaves a
    margin for 20, so that the border cuts some of them. Here `radius` is the radius, and no object
    is cut. All is divided by 1.2, to stay in [0, 1].

    Returns
    -------
    images float32 `(n, 1, size, size)`, and n targets with `segmentation`; a ring's hole is
    background.

    Raises
    ------
    ValueError : a ring that does not fit, or less than one image.
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
        tick = np.arange(size)
        distance = (tick - x) ** 2 + (tick[:, None] - y) ** 2
        shape = distance < radius**2
        if is_ring:
            shape &= distance >= hole**2
        image = (rng.random((size, size)) + 0.2 * shape) / 1.2
        classes = torch.from_numpy(shape.astype(np.int64) * (1 + is_ring))
        boxes, labels = boxes_from_masks(classes)
        images.append(torch.from_numpy(image.astype(np.float32))[None])
        targets.append({"boxes": boxes, "labels": labels, "segmentation": classes})
    return torch.stack(images), targets
