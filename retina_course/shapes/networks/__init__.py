"""The course's networks as lists of steps, with the names that the models give to their layers.

Table, operations, receptive field and memory follow from such a list (`shapes.steps`); the book's
shape calculator is made of them. The lists know no model: tests compare the two row by row.
"""

from collections.abc import Callable
from typing import Any

from retina_course.shapes.networks.residual import (
    linknet,
    retina_net,
    retina_segmentor,
    retina_unet_detector,
)
from retina_course.shapes.networks.unets import retina_unet, segnet, unet_large, unet_small, w_net
from retina_course.shapes.steps import Step

_NETWORKS: dict[str, Callable[..., list[Step]]] = {
    "unet_small": unet_small,
    "unet_large": unet_large,
    "segnet": segnet,
    "retina_unet": retina_unet,
    "retina_net": retina_net,
    "retina_unet_detector": retina_unet_detector,
    "retina_segmentor": retina_segmentor,
    "linknet": linknet,
    "w_net": w_net,
}

__all__ = ["describe"]


def describe(name: str, in_channels: int = 3, num_classes: int = 1, **options: Any) -> list[Step]:
    """The steps of a network of `create_model`, in eval mode.

    Parameters
    ----------
    name : str
        Name of the network, as for `create_model`.
    in_channels : int, default 3
        Channels of the images; only the steps of segnet depend on it.
    num_classes : int, default 1
        Output channels; for a detector the kinds of objects.
    **options : Any
        The options of `create_model` that change a shape: `fold` of unet_large, `head` and
        `separable` of segnet, `skip` of retina_segmentor, `encoder` and `up` of linknet,
        `class_loss`, `encoder`, `width`, `pyramid_channels` and `head_channels` of the detectors.

    Returns
    -------
    list of Layer or Link
        The steps. Those of retina_net end with the heads, those of retina_unet_detector with the
        segmentation.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from retina_course.shapes.networks import describe
    >>> from retina_course.shapes.steps import predict_table
    >>> predict_table(describe("unet_small"), (3, 64, 96))[-1]
    Row(name='TOTAL', type='', output_shape='1x64x96', params=63445)
    """
    if name not in _NETWORKS:
        raise ValueError(f"Unknown network {name!r}. Described are {', '.join(_NETWORKS)}.")
    if name == "segnet":
        options["in_channels"] = in_channels
    return _NETWORKS[name](num_classes, **options)
