"""The course's recipe for vessels: from photographs to a trained network and its card.

One function for the command line, the benchmarks and the reader; it calls `RandomCrops` for the
batches and `fit` for the steps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.data.augment import RandomCrops
from retina_course.data.datasets import Photograph
from retina_course.data.images import read_image
from retina_course.inference.colours import darken_surround
from retina_course.inference.field_of_view import fov_window, resize
from retina_course.inference.scale import training_diameter
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device
from retina_course.training.loop import fit
from retina_course.training.sizes import check_sizes
from retina_course.training.start import first_network


@dataclass(frozen=True)
class Recipe:
    """What a training run is made of, besides its data and its seed.

    Parameters
    ----------
    steps : int, default 8000
        Number of batches.
    batch_size : int, default 4
        Crops per batch.
    crop : int, default 256
        Height and width of a crop in pixels.
    lr : float, default 1e-2
        Highest learning rate, see `learning_rate`.
    fov_diameter : int, default 640
        Pixels that the field of view spans after resampling.
    rotation : float, default 45.0
        Largest rotation of a crop in degrees, to either side.
    jitter : float, default 0.2
        Strength of the change of colours, at most 1; see `RandomCrops`.

    Raises
    ------
    ValueError
        If a value is not positive and finite (`rotation` and `jitter` may be 0), or if `jitter`
        is above 1.

    Examples
    --------
    >>> from retina_course import Recipe
    >>> Recipe(steps=500, crop=64)  # doctest: +NORMALIZE_WHITESPACE
    Recipe(steps=500, batch_size=4, crop=64, lr=0.01, fov_diameter=640, rotation=45.0,
           jitter=0.2)
    """

    steps: int = 8000
    batch_size: int = 4
    crop: int = 256
    lr: float = 1e-2
    fov_diameter: int = 640
    rotation: float = 45.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (0 < value < math.inf or value == 0 and name in ("rotation", "jitter")):
                raise ValueError(f"{name} must be positive and finite, got {value}.")
        if self.jitter > 1:
            raise ValueError(f"jitter must be at most 1, got {self.jitter}.")


def train_vessels(
    name: str,
    photographs: Iterable[Photograph],
    recipe: Recipe = Recipe(),
    *,
    options: dict[str, Any] | None = None,
    initial: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    checkpoint: str | PathLike[str] | None = None,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    pixels_per_degree: float | None = None,
    **fit_options: Any,
) -> tuple[nn.Module, History]:
    """Train the network `name`, with one output channel, to find vessels.

    The photographs are read one after the other; what the crops are taken from stays on the
    device. Everything random follows from `seed`.

    Parameters
    ----------
    name : str
        Name of the network, one of `list_models`.
    photographs : iterable of Photograph
        A dataset such as `ChaseDB1(split="train")`.
    recipe : Recipe, optional
        Steps, crops, learning rate and augmentation.
    options : dict, optional
        Options of the network, see `create_model`; e.g. `{"fold": 4}` for "unet_large".
    initial : mapping of str to Tensor, optional
        Weights to start from (fine-tuning), as `state_dict()` gives them. Random ones by default.
    seed : int, default 0
        Seed of the first weights and of the batches.
    checkpoint : str or PathLike, optional
        File to write, and to continue from where it exists; see `fit`.
    device : torch.device, optional
        Where to train. The GPU where there is one, by default.
    precision : torch.dtype, optional
        Type of the autocast, see `fit`.
    pixels_per_degree : float, optional
        For photographs of cameras with different field angles, see `stack_images`.
    **fit_options
        Further options of `fit`, e.g. `validate`, `every` or `progress`.

    Returns
    -------
    model : nn.Module
        The trained network, on the CPU, in eval mode.
    history : History
        The loss of each step and what `validate` returned.

    Raises
    ------
    ValueError
        If there is no photograph, or no vessel in any, if a crop is larger than the resampled
        images, or if the network cannot be trained on such crops and batches (`check_sizes`); see
        also `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from retina_course import Recipe, make_fundus, train_vessels
    >>> from retina_course.data.datasets import Photograph
    >>> fundus = make_fundus(64, seed=0)
    >>> image = (255 * fundus.image).byte().permute(1, 2, 0).numpy()
    >>> photograph = Photograph("a", "a", image, fundus.vessel.numpy(), fundus.fov.numpy())
    >>> recipe = Recipe(steps=2, batch_size=2, crop=32, fov_diameter=56)
    >>> model, history = train_vessels("unet_small", [photograph], recipe, progress=False)
    >>> len(history.loss)
    2
    """
    device = device or default_device()
    check_sizes(name, options or {}, recipe.batch_size, recipe.crop)
    images, targets = stack_images(photographs, recipe.fov_diameter, pixels_per_degree)
    model = first_network(name, options, initial, targets.mean().item(), seed)
    crops = RandomCrops(
        images.to(device),
        targets.to(device),
        size=recipe.crop,
        batch_size=recipe.batch_size,
        rotation=recipe.rotation,
        jitter=recipe.jitter,
    )
    history = fit(
        model.to(device),
        crops,
        recipe.steps,
        lr=recipe.lr,
        seed=seed,
        checkpoint=checkpoint,
        precision=precision,
        settings={
            "model": name,
            **({"options": options} if options else {}),
            **asdict(recipe),
            **({"pixels_per_degree": pixels_per_degree} if pixels_per_degree else {}),
            "precision": str(precision),
        },
        **fit_options,
    )
    return model.cpu(), history


def stack_images(
    photographs: Iterable[Photograph], fov_diameter: int, pixels_per_degree: float | None = None
) -> tuple[Tensor, Tensor]:
    """Turn photographs into one batch of images and one of vessels, of one size and one scale.

    Each photograph is cropped to its field of view, with a small margin, and resampled so that the
    field of view has `fov_diameter` pixels, as `inference.segment` does it. The vessels are
    resampled by nearest neighbour, since a training target must stay binary. Smaller images are
    padded with black.

    Parameters
    ----------
    photographs : iterable of Photograph
        M photographs of any size.
    fov_diameter : int
        Pixels that the longer side of the field of view is to span.
    pixels_per_degree : float, optional
        Pixels that each degree of its `field_angle` is to span, in the place of `fov_diameter`:
        so photographs of different cameras have one scale.

    Returns
    -------
    images : Tensor
        float32 `(M, 3, H, W)` in [0, 1].
    targets : Tensor
        float32 `(M, 1, H, W)` of zeros and ones.

    Raises
    ------
    ValueError
        If there is no photograph, no vessel in any, or nothing but vessels, or if the field angle
        of a photograph is needed and not known.
    """
    crops = [
        _view(photo, training_diameter(photo, fov_diameter, pixels_per_degree))
        for photo in photographs
    ]
    return stack_crops(crops)


def stack_crops(crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Crops of images with their vessels as one batch of each, padded with black to one size.

    Parameters
    ----------
    crops : sequence of Tensor
        `(4, h, w)` each: the image, and the vessels as the fourth channel.

    Returns
    -------
    images : Tensor
        `(M, 3, H, W)`.
    targets : Tensor
        `(M, 1, H, W)`.

    Raises
    ------
    ValueError
        If there is no crop, no vessel in any, or nothing but vessels.
    """
    if not crops:
        raise ValueError("No photograph to train on.")
    height, width = (max(crop.shape[axis] for crop in crops) for axis in (1, 2))
    both = torch.stack(
        [F.pad(crop, (0, width - crop.shape[2], 0, height - crop.shape[1])) for crop in crops]
    )
    images, targets = both[:, :3].contiguous(), both[:, 3:].contiguous()
    if not targets.any():
        raise ValueError("No photograph has a vessel in its mask: there is nothing to learn.")
    if targets.all():
        raise ValueError(
            "Every pixel of every photograph is labelled as vessel: are the masks inverted, or "
            "masks of the field of view?"
        )
    return images, targets


def _view(photograph: Photograph, fov_diameter: float) -> Tensor:
    """Image and vessels of one photograph, `(4, h, w)`."""
    fov = torch.from_numpy(photograph.fov)
    rows, columns, size = fov_window(fov, fov_diameter)
    shown = darken_surround(read_image(photograph.image), fov)
    image = resize(shown[:, rows, columns], size).clamp(0, 1)
    vessels = torch.from_numpy(photograph.ground_truth)[rows, columns].float()
    vessels = F.interpolate(vessels[None, None], size=image.shape[1:], mode="nearest-exact")
    return torch.cat([image, vessels[0]])
