"""The course's networks, one file per architecture, and the registry that builds them by name."""

import inspect

from torch import nn

from retina_course.models.blocks import check_channels
from retina_course.models.detection.retina_unet_detector import RetinaNet, RetinaUNetDetector
from retina_course.models.folding import Folded, check_fold, fold, unfold
from retina_course.models.linknet import LinkNet
from retina_course.models.retina_segmentor import RetinaSegmentor
from retina_course.models.retina_unet import RetinaUNet
from retina_course.models.segnet import SegNet
from retina_course.models.unet_large import UNetLarge
from retina_course.models.unet_small import UNetSmall

__all__ = [
    "Folded",
    "DETECTORS",
    "LinkNet",
    "RetinaNet",
    "RetinaSegmentor",
    "RetinaUNet",
    "RetinaUNetDetector",
    "SegNet",
    "UNetLarge",
    "UNetSmall",
    "create_model",
    "fold",
    "list_models",
    "unfold",
]


def _unet_large(in_channels: int = 3, num_classes: int = 1, fold: int = 1) -> nn.Module:
    check_channels(in_channels, num_classes)
    check_fold(fold)
    if fold == 1:
        return UNetLarge(in_channels, num_classes)
    return Folded(UNetLarge(in_channels * fold**2, num_classes * fold**2), fold)


_MODELS = {
    "unet_small": UNetSmall,
    "unet_large": _unet_large,
    "segnet": SegNet,
    "retina_unet": RetinaUNet,
    "retina_net": RetinaNet,
    "retina_unet_detector": RetinaUNetDetector,
    "retina_segmentor": RetinaSegmentor,
    "linknet": LinkNet,
}


DETECTORS = ("retina_net", "retina_unet_detector")  # they find boxes, all others give maps


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
