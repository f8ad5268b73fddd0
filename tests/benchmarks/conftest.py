"""Small synthetic photographs in the layouts of CHASE_DB1 and IDRiD_boxes."""

import numpy as np
import pytest
from PIL import Image

from retina_course.data.synthetic import make_fundus

SIDE = 64
BOXES = "0 0.3 0.5 0.2 0.2\n1 0.6 0.3 0.2 0.1\n2 0.6 0.7 0.1 0.2\n"  # one of each class


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A data folder: 28 images of 14 children with vessels, and 48 with boxes."""
    root = tmp_path_factory.mktemp("data")
    for folder in ("CHASE_DB1", "IDRiD_boxes"):
        (root / folder).mkdir()
    eyes = [make_fundus(SIDE, seed=seed) for seed in range(48)]
    for child in range(1, 15):
        for i, eye in enumerate("LR"):
            made = eyes[2 * child + i]
            name = f"Image_{child:02d}{eye}"
            save(root / "CHASE_DB1" / f"{name}.jpg", made)
            vessels = made.vessel.numpy()
            for ending, mask in (("_1stHO", vessels), ("_2ndHO", np.roll(vessels, 1, axis=1))):
                Image.fromarray(mask).save(root / "CHASE_DB1" / f"{name}{ending}.png")
    for number, made in enumerate(eyes):
        file = root / "IDRiD_boxes" / f"{number:04d}.jpg"
        save(file, made)
        lines = BOXES if number % 3 else BOXES.splitlines()[0]  # some without lesions
        file.with_suffix(".txt").write_text(lines)
    return root


def save(file, made):
    pixels = (made.image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(file, quality=95)
