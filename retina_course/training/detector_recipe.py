"""The course's recipe for boxes: from photographs with boxes to a trained detector."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from retina_course.data.detection import LESION_CLASSES, RandomAffine
from retina_course.data.idrid import BoxedPhotograph
from retina_course.inference.boxed_images import stack_boxed_images
from retina_course.models import create_model
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device, seed_everything
from retina_course.training.loop import fit

# Small enough for 160 photographs: 1.0 M parameters.
DETECTOR_OPTIONS = {
    "num_classes": len(LESION_CLASSES),
    "width": 16,
    "pyramid_channels": 48,
    "head_channels": 48,
}
SCALE = (0.8, 1.25)  # smallest and largest random magnification


@dataclass(frozen=True)
class DetectorRecipe:
    """What the training of a detector is made of, besides its data and its seed.

    Parameters
    ----------
    steps : int, default 3000
        Number of batches.
    batch_size : int, default 4
        Photographs per batch; each is seen whole.
    lr : float, default 1e-3
        Highest learning rate.
    fov_diameter : int, default 448
        Pixels that the field of view spans after resampling.
    jitter : float, default 0.2
        Strength of the change of colours, at most 1; see `RandomAffine`.

    Raises
    ------
    ValueError
        If a value is not positive and finite (`jitter` may be 0), or if `jitter` is above 1.

    Examples
    --------
    >>> from retina_course.training import DetectorRecipe
    >>> DetectorRecipe(steps=500)
    DetectorRecipe(steps=500, batch_size=4, lr=0.001, fov_diameter=448, jitter=0.2)
    """

    steps: int = 3000
    batch_size: int = 4
    lr: float = 1e-3
    fov_diameter: int = 448
    jitter: float = 0.2

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (0 < value < math.inf or value == 0 and name == "jitter"):
                raise ValueError(f"{name} must be positive and finite, got {value}.")
        if self.jitter > 1:
            raise ValueError(f"jitter must be at most 1, got {self.jitter}.")


def train_detector(
    name: str,
    photographs: Iterable[BoxedPhotograph],
    recipe: DetectorRecipe = DetectorRecipe(),
    *,
    options: Mapping[str, Any] = DETECTOR_OPTIONS,
    initial: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    checkpoint: str | PathLike[str] | None = None,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    pixels_per_degree: float | None = None,
    **fit_options: Any,
) -> tuple[nn.Module, History]:
    """Train the detector `name` to find the boxes of photographs.

    Everything random follows from `seed`. Outlines are not known: the segmentation of
    "retina_unet_detector" learns the ellipse in each box.

    Parameters
    ----------
    name : str
        "retina_net" or "retina_unet_detector".
    photographs : iterable of BoxedPhotograph
        A dataset such as `IDRiDBoxes(split="train")`.
    recipe : DetectorRecipe, optional
        Steps, batch size, learning rate and augmentation.
    options : mapping, optional
        Options of the network, see `create_model`.
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
        For photographs of cameras with different field angles, see `stack_boxed_images`.
    **fit_options
        Further options of `fit`, e.g. `validate`, `every` or `progress`.

    Returns
    -------
    model : nn.Module
        The trained detector, on the CPU, in eval mode.
    history : History
        The loss of each step and what `validate` returned.

    Raises
    ------
    ValueError
        If there is no photograph, or no box in any, or if a batch is too small for batch
        normalisation; see also `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from retina_course.data.idrid import BoxedPhotograph
    >>> boxes, labels = torch.tensor([[8.0, 8, 30, 40]]), torch.tensor([1])
    >>> one = BoxedPhotograph("a", np.full((64, 64, 3), 99, np.uint8), boxes, labels)
    >>> recipe = DetectorRecipe(steps=2, batch_size=2, fov_diameter=64)
    >>> model, history = train_detector("retina_net", [one], recipe, progress=False)
    >>> len(history.loss)
    2
    """
    device = device or default_device()
    images, targets = stack_boxed_images(
        photographs, recipe.fov_diameter, pixels_per_degree=pixels_per_degree
    )
    if not any(len(target["boxes"]) for target in targets):
        raise ValueError("No photograph has a box: there is nothing to learn.")
    if recipe.batch_size == 1 and max(images.shape[2:]) <= 32:
        raise ValueError(
            f"One photograph of {images.shape[2]}x{images.shape[3]} pixels is too little for batch "
            "normalisation: choose a larger batch or field of view."
        )
    seed_everything(seed)
    model = create_model(name, **options)
    if initial is not None:
        model.load_state_dict(initial)
    on_device = [{key: value.to(device) for key, value in one.items()} for one in targets]
    history = fit(
        model.to(device),
        RandomAffine(
            images.to(device), on_device, recipe.batch_size, scale=SCALE, jitter=recipe.jitter
        ),
        recipe.steps,
        lr=recipe.lr,
        seed=seed,
        checkpoint=checkpoint,
        precision=precision,
        settings={
            "model": name,
            "options": dict(options),
            **asdict(recipe),
            **({"pixels_per_degree": pixels_per_degree} if pixels_per_degree else {}),
            "precision": str(precision),
        },
        **fit_options,
    )
    return model.cpu(), history
