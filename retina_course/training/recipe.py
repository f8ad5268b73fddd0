"""The course's recipe for vessels: from photographs to a trained network and its card.

One function for the command line, the benchmarks and the reader; it calls `RandomCrops` for the
batches and `fit` for the steps.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from os import PathLike

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retina_course.data.augment import RandomCrops
from retina_course.data.datasets import Photograph
from retina_course.data.images import read_image
from retina_course.inference.field_of_view import fov_window, resize
from retina_course.models import create_model
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device, seed_everything
from retina_course.training.loop import fit


@dataclass(frozen=True)
class Recipe:
    """What a training run is made of, besides its data and its seed."""

    steps: int = 8000
    batch_size: int = 4
    crop: int = 256
    lr: float = 1e-2
    fov_diameter: int = 640
    rotation: float = 45.0
    jitter: float = 0.2

    def __post_init__(self):
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
    options: dict | None = None,
    seed: int = 0,
    checkpoint: str | PathLike | None = None,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    **fit_options,
) -> tuple[nn.Module, History]:
    """Train the network `name`, with one output, to find vessels.

    The photographs stay on the device. Everything random follows from `seed`.

    Parameters
    ----------
    options : of the network, see `create_model`; e.g. `{"fold": 4}` for "unet_large".
    checkpoint, precision, fit_options : see `fit`.
    device : the GPU where there is one, by default.

    Raises
    ------
    ValueError : no photograph, no vessel in them, a crop that does not fit; see also `fit`.
    """
    device = device or default_device()
    images, targets = stack_images(photographs, recipe.fov_diameter)
    seed_everything(seed)
    model = create_model(name, **(options or {}))
    set_head_bias(model, targets.mean().item())
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
            "precision": str(precision),
        },
        **fit_options,
    )
    return model.cpu(), history


def stack_images(photographs: Iterable[Photograph], fov_diameter: int) -> tuple[Tensor, Tensor]:
    """Images `(M, 3, H, W)` float32 and vessels `(M, 1, H, W)` float32, one size, one scale.

    Each photograph is cropped to its field of view, with a small margin, and resampled so that the
    field has `fov_diameter` pixels, as `inference.segment` does it; the vessels by nearest
    neighbour, since a training target must stay binary. Smaller ones are padded with black.

    Raises
    ------
    ValueError : no photograph, no vessel in any, or nothing but vessels.
    """
    crops = [_view(photograph, fov_diameter) for photograph in photographs]
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


def set_head_bias(model: nn.Module, fraction: float) -> None:
    """Start the last layer's bias at the log-odds of the fraction of vessel pixels.

    The first prediction is then that fraction itself, everywhere, and the first steps need not
    learn it; from a large random head some seeds never leave a constant output.
    """
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith("bias")]
    nn.init.constant_(biases[-1], math.log(fraction / (1 - fraction)))


def learning_rate(name: str) -> float:
    """The highest learning rate for the network `name`: 1e-2 below 0.3 M weights, 1e-3 above."""
    weights = sum(parameter.numel() for parameter in create_model(name).parameters())
    return 1e-2 if weights < 300_000 else 1e-3


def _view(photograph: Photograph, fov_diameter: int) -> Tensor:
    """Image and vessels of one photograph, `(4, h, w)`."""
    fov = torch.from_numpy(photograph.fov)
    rows, columns, size = fov_window(fov, fov_diameter)
    image = resize(read_image(photograph.image)[:, rows, columns], size).clamp(0, 1)
    vessels = torch.from_numpy(photograph.ground_truth)[rows, columns].float()
    vessels = F.interpolate(vessels[None, None], size=image.shape[1:], mode="nearest-exact")
    return torch.cat([image, vessels[0]])
