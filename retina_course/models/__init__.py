"""The course's networks, one file per architecture, and the registry that builds them by name."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from retina_course.models.blocks import check_channels
from retina_course.models.detection import RetinaNet, RetinaUNetDetector
from retina_course.models.folding import Folded, check_fold, fold, unfold
from retina_course.models.linknet import LinkNet
from retina_course.models.retina_segmentor import RetinaSegmentor
from retina_course.models.retina_unet import RetinaUNet
from retina_course.models.segnet import SegNet
from retina_course.models.unet_large import UNetLarge
from retina_course.models.unet_small import UNetSmall
from retina_course.models.w_net import WNet

__all__ = [
    "DETECTORS",
    "Folded",
    "LinkNet",
    "RetinaNet",
    "RetinaSegmentor",
    "RetinaUNet",
    "RetinaUNetDetector",
    "SegNet",
    "UNetLarge",
    "UNetSmall",
    "WNet",
    "create_model",
    "fold",
    "list_models",
    "unfold",
]


def _unet_large(in_channels: int = 3, num_classes: int = 1, fold: int = 1) -> nn.Module:
    """UNetLarge, folded where `fold` is more than 1."""
    check_channels(in_channels, num_classes)
    check_fold(fold)
    if fold == 1:
        return UNetLarge(in_channels, num_classes)
    return Folded(UNetLarge(in_channels * fold**2, num_classes * fold**2), fold)


_MODELS: dict[str, Callable[..., nn.Module]] = {
    "unet_small": UNetSmall,
    "unet_large": _unet_large,
    "segnet": SegNet,
    "retina_unet": RetinaUNet,
    "retina_net": RetinaNet,
    "retina_unet_detector": RetinaUNetDetector,
    "retina_segmentor": RetinaSegmentor,
    "linknet": LinkNet,
    "w_net": WNet,
}

DETECTORS = ("retina_net", "retina_unet_detector")  # they find boxes, all others give maps


def list_models() -> list[str]:
    """The names that `create_model` accepts, in the order of the chapters.

    Returns
    -------
    list of str
        One name per architecture.

    Examples
    --------
    >>> from retina_course import list_models
    >>> for name in list_models():
    ...     print(name)
    unet_small
    unet_large
    segnet
    retina_unet
    retina_net
    retina_unet_detector
    retina_segmentor
    linknet
    w_net
    """
    return list(_MODELS)


def create_model(name: str, **options: Any) -> nn.Module:
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `list_models()`.
    **options : Any
        The network's own keyword arguments, e.g. `in_channels=3, num_classes=1` (for a detector
        `num_classes` counts the kinds of objects, for the others the output channels).

    Returns
    -------
    Module
        The network, with its first, untrained weights; `weights.load` gives trained networks.

    Raises
    ------
    ValueError
        If the name is unknown, or the network refuses a value.
    TypeError
        If the network does not have one of the options.

    Examples
    --------
    >>> import torch
    >>> from retina_course import create_model
    >>> model = create_model("unet_small", num_classes=2)
    >>> model(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 2, 64, 64])
    >>> create_model("unet_small", classes=2)
    Traceback (most recent call last):
    ...
    TypeError: unet_small has no option 'classes'. Its options are in_channels, num_classes.
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
