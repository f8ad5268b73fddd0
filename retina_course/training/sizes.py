"""Which crops and batches a network can be trained on: tried without computing anything."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from retina_course.models import create_model


def check_sizes(name: str, options: Mapping[str, Any], batch_size: int, crop: int) -> None:
    """Check that a network can be trained on such batches.

    Batch normalisation needs more than one value per channel, so a batch of one crop must not
    shrink to one pixel; and a network that halves its input several times takes only multiples.

    Parameters
    ----------
    name : str
        Name of the network, one of `list_models`.
    options : mapping
        Its options, see `create_model`.
    batch_size : int
        Crops per batch.
    crop : int
        Height and width of the crops in pixels.

    Raises
    ------
    ValueError
        If it cannot; the message names the nearest sizes that fit, or what the network says where
        none does.

    Examples
    --------
    >>> check_sizes("unet_small", {}, batch_size=4, crop=100)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: unet_small cannot be trained on ... 100x100 pixels. Crops of 96 or 104 pixels fit.
    """
    with torch.device("meta"):  # shapes only
        model = create_model(name, **options).train()
    if _fits(model, batch_size, crop):
        return
    smaller = next((c for c in range(crop - 1, 0, -1) if _fits(model, batch_size, c)), None)
    larger = next((c for c in range(crop + 1, 2 * crop + 512) if _fits(model, batch_size, c)), None)
    if not (smaller or larger):  # it is not the size
        _try(model, batch_size, crop)
    sizes = " or ".join(str(size) for size in (smaller, larger) if size)
    batches = f", or batches of {batch_size + 1}" if _fits(model, batch_size + 1, crop) else ""
    raise ValueError(
        f"{name} cannot be trained on batches of {batch_size} crop{'s' * (batch_size > 1)} of "
        f"{crop}x{crop} pixels. Crops of {sizes} pixels fit{batches}."
    )


def _fits(model: nn.Module, batch_size: int, crop: int) -> bool:
    try:
        _try(model, batch_size, crop)
        return True
    except (ValueError, RuntimeError):
        return False


def _try(model: nn.Module, batch_size: int, crop: int) -> None:
    model(torch.empty(batch_size, 3, crop, crop, device="meta"))
