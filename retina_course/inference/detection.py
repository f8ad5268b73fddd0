"""From a photograph to boxes in its own pixels, found at the scale of the training."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retina_course.data.detection import flip_boxes
from retina_course.data.idrid import BoxedPhotograph
from retina_course.data.images import ImageSource, read_image
from retina_course.inference.colours import tint_grey
from retina_course.inference.field_of_view import as_fov, crop_to_fov, measured_diameter
from retina_course.inference.prediction import FLIPS, attribute, evaluating, pad, without_parallel
from retina_course.inference.scale import working_diameter
from retina_course.models.detection.boxes import area, clip, cluster


def detect(
    model: nn.Module,
    image: ImageSource,
    card: Mapping[str, Any],
    *,
    flips: bool = True,
    fov: np.ndarray | Tensor | None = None,
    fov_diameter: float | None = None,
    field_angle: float | None = None,
) -> dict[str, Tensor]:
    """Boxes of the objects in a photograph, in the photograph's own pixels.

    The photograph is resampled until its field of view has `card["pixels_per_degree"]` pixels for
    each degree of `field_angle`, as `inference.segment` does it. With `flips` the model also sees
    its three flips, and each object's boxes become one by weighted box clustering
    (`boxes.cluster`).

    Parameters
    ----------
    model : nn.Module
        A detector as `weights.load` returns it.
    image : str, PathLike, PIL image, ndarray or Tensor
        Any size; see `read_image`.
    card : mapping
        The detector's card, as `weights.load` returns it.
    flips : bool, default True
        Test-time augmentation: combine the boxes of the image and its three flips.
    fov : ndarray of bool or Tensor of bool, optional
        The field of view, `(H, W)`. Default: see `find_fov`.
    fov_diameter : float, optional
        Its diameter in pixels, where the photograph shows only a part of it. Default: as measured.
    field_angle : float, optional
        Its width in degrees, see `segment`.

    Returns
    -------
    dict of Tensor
        `boxes` float32 `(B, 4)` (x1, y1, x2, y2), `scores` `(B,)`, `labels` int64 `(B,)`, best
        first; empty where nothing is found. With flips there may be more than the model's
        `max_boxes`, and scores below its `score_threshold`: a flip in which nothing was
        found counts as 0.

    Raises
    ------
    ValueError
        The image cannot be used (see `read_image`) or is black, the mask is empty or of another
        size, the angle is none, the card gives no scale, or the model finds no boxes.
    TypeError
        `image` is not an image.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> from retina_course import make_fundus, weights
    >>> model, card = weights.load("retina_net")
    >>> fundus = make_fundus(192, seed=0)
    >>> found = detect(model, fundus.image, card, flips=False, field_angle=21)  # 188 pixels: fast
    >>> card["classes"][found["labels"][0] - 1]
    'optic disc'
    >>> x1, y1, x2, y2 = found["boxes"][0].int()
    >>> bool(fundus.disc[(y1 + y2) // 2, (x1 + x2) // 2])  # the centre of the box
    True
    """
    rgb = read_image(image)
    height, width = rgb.shape[1:]
    fov = as_fov(fov, rgb)
    working = working_diameter(fov_diameter or measured_diameter(fov), field_angle, card)
    shown = tint_grey(rgb, fov, card)
    crop, (top, left), scale = crop_to_fov(shown, working.diameter, fov, fov_diameter)
    found = detect_in_crop(model, crop, flips=flips)
    boxes = found["boxes"] / scale + torch.tensor([left, top, left, top])
    return found | {"boxes": clip(boxes, (height, width))}


def detect_in_crop(model: nn.Module, crop: Tensor, *, flips: bool) -> dict[str, Tensor]:
    """Detections in an image as it is, without resampling.

    Parameters
    ----------
    model : nn.Module
        A detector; it stays where it is and keeps its mode.
    crop : Tensor
        The image, `(C, H, W)`, any size.
    flips : bool
        Combine the boxes of the image and its three flips.

    Returns
    -------
    dict of Tensor
        `boxes`, `scores` and `labels` as `detect` gives them, on the CPU, in the crop's pixels.

    Raises
    ------
    ValueError
        The model finds no boxes.
    """
    model = without_parallel(model)
    if attribute(model, "anchors") is None:
        raise ValueError(
            f"{type(model).__name__} finds no boxes; it segments. Take RetinaNet or "
            "RetinaUNetDetector, or inference.segment."
        )
    multiple, nms_iou = attribute(model, "size_multiple"), attribute(model, "nms_iou")
    height, width = crop.shape[1:]
    size, parameter = (height, width), next(model.parameters())
    results = []
    with evaluating(model), torch.inference_mode():
        for axes in FLIPS if flips else FLIPS[:1]:
            # Padded after it was mirrored, as training images are: below and on the right.
            padded = pad(crop.flip(axes), multiple)
            (one,) = model(padded[None].to(parameter.device, parameter.dtype))
            one = {key: value.cpu() for key, value in one.items()}
            one["boxes"] = flip_boxes(clip(one["boxes"], size), size, list(axes))
            inside = area(one["boxes"]) > 0  # not in the padding
            results.append({key: value[inside] for key, value in one.items()})
    if not flips:
        return {key: value.clone() for key, value in results[0].items()}
    counts = torch.tensor([len(one["scores"]) for one in results])
    boxes, scores, labels = (
        torch.cat([one[key] for one in results]) for key in ("boxes", "scores", "labels")
    )
    boxes, scores, labels = cluster(boxes, scores, labels, counts, nms_iou)
    return {"boxes": boxes.clone(), "scores": scores.clone(), "labels": labels.clone()}


def detect_photographs(
    model: nn.Module,
    photographs: Iterable[BoxedPhotograph],
    card: Mapping[str, Any],
    *,
    flips: bool = True,
) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Detections and ground truth of a dataset, as `evaluation.detection_metrics` takes them.

    Parameters
    ----------
    model : nn.Module
        See `detect`.
    photographs : iterable of BoxedPhotograph
        All of them are held in memory. Each is seen at the scale of its own `field_angle`.
    card : mapping
        See `detect`.
    flips : bool, default True
        See `detect`.

    Returns
    -------
    detections : list of dict
        What `detect` returns, one dict per photograph.
    ground_truths : list of dict
        `boxes` and `labels` of each photograph.

    Raises
    ------
    ValueError
        See `detect`.
    """
    photographs = list(photographs)
    return (
        [
            detect(model, photo.image, card, flips=flips, field_angle=photo.field_angle)
            for photo in photographs
        ],
        [{"boxes": photo.boxes, "labels": photo.labels} for photo in photographs],
    )


def ellipses(boxes: Tensor, labels: Tensor, size: tuple[int, int]) -> Tensor:
    """A class map with the ellipse that fills each box, small ones on top.

    Parameters
    ----------
    boxes : Tensor
        `(K, 4)`, x1, y1, x2, y2 in pixels.
    labels : Tensor
        The classes, int64 `(K,)`, from 1.
    size : tuple of int
        Height and width of the map.

    Returns
    -------
    Tensor
        Class map, int64 `(H, W)`; 0 is the background.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 7, 3], [3, 1, 4, 2]])
    >>> ellipses(boxes, torch.tensor([1, 2]), (3, 7))
    tensor([[0, 1, 1, 1, 1, 1, 0],
            [1, 1, 1, 2, 1, 1, 1],
            [0, 1, 1, 1, 1, 1, 0]])
    """
    classes = torch.zeros(size, dtype=torch.int64)
    y, x = (torch.arange(side) + 0.5 for side in size)
    sides = boxes[:, 2:] - boxes[:, :2]
    for i in sides.prod(dim=1).argsort(descending=True).tolist():
        (x1, y1, x2, y2), (w, h) = boxes[i].tolist(), sides[i].tolist()
        across, down = (x - (x1 + x2) / 2) / (w / 2), (y - (y1 + y2) / 2) / (h / 2)
        classes[across[None] ** 2 + down[:, None] ** 2 <= 1] = labels[i]
    return classes


def detect_all(model: nn.Module, images: Tensor, batch_size: int = 8) -> list[dict[str, Tensor]]:
    """The detections of many images of one size, batch by batch.

    Parameters
    ----------
    model : nn.Module
        A detector; it stays where it is and keeps its mode.
    images : Tensor
        `(M, C, H, W)`, height and width multiples of the model's `size_multiple`.
    batch_size : int, default 8
        Images per batch.

    Returns
    -------
    list of dict
        `boxes`, `scores` and `labels` of each image, on the CPU.
    """
    model = without_parallel(model)
    parameter = next(model.parameters())
    found: list[dict[str, Tensor]] = []
    with evaluating(model), torch.inference_mode():
        for batch in images.split(batch_size):
            batch = batch.to(parameter.device, parameter.dtype)
            found += [{key: value.cpu() for key, value in one.items()} for one in model(batch)]
    return [{key: value.clone() for key, value in one.items()} for one in found]
