"""Is the field of view found where a photograph is not black around it?

    python -m benchmarks.analysis.field_of_view

The training photographs of CHASE_DB1 and HRF and the first 40 of IDRiD, reduced to at most 900
pixels, get other surrounds: levels of grey, with and without noise, and white. Counted are the
photographs whose field is found as it is on black (IoU of at least 0.95). The whole picture is the
right answer for the middle of a photograph, cut out so that no border is left; counted are those
of which less was taken.

Writes retina_course/results/field_of_view.json. It needs the three sets (RETINA_COURSE_DATA).
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage

from benchmarks.common import datasets
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.reading import field_of_view

PROGRAM = Program(
    __file__,
    question="Is the field of view found where a photograph is not black around it?",
    results=("field_of_view.json",),
    commands=("python -m benchmarks.analysis.field_of_view",),
    hours=0.1,
    data=("CHASE_DB1", "HRF", "IDRiD_boxes"),
)
LARGEST = 900  # pixels of the longer side
SURROUNDS = {  # brightness and standard deviation of its noise, of 255
    "black": (0, 0),
    "noise around 8": (8, 4),
    "noise around 15": (15, 6),
    "noise around 20": (20, 8),
    "grey 25": (25, 0),
    "grey 25 with noise": (25, 6),
    "grey 60 with noise": (60, 6),
    "grey 128": (128, 0),
    "white": (255, 0),
}
FOUND = 0.95  # IoU
CUTS = {"square": (0.65, 0.65), "wide": (0.45, 0.8)}  # height and width by the field's diameter


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    rows: dict[str, dict[str, list[float]]] = {"surrounds": {}, "cut out": {}}
    for image in photographs():
        field = field_of_view(image)
        for name, around in surrounded(image, field).items():
            found = field_of_view(around)
            overlap = float((found & field).sum() / (found | field).sum())
            rows["surrounds"].setdefault(name, []).append(overlap)
        for name, part in cut_out(image, field).items():
            rows["cut out"].setdefault(name, []).append(float(field_of_view(part).mean()))
    content = {
        "surrounds": {
            name: {"found": sum(x >= FOUND for x in overlaps), "of": len(overlaps)}
            | {"lowest": round(min(overlaps), 4), "median": round(float(np.median(overlaps)), 4)}
            for name, overlaps in rows["surrounds"].items()
        },
        "cut_out": {
            name: {"whole": sum(x >= FOUND for x in shares), "of": len(shares)}
            for name, shares in rows["cut out"].items()
        },
        "datasets": {name: datasets.digest(name) for name in ("CHASE_DB1", "HRF", "IDRiD_boxes")},
        "provenance": provenance(torch.device("cpu"), PROGRAM),
    }
    for part in ("surrounds", "cut_out"):
        for name, row in content[part].items():
            print(name, row, flush=True)
    write_json(RESULTS / "field_of_view.json", content)


def photographs() -> Iterator[np.ndarray]:
    """Photographs, uint8 `(H, W, 3)`."""
    idrid = IDRiDBoxes(split="train")
    for photo in (*ChaseDB1(split="train"), *(idrid[i] for i in range(40)), *HRF(split="train")):
        step = -(-max(photo.image.shape) // LARGEST)
        yield photo.image[::step, ::step]


def surrounded(image: np.ndarray, field: np.ndarray) -> dict[str, np.ndarray]:
    """The photograph on each surround; the border is soft, as a lens makes it."""
    inside = ndimage.gaussian_filter(field.astype(float), 1)[..., None]
    noise = np.random.default_rng(0).normal(size=image.shape)
    return {
        name: (image * inside + (level + sd * noise) * (1 - inside)).clip(0, 255).astype(np.uint8)
        for name, (level, sd) in SURROUNDS.items()
    }


def cut_out(image: np.ndarray, field: np.ndarray) -> dict[str, np.ndarray]:
    """Parts of the photograph without a border."""
    spans = [field.any(axis=axis).nonzero()[0] for axis in (1, 0)]
    diameter = max(span[-1] + 1 - span[0] for span in spans)
    centre = [(span[0] + span[-1] + 1) / 2 for span in spans]
    return {
        name: image[
            tuple(
                slice(int(middle - share * diameter / 2), int(middle + share * diameter / 2))
                for middle, share in zip(centre, shares, strict=True)
            )
        ]
        for name, shares in CUTS.items()
    }


if __name__ == "__main__":
    main()
