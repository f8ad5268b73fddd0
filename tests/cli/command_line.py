"""The command line, called in this process, and a small photograph for it."""

import numpy as np

from retina_course.cli import parser as cli

CARD = {"model": "unet_small", "options": {}, "fov_diameter": 100, "threshold": 0.5}
TINY = ("--steps", "3", "--crop", "64", "--batch-size", "2", "--fov-diameter", "100")


def photograph(seed=0, size=120):
    """A small round field with a dark cross for vessels: image uint8 `(H, W, 3)`, mask bool."""
    y, x = np.mgrid[:size, :size] - size / 2
    vessels = ((abs(y) < 3) | (abs(x) < 2)) & (np.hypot(x, y) < 0.4 * size)
    image = np.random.default_rng(seed).integers(90, 130, (size, size, 3), dtype=np.uint8)
    image[vessels] //= 2
    image[np.hypot(x, y) > 0.42 * size] = 0
    return image, vessels


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])
