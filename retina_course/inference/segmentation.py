"""From a photograph to vessel probabilities in its own pixels, at the scale of the training."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course.data.datasets import Photograph
from retina_course.data.images import ImageSource, read_image
from retina_course.inference.colours import darken_surround, tint_grey
from retina_course.inference.field_of_view import as_fov, fov_window, measured_diameter, resize
from retina_course.inference.prediction import predict
from retina_course.inference.scale import working_diameter

# Edge pixels are repeated where the frame cuts the field of view: else networks see an edge there.
BORDER = 32


class Seen(NamedTuple):
    """A vessel map at the scale at which the network saw the photograph.

    Parameters
    ----------
    probability : Tensor
        Vessel probability, float32 `(h, w)`; 0 outside the field of view.
    fov : Tensor of bool
        The field of view, `(h, w)`.
    """

    probability: Tensor
    fov: Tensor


class Segmentation(NamedTuple):
    """What `segment` returns.

    Parameters
    ----------
    probability : Tensor
        Vessel probability, float32 `(H, W)`; 0 outside the field of view.
    fov : Tensor of bool
        The field of view, `(H, W)`.
    seen : Seen
        The same two before they were resampled, for `expected_f1`.
    """

    probability: Tensor
    fov: Tensor
    seen: Seen


def segment(
    model: nn.Module,
    image: ImageSource,
    card: Mapping[str, Any],
    *,
    flips: bool = True,
    fov: np.ndarray | Tensor | None = None,
    fov_diameter: float | None = None,
    field_angle: float | None = None,
) -> Segmentation:
    """Vessel probabilities of a photograph.

    Vessels must be about as wide, in pixels, as those that the model has seen. The photograph is
    therefore resampled until its field of view has `card["pixels_per_degree"]` pixels for each
    degree of `field_angle` (`working_diameter`); the probabilities are resampled back. The
    diameter of the field is the longer side of its bounding box, which is right also where the
    disc is cut off on two sides. Within 5 % of the scale nothing is resampled. A surround that is
    not dark becomes black, as it was in training (`darken_surround`), and a grey photograph gets
    the colours of the training photographs where the card gives them (`tint_grey`).

    Parameters
    ----------
    model : nn.Module
        A network as `weights.load` returns it. Of several outputs, class 1 is the vessels.
    image : str, PathLike, PIL image, ndarray or Tensor
        Any size; see `read_image`.
    card : mapping
        The network's card, as `weights.load` returns it.
    flips : bool, default True
        Test-time augmentation, see `predict`.
    fov : ndarray of bool or Tensor of bool, optional
        `(H, W)`, for datasets with official masks. Default: what `data.reading.field_of_view`
        finds, or the whole image where that is less than a tenth of it.
    fov_diameter : float, optional
        The diameter of the field of view in pixels of this photograph, where it shows only a part
        of the field. Default: as measured.
    field_angle : float, optional
        Width of the whole field of view in degrees, as the camera's data sheet says it. Default:
        `DEFAULT_FIELD_ANGLE`. It changes nothing where the card has no `pixels_per_degree`.

    Returns
    -------
    Segmentation
        Probabilities and field of view, both `(H, W)` in the photograph's own pixels, and as the
        network saw them.

    Raises
    ------
    ValueError
        The image cannot be used (see `read_image`) or is black, the mask is empty or of another
        size, the angle is none, or the card gives no scale.
    TypeError
        `image` is not an image.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> from retina_course import make_fundus, weights
    >>> model, card = weights.load("unet_small")
    >>> fundus = make_fundus(192, seed=0)
    >>> result = segment(model, fundus.image, card, field_angle=9)  # 192 pixels: fast
    >>> result.probability.shape
    torch.Size([192, 192])
    >>> found = result.probability >= card["threshold"]
    >>> bool(fundus.vessel[found].float().mean() > 0.5)  # most of it is vessel
    True
    """
    rgb = read_image(image)
    fov = as_fov(fov, rgb)
    working = working_diameter(fov_diameter or measured_diameter(fov), field_angle, card)
    rows, columns, size = fov_window(fov, working.diameter, fov_diameter)
    shown = tint_grey(darken_surround(rgb, fov), fov, card)
    crop = resize(shown[:, rows, columns], size).clamp(0, 1)
    bordered = F.pad(crop, (BORDER,) * 4, mode="replicate")
    outputs = predict(model, bordered, flips=flips)[:, BORDER:-BORDER, BORDER:-BORDER]
    vessels = outputs[:1] if len(outputs) == 1 else outputs[1:2]
    seen_fov = F.interpolate(fov[None, None, rows, columns].float(), size, mode="nearest-exact")
    seen = Seen(vessels[0] * seen_fov[0, 0], seen_fov[0, 0].bool())
    probability = torch.zeros(fov.shape)
    own_size = (rows.stop - rows.start, columns.stop - columns.start)
    probability[rows, columns] = resize(vessels, own_size)[0].clamp(0, 1)
    return Segmentation(probability * fov, fov, seen)


def segment_all(
    model: nn.Module,
    photographs: Iterable[Photograph],
    card: Mapping[str, Any],
    *,
    flips: bool = True,
) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
    """Vessel probabilities, ground truth and fields of view of a dataset.

    The three lists are what the functions in `evaluation.metrics` take.

    Parameters
    ----------
    model : nn.Module
        See `segment`.
    photographs : iterable of Photograph
        All of them are held in memory. Each is seen at the scale of its own `field_angle`.
    card : mapping
        See `segment`.
    flips : bool, default True
        Test-time augmentation, see `predict`.

    Returns
    -------
    probabilities : list of ndarray
        One float32 `(H, W)` per photograph.
    targets : list of ndarray of bool
        The ground truth, one `(H, W)` per photograph.
    fovs : list of ndarray of bool
        The fields of view, one `(H, W)` per photograph.

    Raises
    ------
    ValueError
        See `segment`.
    """
    photographs = list(photographs)
    probabilities = [
        segment(
            model, photo.image, card, flips=flips, fov=photo.fov, field_angle=photo.field_angle
        ).probability.numpy()
        for photo in photographs
    ]
    return probabilities, [p.ground_truth for p in photographs], [p.fov for p in photographs]
