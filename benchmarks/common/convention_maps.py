"""The vessel maps that analysis/conventions scores and analysis/threshold_page shows."""

import numpy as np
import torch

from benchmarks.common.files import RUNS
from retina_course.data.photographs import Photograph
from retina_course.inference import segment_all

MODEL = "unet_small"
FOLDER = RUNS / "conventions"
GRID = np.round(np.arange(1, 100) / 100, 2)  # the slider's thresholds


def probability(model: torch.nn.Module, card: dict, photo: Photograph) -> np.ndarray:
    """The map of one photograph, 0 outside the field of view, computed once for these weights."""
    file = FOLDER / card["sha256"][:12] / f"{photo.name}.npy"
    if not file.exists():
        found = segment_all(model, [photo], card)[0][0]
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npy")
        np.save(part, found)
        part.rename(file)
        print(photo.name, flush=True)
    return np.load(file)
