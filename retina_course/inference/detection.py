"""From a photograph to boxes: the scale of other cameras, mirror images, and back to its pixels."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course.data.detection import flip_boxes
from retina_course.data.idrid import BoxedPhotograph
from retina_course.data.images import ImageSource, read_image
from retina_course.inference.field_of_view import crop_to_fov, trained_diameter
from retina_course.inference.prediction import FLIPS, evaluating, pad
from retina_course.models.detection.boxes import area, clip, cluster


def detect(
    model: nn.Module, image: ImageSource, card: dict, *, flips: bool = True
) -> dict[str, Tensor]:
    """Boxes of the objects in a photograph from any camera, in the photograph's own pixels.

    The photograph is resampled until its field of view has `card["fov_diameter"]` pixels, as
    `inference.segment` does it. With `flips` the model also sees its three mirror images, and
    each object's boxes become one by weighted box clustering (`boxes.cluster`).

    Parameters
    ----------
    model, card : a detector and its card, as `weights.load` returns them.
    image : see `read_image`; any size.

    Returns
    -------
    dict of `boxes` float32 `(B, 4)` (x1, y1, x2, y2), `scores` `(B,)`, `labels` int64 `(B,)`, best
    first; empty where nothing is found. With flips there may be more than the model's `max_boxes`,
    and scores below its `score_threshold`: a crop that saw nothing counts as 0.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError : see `read_image`; a card without `fov_diameter`; a
        model that finds no boxes.
    """
    diameter = trained_diameter(card)
    rgb = read_image(image)
    crop, (top, left), scale = crop_to_fov(rgb, diameter)
    found = detect_in_crop(model, crop, flips=flips)
    boxes = found["boxes"] / scale + torch.tensor([left, top, left, top])
    return found | {"boxes": clip(boxes, tuple(rgb.shape[1:]))}


def detect_in_crop(model: nn.Module, crop: Tensor, *, flips: bool) -> dict[str, Tensor]:
    """Detections in an image `(C, H, W)` as it is, in its pixels; any size."""
    if not hasattr(model, "anchors"):
        raise ValueError(
            f"{type(model).__name__} finds no boxes; it segments. Take RetinaNet or "
            "RetinaUNetDetector, or inference.segment."
        )
    size, device = tuple(crop.shape[1:]), next(model.parameters()).device
    results = []
    with evaluating(model), torch.inference_mode():
        for axes in FLIPS if flips else FLIPS[:1]:
            # Padded after it was mirrored, as training images are: below and on the right.
            padded = pad(crop.flip(axes), model.size_multiple)
            (one,) = model(padded[None].to(device))
            one = {key: value.cpu() for key, value in one.items()}
            one["boxes"] = flip_boxes(clip(one["boxes"], size), size, axes)
            inside = area(one["boxes"]) > 0  # not in the padding
            results.append({key: value[inside] for key, value in one.items()})
    if not flips:
        return {key: value.clone() for key, value in results[0].items()}
    counts = torch.tensor([len(one["scores"]) for one in results])
    together = (torch.cat([one[key] for one in results]) for key in ("boxes", "scores", "labels"))
    boxes, scores, labels = cluster(*together, counts, model.nms_iou)
    return {"boxes": boxes.clone(), "scores": scores.clone(), "labels": labels.clone()}


def detect_photographs(
    model: nn.Module, photographs: Iterable[BoxedPhotograph], card: dict, *, flips: bool = True
) -> tuple[list[dict], list[dict]]:
    """Detections and ground_truths of a data set, as `detection_metrics` takes them."""
    photographs = list(photographs)
    return (
        [detect(model, photo.image, card, flips=flips) for photo in photographs],
        [{"boxes": photo.boxes, "labels": photo.labels} for photo in photographs],
    )


def stack_boxed_images(
    photographs: Iterable[BoxedPhotograph], fov_diameter: int, multiple: int = 32
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Photographs as `RandomAffine` takes them: one scale, one size, boxes in its pixels.

    Returns
    -------
    images float32 `(M, 3, H, W)`, edge pixels repeated up to sides that are multiples of
    `multiple`, and M targets. `segmentation` is the ellipse in each box, small ones over large
    ones: nearly the outlines of discs, a coarse guess at clusters of lesions.

    Raises
    ------
    ValueError : no photograph.
    """
    crops, targets = [], []
    for photo in photographs:
        crop, (top, left), scale = crop_to_fov(read_image(photo.image), fov_diameter)
        boxes = (photo.boxes - torch.tensor([left, top, left, top])) * scale
        boxes = clip(boxes, tuple(crop.shape[1:]))
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
    # Edge pixels go on, as in `detect`: a frame that cuts the field of view is no edge to learn.
    images = [
        F.pad(c, (0, width - c.shape[2], 0, height - c.shape[1]), mode="replicate") for c in crops
    ]
    return torch.stack(images), targets


def ellipses(boxes: Tensor, labels: Tensor, size: tuple[int, int]) -> Tensor:
    """A class map int64 `(H, W)` = `size` of the ellipses in boxes `(K, 4)`, small ones on top.

    `labels` int64 `(K,)` are the classes, 0 is the background.
    """
    classes = torch.zeros(size, dtype=torch.int64)
    y, x = (torch.arange(side) + 0.5 for side in size)
    sides = boxes[:, 2:] - boxes[:, :2]
    for i in sides.prod(dim=1).argsort(descending=True).tolist():
        (x1, y1, x2, y2), (w, h) = boxes[i].tolist(), sides[i].tolist()
        across, down = (x - (x1 + x2) / 2) / (w / 2), (y - (y1 + y2) / 2) / (h / 2)
        classes[across[None] ** 2 + down[:, None] ** 2 <= 1] = labels[i]
    return classes


def detect_all(
    model: torch.nn.Module, images: Tensor, batch_size: int = 8
) -> list[dict[str, Tensor]]:
    """The detections of many images of one size `(M, C, H, W)`, on the CPU."""
    device = next(model.parameters()).device
    found = []
    with evaluating(model), torch.inference_mode():
        for batch in images.split(batch_size):
            found += [
                {key: value.cpu() for key, value in one.items()} for one in model(batch.to(device))
            ]
    return found
