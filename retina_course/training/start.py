"""How a run starts: with which weights, which bias of the last layer, at which learning rate."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from retina_course.models import create_model
from retina_course.training.devices import seed_everything


def first_network(
    name: str,
    options: dict[str, Any] | None,
    initial: Mapping[str, Tensor] | None,
    vessels: float,
    seed: int,
) -> nn.Module:
    """A network before its first step, with one output channel.

    Parameters
    ----------
    name : str
        Name of the network, one of `list_models`.
    options : dict or None
        Options of the network, see `create_model`.
    initial : mapping of str to Tensor or None
        Weights to start from. None: random ones, and the head's bias from `vessels`.
    vessels : float
        Fraction of vessel pixels, see `set_head_bias`.
    seed : int
        Seed of the random weights.

    Returns
    -------
    nn.Module
        On the CPU.

    Examples
    --------
    >>> first = first_network("unet_small", None, None, 0.1, seed=0)
    >>> first.num_classes
    1
    """
    seed_everything(seed)
    model = create_model(name, **(options or {}))
    if initial is None:
        set_head_bias(model, vessels)
    else:
        model.load_state_dict(initial)
    return model


def set_head_bias(model: nn.Module, fraction: float) -> None:
    """Start the last layer's bias at the log-odds of the fraction of vessel pixels.

    The first prediction is then that fraction itself, everywhere, and the first steps need not
    learn it. From a large random head some seeds never leave a constant output.

    Parameters
    ----------
    model : nn.Module
        Changed in place: all values of its last parameter whose name ends in "bias"; where it
        names `supervised_stages`, as `WNet` does, the last one of each stage.
    fraction : float
        Fraction of vessel pixels, between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        If it is not between 0 and 1.

    Examples
    --------
    >>> from torch import nn
    >>> head = nn.Conv2d(8, 1, kernel_size=1)
    >>> set_head_bias(head, 0.1)
    >>> print(f"{head.bias.sigmoid().item():.2f}")
    0.10
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, both excluded, got {fraction}.")
    for stage in getattr(model, "supervised_stages", [model]):
        biases = [value for name, value in stage.named_parameters() if name.endswith("bias")]
        nn.init.constant_(biases[-1], math.log(fraction / (1 - fraction)))


def learning_rate(name: str) -> float:
    """The highest learning rate that suits a network, by the number of its weights.

    Parameters
    ----------
    name : str
        Name of the network, one of `list_models`.

    Returns
    -------
    float
        1e-2 below 0.3 M weights, 1e-3 above.

    Examples
    --------
    >>> learning_rate("unet_small"), learning_rate("retina_segmentor")
    (0.01, 0.001)
    """
    weights = sum(parameter.numel() for parameter in create_model(name).parameters())
    return 1e-2 if weights < 300_000 else 1e-3
