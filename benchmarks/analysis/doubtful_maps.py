"""Can a network's own map say that it is wrong?

    python -m benchmarks.analysis.doubtful_maps [NETWORK ...]

Photographs at half of HRF's size and at CHASE_DB1's own are segmented as they are and damaged
(blurred, darkened, noisy, pale, coarse), and each map is scored against the ground truth. Three
numbers that need no ground truth are stored beside its F1:

- `expected_f1`: the F1 that the map has, at the scale of the network, if its probabilities are
  right, see `inference.doubt`;
- `flips`: the F1 between the map and that of the mirrored photograph;
- `scales`: the F1 between the map and that of the photograph at 0.7 of the scale.

The odd training photographs of HRF are for choosing among the three, and the bound: the networks of
CHASE_DB1 alone have not seen them. Six photographs of each test half are for
reporting.

Writes retina_course/results/doubtful_maps/NETWORK.json. It needs both sets (RETINA_COURSE_DATA).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.folds import fold_of
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.evaluation.metrics import binary_scores, scores
from retina_course.inference import Segmentation, segment
from retina_course.inference.doubt import expected_f1
from retina_course.inference.field_of_view import resize

PROGRAM = Program(
    __file__,
    question="Can a network's own map say that it is wrong?",
    results=("doubtful_maps/*.json",),
    commands=("python -m benchmarks.analysis.doubtful_maps",),
    hours=1.0,
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/weights/*.safetensors", "retina_course/weights/*.json"),
)
NETWORKS = ("unet_small", "unet_small_any_camera")
SHOWN = 6  # photographs of each test half
SMALLER = 0.7
COARSE = 12  # pixels per degree, as DRIVE's


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    odd = [photo for photo in HRF(split="train") if fold_of("hrf", photo.name) == "a"]
    parts = {
        "HRF, training": odd,
        "HRF, test": [HRF(split="test")[i * 5 + i % 3] for i in range(SHOWN)],
        "CHASE_DB1, test": [ChaseDB1(split="test")[i * 3] for i in range(SHOWN)],
    }
    for name in parser.parse_args().networks:
        model, card = weights.load(name)
        found: dict[str, Any] = {"model": name, "threshold": card["threshold"]}
        found["photographs"] = [
            {"set": part} | row
            for part, photographs in parts.items()
            for photo in photographs
            for row in looked_at(model, card, photo)
        ]
        found["provenance"] = provenance(torch.device("cpu"), PROGRAM)
        write_json(RESULTS / "doubtful_maps" / f"{name}.json", found)
        print(f"written   {name}", flush=True)


def looked_at(model: nn.Module, card: dict[str, Any], photo: Photograph) -> Iterator[dict]:
    """One row per damage."""
    fov = torch.from_numpy(photo.fov)
    for damage, image in damaged(photo).items():
        size = tuple(image.shape[1:])
        small_fov = resize(fov[None].float(), size)[0] > 0.5

        def seen(view: Tensor, inside: Tensor, scale: float = 1.0) -> Segmentation:
            at = {"pixels_per_degree": scale * card["pixels_per_degree"]}
            angle = photo.field_angle
            return segment(model, view, at, flips=False, fov=inside, field_angle=angle)

        first = seen(image, small_fov)
        p = first.probability
        mirrored = seen(image.flip(2), small_fov.flip(1)).probability.flip(1)
        smaller = seen(image, small_fov, SMALLER).probability
        cut = card["threshold"]
        inside = small_fov.numpy()
        found = (p >= cut).numpy()[inside]
        own = resize(p[None], tuple(photo.fov.shape))[0].numpy()
        truth = scores(own[photo.fov], photo.ground_truth[photo.fov], cut)
        yield {
            "name": photo.name,
            "damage": damage,
            "f1": truth["f1"],
            "auc": truth["auc"],
            "expected_f1": expected_f1(*first.seen, cut),
            "flips": binary_scores(found, (mirrored >= cut).numpy()[inside])["f1"],
            "scales": binary_scores(found, (smaller >= cut).numpy()[inside])["f1"],
            "vessel_fraction": float(found.mean()),
        }


def damaged(photo: Photograph) -> dict[str, Tensor]:
    """The photograph and its damaged forms, `(3, H, W)`; HRF's at half its size."""
    half = photo.image.shape[1] > 2000
    x = photo.image[::2, ::2] / 255 if half else photo.image / 255
    fov = (photo.fov[::2, ::2] if half else photo.fov)[..., None]
    degree = photo.fov.any(axis=0).sum() / photo.field_angle / (2 if half else 1)
    mean = x[fov[..., 0]].mean(axis=0)
    noise = np.random.default_rng(0).normal(scale=1, size=x.shape)
    forms = {
        "as it is": x,
        "blurred (sd 0.2 degrees)": ndimage.gaussian_filter(x, (0.2 * degree, 0.2 * degree, 0)),
        "dark (a fifth of the light, noise 0.02)": 0.2 * x + 0.02 * noise,
        "noise (sd 0.15)": x + 0.15 * noise,
        "pale (a quarter of the contrast)": mean + 0.25 * (x - mean),
    }
    # Rounded as in a file of 8 bits; outside every camera is black: nothing changes there.
    files = {
        name: (np.where(fov, image, x).clip(0, 1) * 255).round() / 255
        for name, image in forms.items()
    }
    images = {
        name: torch.from_numpy(image).permute(2, 0, 1).float() for name, image in files.items()
    }
    size = [round(side * COARSE / degree) for side in x.shape[:2]]
    coarse = (resize(images["as it is"], size) * 255).round() / 255
    return images | {f"coarse ({COARSE} pixels per degree)": coarse}


if __name__ == "__main__":
    main()
