"""The course's networks, one file per architecture, and the registry that builds them by name."""

import inspect

from torch import nn

from retina_course.models.unet_small import UNetSmall

_MODELS = {"unet_small": UNetSmall}

__all__ = ["UNetSmall", "create_model", "list_models"]


def list_models() -> list[str]:
    """The names that `create_model` accepts, in the order of the chapters."""
    return list(_MODELS)


def create_model(name: str, **options) -> nn.Module:
    """Build a network by its name.

    Parameters
    ----------
    name : one of `list_models()`.
    options : the model's own keyword arguments, e.g. `in_channels=3, num_classes=1`
        (`num_classes` is the number of output channels).

    Raises
    ------
    ValueError : unknown name, or a value that the model refuses.
    TypeError : an option that the model does not have.
    """
    if name not in _MODELS:
        raise ValueError(f"Unknown model {name!r}. Available: {', '.join(_MODELS)}.")
    model = _MODELS[name]
    known = list(inspect.signature(model).parameters)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has no option {', '.join(map(repr, unknown))}. "
            f"Its options are {', '.join(known)}."
        )
    return model(**options)
