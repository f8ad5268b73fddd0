"""The lessons' training and prediction on synthetic images."""

from collections.abc import Callable

from torch import Tensor, nn

from retina_course.data.augment import RandomCrops
from retina_course.inference import predict
from retina_course.training import History, default_device, fit, seed_everything, set_head_bias

Batch = tuple[Tensor, Tensor, Tensor]  # images, vessels and fields of view of `synthetic_batch`


def train(
    build: Callable[[], nn.Module],
    batch: Batch,
    steps: int,
    *,
    crop: int,
    batch_size: int,
    seed: int,
    **fit_options,
) -> tuple[nn.Module, History]:
    """A network trained by `fit` on random crops; everything random follows from `seed`."""
    model, crops = prepare(build, batch, crop=crop, batch_size=batch_size, seed=seed)
    return model, fit(model, crops, steps, seed=seed, progress=False, **fit_options)


def prepare(
    build: Callable[[], nn.Module],
    batch: Batch,
    *,
    crop: int,
    batch_size: int,
    seed: int,
    bias: bool = True,
) -> tuple[nn.Module, RandomCrops]:
    """An untrained network and its batches, on the device.

    Parameters
    ----------
    bias : whether the head starts at the fraction of vessel pixels.
    """
    device = default_device()
    seed_everything(seed)
    model = build()
    if bias:
        set_head_bias(model, batch[1].mean().item())
    images, vessels = (part.to(device) for part in batch[:2])
    return model.to(device), RandomCrops(images, vessels, size=crop, batch_size=batch_size)


def predict_all(model: nn.Module, batch: Batch) -> tuple[list, list, list]:
    """Probabilities, ground truth and fields of view, as `metrics` takes them."""
    images, vessels, fovs = batch
    found = [predict(model, image)[0].numpy() for image in images]
    return found, list(vessels[:, 0].bool().numpy()), list(fovs[:, 0].numpy())
