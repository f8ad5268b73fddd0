"""What does averaging more views of a photograph give, on a camera that the network does not know?

    python -m benchmarks.analysis.averaging [NETWORK ...]

The networks of CHASE_DB1 alone look at photographs of HRF's training half, which they have not
seen. The probabilities of several views are averaged: the photograph itself, its mirror images, its
eight symmetries (four quarter turns, each also mirrored), and the same at scales a quarter smaller
and larger. Each average is scored by AUC, by F1 at the network's own threshold, and by the F1 of
the threshold that would suit it best. It is for choosing: no test photograph is used.

Writes retina_course/results/averaging/NETWORK.json. It needs HRF (RETINA_COURSE_DATA).
"""

import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.folds import fold_of
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import HRF
from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.evaluation.streaming import PixelCounts
from retina_course.inference import segment

PROGRAM = Program(
    __file__,
    question="What does averaging more views of one photograph give, on an unknown camera?",
    results=("averaging/*.json",),
    commands=("python -m benchmarks.analysis.averaging",),
    hours=0.5,
    data=("HRF",),
    inputs=("retina_course/weights/*.safetensors", "retina_course/weights/*.json"),
)
NETWORKS = ("unet_small", "retina_segmentor")
SCALES = (0.8, 1.0, 1.25)
# A view is (scale, quarter turns, mirrored).
ITSELF = [(1.0, 0, False)]
FLIPS = [(1.0, turns, mirrored) for turns in (0, 2) for mirrored in (False, True)]
SYMMETRIES = [(1.0, turns, mirrored) for turns in range(4) for mirrored in (False, True)]
AVERAGES = {
    "the photograph itself": ITSELF,
    "4 flips": FLIPS,
    "8 symmetries": SYMMETRIES,
    "3 scales": [(scale, 0, False) for scale in SCALES],
    "3 scales, 4 flips each": [(scale, *view[1:]) for scale in SCALES for view in FLIPS],
}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    odd = [photo for photo in HRF(split="train") if fold_of("hrf", photo.name) == "a"]
    for name in parser.parse_args().networks:
        model, card = weights.load(name)
        counts = {average: PixelCounts() for average in AVERAGES}
        begun = time.process_time()
        for photo in odd:
            views = {view: seen(model, card, photo, view) for view in all_views()}
            for average, chosen in AVERAGES.items():
                mean = torch.stack([views[view] for view in chosen]).mean(dim=0).numpy()
                counts[average].add(*metrics.pool([mean], [photo.ground_truth], [photo.fov]))
        seconds = (time.process_time() - begun) / len(odd) / len(all_views())
        found: dict[str, Any] = {"model": name, "photographs": [photo.name for photo in odd]}
        found["averages"] = {
            average: {"views": len(chosen), **scored(counts[average], card["threshold"])}
            for average, chosen in AVERAGES.items()
        }
        found |= {"threshold": card["threshold"], "seconds_per_view": seconds}
        found["provenance"] = provenance(torch.device("cpu"), PROGRAM)
        write_json(RESULTS / "averaging" / f"{name}.json", found)
        print(f"written   {name}", flush=True)


def all_views() -> list[tuple[float, int, bool]]:
    """Each view once."""
    return sorted({view for chosen in AVERAGES.values() for view in chosen})


def seen(
    model: nn.Module, card: dict[str, Any], photo: Photograph, view: tuple[float, int, bool]
) -> Tensor:
    """The probabilities of one view, turned back to the photograph's own position, `(H, W)`."""
    scale, turns, mirrored = view
    at = {"pixels_per_degree": scale * card["pixels_per_degree"]}
    image = torch.from_numpy(photo.image).permute(2, 0, 1)
    found = segment(
        model,
        turned(image, turns, mirrored),
        at,
        flips=False,
        fov=turned(torch.from_numpy(photo.fov), turns, mirrored),
        field_angle=photo.field_angle,
    )
    return turned_back(found.probability, turns, mirrored)


def turned(image: Tensor, turns: int, mirrored: bool) -> Tensor:
    """An image `(..., H, W)` mirrored and then turned by quarter turns."""
    return torch.rot90(image.flip(-1) if mirrored else image, turns, (-2, -1))


def turned_back(image: Tensor, turns: int, mirrored: bool) -> Tensor:
    """What `turned` did, undone."""
    image = torch.rot90(image, -turns, (-2, -1))
    return image.flip(-1) if mirrored else image


def scored(counts: PixelCounts, threshold: float) -> dict[str, float]:
    """AUC, F1 at the network's own threshold and at the best one."""
    best = counts.best_threshold()
    own = counts.scores(threshold)
    best_f1 = counts.scores(best)["f1"]
    return {"auc": own["auc"], "f1": own["f1"], "best_f1": best_f1, "best_threshold": best}


if __name__ == "__main__":
    main()
