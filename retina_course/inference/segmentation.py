"""From a photograph to probabilities: padding, tiles, flips, and the scale of other cameras."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course.data.datasets import Photograph
from retina_course.data.images import ImageSource, read_image
from retina_course.inference.field_of_view import find_fov, fov_window, resize, trained_diameter
from retina_course.inference.prediction import predict

BORDER = 32  # where the frame cuts the field of view, edge pixels go on: else networks see an edge


class Segmentation(NamedTuple):
    """Vessel probability, float32 `(H, W)`, 0 outside the field of view; and that field, bool."""

    probability: Tensor
    fov: Tensor


def segment(
    model: nn.Module,
    image: ImageSource,
    card: dict,
    *,
    flips: bool = True,
    fov: np.ndarray | Tensor | None = None,
) -> Segmentation:
    """Vessel probabilities of a photograph from any camera.

    Vessels must be about as wide, in pixels, as those that the model has seen. The photograph is
    therefore resampled until the diameter of its field of view (the longer side of the field's
    bounding box, which is right also where the disc is cut off on two sides) is
    `card["fov_diameter"]` pixels; the probabilities are resampled back. Within 5 % of that
    diameter nothing is resampled.

    Parameters
    ----------
    model, card : as `weights.load` returns them. Of several outputs, class 1 is the vessels.
    image : see `read_image`.
    flips : see `predict`.
    fov : bool `(H, W)`, where a set has official masks. Default: `datasets.field_of_view`, or the
        whole frame where that finds less than a tenth of it.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError : see `read_image`; a black image; a mask of
        another size; a card without `fov_diameter`.
    """
    diameter = trained_diameter(card)
    rgb = read_image(image)
    fov = find_fov(rgb) if fov is None else torch.as_tensor(fov).bool()
    if fov.shape != rgb.shape[1:] or not fov.any():
        raise ValueError(
            f"Expected a field of view of the image's size {tuple(rgb.shape[1:])} that is not "
            f"empty, got shape {tuple(fov.shape)} with {int(fov.sum())} pixels inside."
        )
    rows, columns, size = fov_window(fov, diameter)
    crop = resize(rgb[:, rows, columns], size).clamp(0, 1)
    bordered = F.pad(crop, (BORDER,) * 4, mode="replicate")
    outputs = predict(model, bordered, flips=flips)[:, BORDER:-BORDER, BORDER:-BORDER]
    vessels = outputs[:1] if len(outputs) == 1 else outputs[1:2]
    probability = torch.zeros(fov.shape)
    own_size = (rows.stop - rows.start, columns.stop - columns.start)
    probability[rows, columns] = resize(vessels, own_size)[0].clamp(0, 1)
    return Segmentation(probability * fov, fov)


def segment_all(
    model: nn.Module, photographs: Iterable[Photograph], card: dict, *, flips: bool = True
) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
    """Vessel probabilities, targets and fields of view of a data set, as `metrics` takes them."""
    photographs = list(photographs)
    probabilities = [
        segment(model, photo.image, card, flips=flips, fov=photo.fov).probability.numpy()
        for photo in photographs
    ]
    return probabilities, [p.ground_truth for p in photographs], [p.fov for p in photographs]
