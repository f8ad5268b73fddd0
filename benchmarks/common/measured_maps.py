"""The vessel maps that measurement/ compares: of each shipped network, and of changed photographs.

They wait in runs/measurement, so that a program which is started again only measures.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from benchmarks.common.files import RUNS
from retina_course import weights
from retina_course.data.photographs import Photograph
from retina_course.inference.segmentation import segment

FOLDER = RUNS / "measurement"
NETWORKS = (
    *("unet_small", "unet_large", "retina_segmentor"),
    *("unet_small_any_camera", "retina_segmentor_any_camera", "w_net_any_camera"),
)
TURN = 5.0  # degrees
SHIFT = 0.06  # of the field's diameter that the crop takes off on the left and above
VARIANTS = ("as it is", "turned", "cropped")


class Map(NamedTuple):
    """A vessel map in the pixels of the photograph as it is, and where it is valid."""

    probability: np.ndarray
    fov: np.ndarray


def vessel_map(network: str, photo: Photograph, variant: str = "as it is") -> Map:
    """The map of one photograph by one network, computed once for its weights.

    Parameters
    ----------
    variant : one of `VARIANTS`; the map of a turned photograph is turned back.
    """
    model, card = loaded(network)
    file = FOLDER / card["sha256"][:12] / f"{photo.name}_{variant.replace(' ', '_')}.npz"
    if not file.exists():
        found = _segment(model, card, photo, variant)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez_compressed(part, probability=found.probability.astype(np.float16), fov=found.fov)
        part.rename(file)
    stored = np.load(file)
    return Map(stored["probability"].astype(np.float32), stored["fov"])


@functools.cache
def loaded(network: str) -> tuple[torch.nn.Module, dict]:
    """The network and its card."""
    return weights.load(network)


def _segment(model: torch.nn.Module, card: dict, photo: Photograph, variant: str) -> Map:
    image, fov = photo.image, photo.fov
    own = max(np.ptp(np.flatnonzero(fov.any(axis=axis))) + 1 for axis in (0, 1))
    cut = round(SHIFT * own)
    if variant == "turned":
        image, fov = _turned(image, TURN, 1), _turned(fov, TURN, 0)
    elif variant == "cropped":
        image, fov = image[cut:, cut:], fov[cut:, cut:]
    found = segment(
        model,
        image,
        card,
        flips=image.shape[0] < 2000,  # a photograph of HRF takes four times as long with them
        fov=fov.copy(),
        fov_diameter=float(own),
        field_angle=photo.field_angle,
    )
    p = found.probability.numpy()
    if variant == "turned":
        return Map(np.clip(_turned(p, -TURN, 1), 0, 1), _turned(fov, -TURN, 0) & photo.fov)
    if variant == "cropped":
        around = ((cut, 0), (cut, 0))
        return Map(np.pad(p, around), np.pad(fov, around))
    return Map(p, fov)


def _turned(pixels: np.ndarray, degrees: float, order: int) -> np.ndarray:
    return ndimage.rotate(pixels, degrees, reshape=False, order=order, mode="constant")
