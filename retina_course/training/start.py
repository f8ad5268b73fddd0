"""How a run starts: with which bias of the last layer, and at which learning rate."""

import math

from torch import nn

from retina_course.models import create_model


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
