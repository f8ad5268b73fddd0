"""The recipe for photographs of any camera: several sources, all scales, changed appearance."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from retina_course.data.cameras import RandomCameras, Scaled
from retina_course.data.datasets import Photograph
from retina_course.data.images import read_image
from retina_course.data.synthetic import make_fundus_images
from retina_course.inference.colours import darken_surround
from retina_course.inference.field_of_view import fov_window, resize
from retina_course.inference.scale import training_diameter
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device
from retina_course.training.loop import fit
from retina_course.training.recipe import stack_crops
from retina_course.training.sizes import check_sizes
from retina_course.training.start import first_network

SYNTHETIC_ANGLE = 45.0  # degrees: at this angle the synthetic optic disc has its usual size


@dataclass(frozen=True)
class CameraRecipe:
    """What a training run for any camera is made of, besides its images and its seed.

    Parameters
    ----------
    steps : int, default 6000
        Number of batches.
    batch_size : int, default 8
        Crops per batch.
    crop : int, default 256
        Height and width of a crop in pixels.
    lr : float, default 1e-2
        Highest learning rate, see `learning_rate`.
    pixels_per_degree : tuple of float, default (10.0, 28.0)
        Lowest and highest scale of the crops.
    strength : float, default 1.0
        Strength of the changes of appearance, see `RandomCameras`.
    average : float, default 0.0
        Moving average of the weights, see `fit`.

    Raises
    ------
    ValueError
        If a number is not positive and finite (`strength` may be 0). The scales are checked by
        `RandomCameras`, `average` by `fit`.

    Examples
    --------
    >>> CameraRecipe(steps=500).pixels_per_degree
    (10.0, 28.0)
    """

    steps: int = 6000
    batch_size: int = 8
    crop: int = 256
    lr: float = 1e-2
    pixels_per_degree: tuple[float, float] = (10.0, 28.0)
    strength: float = 1.0
    average: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "crop", "lr"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}.")
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength must be at least 0 and finite, got {self.strength}.")


def train_any_camera(
    name: str,
    sources: Sequence[Scaled],
    recipe: CameraRecipe = CameraRecipe(),
    *,
    shares: Sequence[float] | None = None,
    options: dict[str, Any] | None = None,
    initial: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    checkpoint: str | PathLike[str] | None = None,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    **fit_options: Any,
) -> tuple[nn.Module, History]:
    """Train the network `name` to find vessels in photographs of any camera.

    Parameters
    ----------
    name : str
        Name of the network, one of `list_models`.
    sources : sequence of Scaled
        Images with their scale, see `stack_scaled` and `synthetic_eyes`.
    recipe : CameraRecipe, optional
        Steps, crops, scales, learning rate.
    shares : sequence of float, optional
        How often each source is used, see `RandomCameras`.
    options : dict, optional
        Options of the network, see `create_model`.
    initial : mapping of str to Tensor, optional
        Weights to start from, as `state_dict()` gives them.
    seed : int, default 0
        Seed of the first weights and of the batches.
    checkpoint : str or PathLike, optional
        File to write, and to continue from where it exists; see `fit`.
    device : torch.device, optional
        Where to train. The GPU where there is one, by default.
    precision : torch.dtype, optional
        Type of the autocast, see `fit`.
    **fit_options
        Further options of `fit`.

    Returns
    -------
    model : nn.Module
        The trained network, on the CPU, in eval mode.
    history : History
        The loss of each step and what `validate` returned.

    Raises
    ------
    ValueError
        If the network cannot be trained on such crops (`check_sizes`), or there is no source; see
        also `fit`.

    Examples
    --------
    >>> eyes = synthetic_eyes(2, pixels_per_degree=2.0)
    >>> recipe = CameraRecipe(steps=2, batch_size=2, crop=32, pixels_per_degree=(1.0, 2.0))
    >>> model, history = train_any_camera("unet_small", [eyes], recipe, progress=False)
    >>> len(history.loss)
    2
    """
    device = device or default_device()
    check_sizes(name, options or {}, recipe.batch_size, recipe.crop)
    cameras = RandomCameras(
        sources,
        shares,
        size=recipe.crop,
        batch_size=recipe.batch_size,
        pixels_per_degree=recipe.pixels_per_degree,
        strength=recipe.strength,
        device=device,
    )
    vessels = sum(float(source.targets.sum()) for source in sources)
    vessels /= sum(source.targets.numel() for source in sources)
    model = first_network(name, options, initial, vessels, seed)
    settings = {"model": name, "options": options or {}, **asdict(recipe)}
    settings |= {"shares": list(cameras.shares or []), "precision": str(precision)}
    history = fit(
        model.to(device),
        cameras,
        recipe.steps,
        lr=recipe.lr,
        seed=seed,
        average=recipe.average,
        checkpoint=checkpoint,
        precision=precision,
        settings=settings,
        **fit_options,
    )
    return model.cpu(), history


def stack_scaled(photographs: Iterable[Photograph], pixels_per_degree: float) -> Scaled:
    """Photographs of one camera as images of one scale, with the part of each pixel that is vessel.

    Parameters
    ----------
    photographs : iterable of Photograph
        Each with its `field_angle`.
    pixels_per_degree : float
        The scale to resample to.

    Returns
    -------
    Scaled
        Images cropped to their fields of view, with a small margin, padded with black to one size.

    Raises
    ------
    ValueError
        If there is no photograph, no vessel in any, or one has no `field_angle`.
    """
    crops = []
    for photograph in photographs:
        fov = torch.from_numpy(photograph.fov)
        diameter = training_diameter(photograph, 0, pixels_per_degree)
        rows, columns, size = fov_window(fov, diameter)
        image = darken_surround(read_image(photograph.image), fov)
        vessels = torch.from_numpy(photograph.ground_truth)[None].float()
        both = torch.cat([image, vessels])[:, rows, columns]
        crops.append(resize(both, size).clamp(0, 1))
    return Scaled(*stack_crops(crops), pixels_per_degree)


def synthetic_eyes(n: int, pixels_per_degree: float, seed: int = 0) -> Scaled:
    """Synthetic images as a source of vessels with an exact ground truth.

    Parameters
    ----------
    n : int
        Number of images.
    pixels_per_degree : float
        Their scale; they are 45 degrees wide.
    seed : int, default 0
        The same seed gives the same images.

    Returns
    -------
    Scaled
        `n` square images.

    Examples
    --------
    >>> synthetic_eyes(2, pixels_per_degree=2.0).images.shape
    torch.Size([2, 3, 90, 90])
    """
    eyes = arteries_and_veins(n, pixels_per_degree, seed)
    return Scaled(eyes.images, eyes.targets.amax(dim=1, keepdim=True), pixels_per_degree)


def arteries_and_veins(n: int, pixels_per_degree: float, seed: int = 0) -> Scaled:
    """The images of `synthetic_eyes` with two targets, arteries and veins.

    A crossing belongs to both.

    Parameters
    ----------
    n : int
        Number of images.
    pixels_per_degree : float
        Their scale; they are 45 degrees wide.
    seed : int, default 0
        The same seed gives the same images.

    Returns
    -------
    Scaled
        `n` square images with targets of two channels.

    Examples
    --------
    >>> arteries_and_veins(2, pixels_per_degree=2.0).targets.shape
    torch.Size([2, 2, 90, 90])
    """
    side = round(SYNTHETIC_ANGLE * pixels_per_degree)
    eyes = make_fundus_images(n, side, seed)
    images = torch.stack([eye.image for eye in eyes])
    targets = torch.stack([torch.stack([eye.artery, eye.vein]) for eye in eyes]).float()
    return Scaled(images, targets, pixels_per_degree)
