"""Networks with options and sizes, for the comparison of their descriptions with the models."""

from itertools import product

import torch
from torch import Tensor, nn

from retina_course import create_model, shapes
from retina_course.models import DETECTORS
from retina_course.models.detection.pyramid import PyramidNetwork

_OPTIONS = {
    "unet_small": [{}, {"num_classes": 32}],
    "unet_large": [{}, {"fold": 4, "num_classes": 2}, {"fold": 3}],
    "segnet": [
        {"head": head, "separable": separable, "num_classes": 5}
        for head, separable in product(("logits", "documented"), (False, True))
    ],
    "retina_unet": [{}, {"num_classes": 4}],
    "retina_segmentor": [{"skip": skip} for skip in ("concat", "add", "none")],
    "linknet": [
        {"encoder": encoder, "up": up, "num_classes": 2}
        for encoder, up in product(("resnet18", "resnet34"), ("transpose", "upsample"))
    ],
    "w_net": [{}, {"num_classes": 3}],
    **{
        name: [
            {"encoder": "resnet18"},
            {"encoder": "resnet50", "class_loss": "hard_negatives", "num_classes": 3, "width": 12},
            {"pyramid_channels": 40, "head_channels": 24, "num_classes": 2},
        ]
        for name in DETECTORS
    },
}
_IMAGES = ((3, (96, 192)), (1, (192, 96)), (4, (288, 96)))
# Name, options with the image's channels, size of the image: 66 cases.
CASES = [
    (name, {"in_channels": channels, **options}, size)
    for name, several in _OPTIONS.items()
    for options in several
    for channels, size in _IMAGES[: 1 if name in DETECTORS else 3]
]


class Boxes(nn.Module):
    """A detector's network without its segmentation."""

    def __init__(self, network: PyramidNetwork) -> None:
        super().__init__()
        for name, module in network.named_children():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return PyramidNetwork.forward(self, x, segment=False).classes


def build(name: str, options: dict) -> nn.Module:
    """The model that is traced; of a detector its network, which gives maps."""
    with torch.device("meta"):
        model = create_model(name, **options)
    if name == "retina_unet_detector":
        return model.network
    return Boxes(model.network) if name == "retina_net" else model


def trace(name: str, model: nn.Module, options: dict, size: tuple[int, int]) -> list[shapes.Row]:
    """Table of the model.

    A detector's output is a list of anchors, and RetinaNet holds the layers of the segmentation
    without using them: its total is that of the layers that run.
    """
    rows = shapes.trace(model, (1, options["in_channels"], *size))
    if name in DETECTORS:
        total = sum(row.params for row in rows[:-1])
        rows[-1] = rows[-1]._replace(output_shape=rows[-2].output_shape, params=total)
    return rows
