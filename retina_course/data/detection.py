"""Targets of detectors: boxes from masks, checks, mirror images, augmented batches.

A target is a dict of `boxes` float32 `(K, 4)` (x1, y1, x2, y2 in pixels, x2 and y2 exclusive),
`labels` int64 `(K,)`, from 1, and, where outlines are known, `segmentation` int64 `(H, W)`,
0 the background.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from retina_course.data.augment import colour_jitter
from retina_course.models.detection.boxes import area, clip

# The labels 1, 2, 3 of synthetic eyes and of IDRiD, in the order of IDRiD's files.
LESION_CLASSES = ("optic disc", "hard exudates", "haemorrhages")

Target = dict[str, Tensor]


def boxes_from_masks(classes: Tensor | np.ndarray, smallest: int = 1) -> tuple[Tensor, Tensor]:
    """The box of every object in a class map: pixels of one class that touch are one object.

    Pixels that touch at a corner only count as touching. Two lesions that touch become one box,
    and one that another class cuts in two becomes two: a map does not know objects.

    Parameters
    ----------
    classes : whole numbers `(H, W)`, 0 the background.
    smallest : objects of fewer pixels are left out.

    Returns
    -------
    boxes float32 `(K, 4)`, labels int64 `(K,)`; by class, then from top to bottom.

    Raises
    ------
    ValueError, TypeError : not `(H, W)`, negative, or not whole numbers.
    """
    classes = np.asarray(classes)
    if classes.ndim != 2:
        raise ValueError(f"Expected a class map (H, W), got shape {classes.shape}.")
    if classes.dtype.kind not in "bui":
        raise TypeError(f"Expected a class map of whole numbers, got {classes.dtype}.")
    if classes.size and classes.min() < 0:
        raise ValueError(f"Classes start at 0, the background; got {classes.min()}.")
    boxes, labels = [], []
    for label in np.unique(classes[classes > 0]).tolist():
        pieces, _ = ndimage.label(classes == label, structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        for (y, x), pixels in zip(ndimage.find_objects(pieces), sizes, strict=True):
            if pixels >= smallest:
                boxes.append((x.start, y.start, x.stop, y.stop))
                labels.append(label)
    return (
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )


def check_target(target: Target, size: tuple[int, int], num_classes: int) -> None:
    """Raise `ValueError` unless a target can be learned; here values are checked, once.

    Boxes must be finite, have an area inside the picture of `size` (height, width), and may reach
    beyond it; labels are 1..num_classes, and a segmentation 0..num_classes.
    """
    boxes, labels = target["boxes"], target["labels"]
    if boxes.dim() != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            "Expected boxes (K, 4) and labels (K,), got "
            f"{tuple(boxes.shape)} and {tuple(labels.shape)}."
        )
    height, width = size
    bad = ~(torch.isfinite(boxes).all(dim=1) & (area(clip(boxes, size)) > 0))
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"Box {i}, {boxes[i].tolist()}, has no area inside the picture of {width}x{height} "
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
    """Draws augmented batches of whole images: `views(generator) -> (images, targets)` for `fit`.

    Each image is mirrored at random, then magnified and moved as far as `scale` allows, and
    recoloured. There are no turns: a turned box is no box. Objects that keep less than half of
    their box's area in view lose their box; what is seen of them stays in `segmentation`.

    Parameters
    ----------
    images : `(M, C, H, W)` float32 in [0, 1], any device.
    targets : M dicts, on the same device.
    batch_size : images a batch, chosen at random.
    scale : smallest and largest magnification; `(1, 1)` leaves the pixels as they are.
    jitter : strength of the change of colours, RGB only; 0 for none.
    """

    images: Tensor
    targets: list[Target]
    batch_size: int = 4
    scale: tuple[float, float] = (0.8, 1.25)
    jitter: float = 0.2

    def __post_init__(self):
        if len(self.images) != len(self.targets):
            raise ValueError(
                f"Expected one target an image, got {len(self.targets)} for {len(self.images)}."
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
            images, targets = self._moved(images, targets, generator)
        if self.jitter:
            images = colour_jitter(images, generator, self.jitter)
        return images, targets

    def _moved(self, images, targets, generator) -> tuple[Tensor, list[Target]]:
        """Each image magnified about a point, so that its view stays in, or around, the image."""
        n, _, height, width = images.shape
        low, high = self.scale
        scale = torch.rand(n, generator=generator) * (high - low) + low
        # In units of the image's sides; a smaller picture may lie anywhere in the view.
        play = (1 - 1 / scale).abs() / 2
        shift = (2 * torch.rand(n, 2, generator=generator) - 1) * play[:, None]
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
    """An image `(C, H, W)` and its target, mirrored: -1 left to right, -2 upside down."""
    flipped = dict(target, boxes=flip_boxes(target["boxes"], image.shape[-2:], axes))
    if "segmentation" in target:
        flipped["segmentation"] = target["segmentation"].flip(axes)
    return image.flip(axes), flipped


def flip_boxes(boxes: Tensor, size: tuple[int, int], axes: list[int]) -> Tensor:
    """Boxes of a picture of `size` (height, width) as they lie in its mirror image."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    if -1 in axes:
        x1, x2 = size[1] - x2, size[1] - x1
    if -2 in axes:
        y1, y2 = size[0] - y2, size[0] - y1
    return torch.stack([x1, y1, x2, y2], dim=-1)
