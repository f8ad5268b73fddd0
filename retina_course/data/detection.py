"""Targets of detectors: boxes from masks, checks, flips, augmented batches.

A target is a dict of `boxes`, float32 `(K, 4)`, x1, y1, x2, y2 in pixels, x2 and y2 exclusive;
`labels`, int64 `(K,)`, from 1; and, where outlines are known, `segmentation`, int64 `(H, W)`, where
0 is the background.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from retina_course.data.augment import colour_jitter
from retina_course.models.detection.boxes import area, clip

# The labels 1, 2, 3 of synthetic images and of IDRiD, in the order of IDRiD's files.
LESION_CLASSES = ("optic disc", "hard exudates", "haemorrhages")

Target = dict[str, Tensor]


def boxes_from_masks(classes: Tensor | np.ndarray, min_size: int = 1) -> tuple[Tensor, Tensor]:
    """Find the bounding box of every connected object in a class map.

    Pixels of one class that touch, also at a corner, form one object. A class map does not
    contain objects: two lesions that touch get one box, and a lesion that another class divides
    gets two.

    Parameters
    ----------
    classes : Tensor or ndarray of int
        Class map `(H, W)`, 0 is the background.
    min_size : int, default 1
        Objects with fewer pixels are left out.

    Returns
    -------
    boxes : Tensor
        `(K, 4)` float32, x1, y1, x2, y2 in pixels, x2 and y2 exclusive; sorted by class, then
        from top to bottom.
    labels : Tensor
        `(K,)` int64, the class of each box.

    Raises
    ------
    ValueError
        If `classes` does not have the shape `(H, W)`, or has negative values.
    TypeError
        If `classes` does not contain integers.

    Examples
    --------
    >>> import numpy as np
    >>> classes = np.array([[1, 1, 0, 0], [0, 1, 0, 2]])
    >>> boxes, labels = boxes_from_masks(classes)
    >>> boxes.tolist(), labels.tolist()
    ([[0.0, 0.0, 2.0, 2.0], [3.0, 1.0, 4.0, 2.0]], [1, 2])
    """
    classes = np.asarray(classes)
    if classes.ndim != 2:
        raise ValueError(f"Expected a class map of shape (H, W), got shape {classes.shape}.")
    if classes.dtype.kind not in "bui":
        raise TypeError(f"Expected a class map of integers, got {classes.dtype}.")
    if classes.size and classes.min() < 0:
        raise ValueError(f"Expected classes from 0, the background, got {classes.min()}.")
    boxes, labels = [], []
    for label in np.unique(classes[classes > 0]).tolist():
        pieces, _ = ndimage.label(classes == label, structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        for (y, x), pixels in zip(ndimage.find_objects(pieces), sizes, strict=True):
            if pixels >= min_size:
                boxes.append((x.start, y.start, x.stop, y.stop))
                labels.append(label)
    return (
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )


def check_target(target: Target, size: tuple[int, int], num_classes: int) -> None:
    """Check that a detector can learn from a target.

    Boxes must be finite and have an area inside the image; they may reach beyond it. Labels are
    1 to `num_classes`, and the classes of a segmentation 0 to `num_classes`.

    Parameters
    ----------
    target : dict of Tensor
        With `boxes`, `labels` and, optionally, `segmentation`.
    size : tuple of int
        Height and width of the image in pixels.
    num_classes : int
        Number of classes without the background.

    Raises
    ------
    ValueError
        If the target does not meet one of these conditions; the message names the first.

    Examples
    --------
    >>> import torch
    >>> target = {"boxes": torch.tensor([[8.0, 4, 8, 9]]), "labels": torch.tensor([1])}
    >>> check_target(target, size=(32, 32), num_classes=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: Box 0, [8.0, 4.0, 8.0, 9.0], has no area inside the image of 32x32 pixels. ...
    """
    boxes, labels = target["boxes"], target["labels"]
    if boxes.dim() != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            "Expected boxes of shape (K, 4) and labels of shape (K,), got "
            f"{tuple(boxes.shape)} and {tuple(labels.shape)}."
        )
    height, width = size
    bad = ~(torch.isfinite(boxes).all(dim=1) & (area(clip(boxes, size)) > 0))
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"Box {i}, {boxes[i].tolist()}, has no area inside the image of {width}x{height} "
            "pixels. Expected x1 < x2 and y1 < y2, in pixels."
        )
    if ((labels < 1) | (labels > num_classes)).any():
        raise ValueError(f"Expected labels from 1 to {num_classes}, got {labels.tolist()}.")
    classes = target.get("segmentation")
    if classes is not None and not 0 <= int(classes.min()) <= int(classes.max()) <= num_classes:
        raise ValueError(
            f"Expected a segmentation of 0 to {num_classes}, got {int(classes.min())} to "
            f"{int(classes.max())}."
        )


@dataclass
class RandomAffine:
    """Augmented batches of whole images with their boxes.

    An instance is called with a `torch.Generator` and returns `(images, targets)`, the form that
    `retina_course.fit` expects. Each image is flipped, scaled, shifted and colour-jittered.
    It is not rotated, because the sides of a rotated box are no longer parallel to the axes. An
    object that keeps less than half of its box's area in view loses its box; its visible pixels
    stay in `segmentation`.

    Parameters
    ----------
    images : Tensor
        `(M, C, H, W)`, float32 in [0, 1], on any device.
    targets : list of dict
        One target per image, on the same device.
    batch_size : int, default 4
        Number of images per batch, chosen at random.
    scale : tuple of float, default (0.8, 1.25)
        Smallest and largest scale factor; `(1, 1)` leaves the pixels as they are.
    jitter : float, default 0.2
        Strength of the colour changes, see `colour_jitter`; RGB only. 0 changes nothing.

    Raises
    ------
    ValueError
        If there is not one target per image.

    Examples
    --------
    >>> import torch
    >>> from retina_course import RandomAffine
    >>> images = torch.zeros(2, 3, 32, 32)
    >>> target = {"boxes": torch.tensor([[8.0, 4, 16, 10]]), "labels": torch.tensor([1])}
    >>> batches = RandomAffine(images, [target, target], batch_size=3, scale=(1, 1))
    >>> x, targets = batches(torch.Generator().manual_seed(0))
    >>> x.shape, len(targets)
    (torch.Size([3, 3, 32, 32]), 3)
    """

    images: Tensor
    targets: list[Target]
    batch_size: int = 4
    scale: tuple[float, float] = (0.8, 1.25)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if len(self.images) != len(self.targets):
            raise ValueError(
                f"Expected one target per image, got {len(self.targets)} for {len(self.images)}."
            )

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, list[Target]]:
        chosen = torch.randint(len(self.images), (self.batch_size,), generator=generator)
        flips = torch.randint(2, (self.batch_size, 2), generator=generator).tolist()
        pairs = []
        for i, (across, down) in zip(chosen.tolist(), flips, strict=True):
            axes = [-1] * across + [-2] * down
            pairs.append(flip(self.images[i], self.targets[i], axes))
        images, targets = torch.stack([image for image, _ in pairs]), [t for _, t in pairs]
        if self.scale != (1, 1):
            images, targets = self._scale_and_shift(images, targets, generator)
        if self.jitter:
            images = colour_jitter(images, generator, self.jitter)
        return images, targets

    def _scale_and_shift(
        self, images: Tensor, targets: list[Target], generator: torch.Generator
    ) -> tuple[Tensor, list[Target]]:
        """Scale each image about a random point; the view stays inside, or around, the image."""
        n, _, height, width = images.shape
        low, high = self.scale
        scale = torch.rand(n, generator=generator) * (high - low) + low
        # In units of the image's sides; a reduced image may lie anywhere in the view.
        largest_shift = (1 - 1 / scale).abs() / 2
        shift = (2 * torch.rand(n, 2, generator=generator) - 1) * largest_shift[:, None]
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
        theta[:, :, 2] = 2 * shift
        grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images.device)
        moved = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        size = images.new_tensor([width, height, width, height])
        results = []
        for i, target in enumerate(targets):
            centre = torch.cat([0.5 + shift[i], 0.5 + shift[i]]).to(images.device) * size
            boxes = (target["boxes"] - centre) * float(scale[i]) + size / 2
            visible = clip(boxes, (height, width))
            kept = (area(visible) > 0) & (area(visible) >= 0.5 * area(boxes))
            result = {"boxes": visible[kept], "labels": target["labels"][kept]}
            if "segmentation" in target:
                classes = target["segmentation"][None, None].float()
                classes = F.grid_sample(
                    classes, grid[i : i + 1], mode="nearest", align_corners=False
                )
                result["segmentation"] = classes[0, 0].long()
            results.append(result)
        return moved, results


def flip(image: Tensor, target: Target, axes: list[int]) -> tuple[Tensor, Target]:
    """Mirror an image together with its target.

    Parameters
    ----------
    image : Tensor
        `(C, H, W)`.
    target : dict of Tensor
        Its target; `segmentation` is mirrored where there is one.
    axes : list of int
        -1 mirrors left to right, -2 upside down.

    Returns
    -------
    tuple of Tensor and dict
        The mirrored image and the mirrored target.

    Examples
    --------
    >>> import torch
    >>> target = {"boxes": torch.tensor([[0.0, 0, 2, 1]]), "labels": torch.tensor([1])}
    >>> image, mirrored = flip(torch.zeros(3, 4, 8), target, axes=[-1])
    >>> mirrored["boxes"]
    tensor([[6., 0., 8., 1.]])
    """
    height, width = image.shape[-2:]
    flipped = dict(target, boxes=flip_boxes(target["boxes"], (height, width), axes))
    if "segmentation" in target:
        flipped["segmentation"] = target["segmentation"].flip(axes)
    return image.flip(axes), flipped


def flip_boxes(boxes: Tensor, size: tuple[int, int], axes: list[int]) -> Tensor:
    """Mirror boxes together with their image.

    Parameters
    ----------
    boxes : Tensor
        `(K, 4)`, x1, y1, x2, y2 in pixels.
    size : tuple of int
        Height and width of the image in pixels.
    axes : list of int
        -1 mirrors left to right, -2 upside down.

    Returns
    -------
    Tensor
        `(K, 4)`, the boxes in the flipped image.

    Examples
    --------
    >>> import torch
    >>> flip_boxes(torch.tensor([[0.0, 0, 2, 1]]), size=(4, 8), axes=[-2])
    tensor([[0., 3., 2., 4.]])
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    if -1 in axes:
        x1, x2 = size[1] - x2, size[1] - x1
    if -2 in axes:
        y1, y2 = size[0] - y2, size[0] - y1
    return torch.stack([x1, y1, x2, y2], dim=-1)
