"""Which networks are trained, shipped and compared, and by which recipes."""

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
