"""Which networks are trained, shipped and compared, and by which recipes."""

import torch

from benchmarks.common.timing import has_bfloat16
from retina_course.training.devices import default_precision

SHIPPED = ("unet_small", "unet_large", "retina_segmentor")  # vessel networks with weights
OPTIONS = {"unet_large": {"fold": 4}}
SEEDS = (0, 1, 2)
# Steps, crop and scale of the course's recipe where a GPU is there, then on a CPU. SegNet and
# RetinaUNet need more than a second a step on a CPU: fewer steps of smaller crops, and the rows
# say so.
ON_GPU = {"steps": 6000, "crop": 256, "fov_diameter": 640}
OWN_SCALE = {"linknet": {"fov_diameter": 960}}  # its stem divides by 4
ON_CPU = {
    "unet_small": {"steps": 8000},
    "unet_large": {"steps": 6000},
    "retina_segmentor": {"steps": 2000},
    "linknet": {"steps": 3000} | OWN_SCALE["linknet"],
    "segnet": {"steps": 1000, "crop": 128},
    "retina_unet": {"steps": 400, "crop": 128},
}
# What more steps give, on a CPU. RetinaSegmentor's are as many as UNetLarge's: a pair with equal
# budgets, an hour each.
LONGER = {"unet_small": {"steps": 16000}, "retina_segmentor": {"steps": 6000}}
SCALES = (512, 640, 960)  # besides each network's own


def own_diameter(name: str) -> int:
    """The field of view, in pixels, at which a network is trained first."""
    return (ON_GPU | OWN_SCALE.get(name, {}))["fov_diameter"]


def training_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor computes in it, a CPU's too: it halves the time of a step.

    A CPU without it only imitates it, and takes twice as long as in float32.
    """
    if device.type == "cpu" and has_bfloat16(device):
        return torch.bfloat16
    return default_precision(device)
