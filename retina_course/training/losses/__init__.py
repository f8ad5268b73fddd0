"""Losses for segmentation. They take LOGITS, and compute in float32 whatever the autocast.

One output channel: logits `(N, 1, H, W)` against a float target `(N, 1, H, W)` of zeros and ones.
Several: logits `(N, C, H, W)` against an int64 target `(N, H, W)` of classes 0..C-1.

`DiceLoss` and `IoU` return `(score, loss)`, as the document that they come from calls them. All
others return the scalar loss alone: what `training.fit` takes, and what can be added.

Only shapes and types are checked here. To look at the values would stall a GPU at every step, so
mask values are checked once, where the data enter (`retina_course.data.datasets`).
"""

from retina_course.training.losses.centreline import ClDiceLoss, soft_skeleton
from retina_course.training.losses.combined import DiceCELoss
from retina_course.training.losses.inputs import SMOOTH
from retina_course.training.losses.overlap import DiceLoss, IoU, TverskyLoss
from retina_course.training.losses.pixelwise import CrossEntropyLoss, FocalLoss

__all__ = [
    "SMOOTH",
    "ClDiceLoss",
    "CrossEntropyLoss",
    "DiceCELoss",
    "DiceLoss",
    "FocalLoss",
    "IoU",
    "TverskyLoss",
    "soft_skeleton",
]
