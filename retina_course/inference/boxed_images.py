"""Photographs with boxes as a detector is trained on them."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from retina_course.data.idrid import BoxedPhotograph
from retina_course.data.images import read_image
from retina_course.inference.detection import ellipses
from retina_course.inference.field_of_view import crop_to_fov
from retina_course.inference.scale import training_diameter
from retina_course.models.detection.boxes import clip


def stack_boxed_images(
    photographs: Iterable[BoxedPhotograph],
    fov_diameter: float,
    multiple: int = 32,
    pixels_per_degree: float | None = None,
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Photographs as `RandomAffine` takes them: one scale, one size, boxes in its pixels.

    Parameters
    ----------
    photographs : iterable of BoxedPhotograph
        Photographs with boxes and labels; any sizes.
    fov_diameter : float
        Pixels that the diameter of each field of view is to have.
    multiple : int, default 32
        What height and width of the images are to be multiples of.
    pixels_per_degree : float, optional
        Pixels that each degree of its `field_angle` is to have, in the place of `fov_diameter`: so
        photographs of different cameras have one scale.

    Returns
    -------
    images : Tensor
        Float32 `(M, 3, H, W)`, edge pixels repeated below and on the right.
    targets : list of dict
        M dicts of `boxes`, `labels` and `segmentation`. Boxes of less than a pixel are left out.
        `segmentation` is the ellipse in each box, small ones over large ones (`ellipses`): nearly
        the outlines of discs, a coarse guess at clusters of lesions.

    Raises
    ------
    ValueError
        There is no photograph, one is black, or its field angle is needed and not known.
    """
    crops: list[Tensor] = []
    targets: list[dict[str, Tensor]] = []
    for photo in photographs:
        diameter = training_diameter(photo, fov_diameter, pixels_per_degree)
        crop, (top, left), scale = crop_to_fov(read_image(photo.image), diameter)
        boxes = (photo.boxes - torch.tensor([left, top, left, top])) * scale
        boxes = clip(boxes, (crop.shape[1], crop.shape[2]))
        inside = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
        crops.append(crop)
        targets.append({"boxes": boxes[inside], "labels": photo.labels[inside]})
    if not crops:
        raise ValueError("No photograph to train on.")
    height, width = (
        -(-max(crop.shape[axis] for crop in crops) // multiple) * multiple for axis in (1, 2)
    )
    for target in targets:
        target["segmentation"] = ellipses(target["boxes"], target["labels"], (height, width))
    # Edge pixels are repeated, as in `detect`: black beyond the frame would be an edge to learn.
    images = [
        F.pad(c, (0, width - c.shape[2], 0, height - c.shape[1]), mode="replicate") for c in crops
    ]
    return torch.stack(images), targets
