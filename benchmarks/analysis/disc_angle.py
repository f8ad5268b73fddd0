"""What the optic disc says about the field angle, and how wrong that is.

    python -m benchmarks.analysis.disc_angle

The detector looks for the optic disc in photographs of three cameras: of 30 degrees (CHASE_DB1), 50
(IDRiD; the detector was trained on its training half) and 60 (HRF). If the box around a disc is D
degrees wide, then a field of view that is k boxes wide has k D degrees. D is chosen on the training
halves, so that the mean error over the three cameras is zero; the bound above which `segment` says
something comes from there, too. The test halves are scored once: the error of the suggested angle,
how often something would be said of the right angle, and of angles that are wrong by a factor.

Writes retina_course/results/disc_angle.json. It needs the three sets (folder RETINA_COURSE_DATA).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.idrid import IDRiDBoxes
from retina_course.data.images import read_image
from retina_course.inference.disc_angle import DIFFERS, DISC_DEGREES, angle_from_disc
from retina_course.inference.field_of_view import as_fov

PROGRAM = Program(
    __file__,
    question="What does the optic disc say about the field angle of a photograph?",
    results=("disc_angle.json",),
    commands=("python -m benchmarks.analysis.disc_angle",),
    hours=0.1,
    data=("CHASE_DB1", "HRF", "IDRiD_boxes"),
    inputs=("retina_course/weights/retina_net.*",),
)
SETS = {"CHASE_DB1": (ChaseDB1, 30.0), "IDRiD": (IDRiDBoxes, 50.0), "HRF": (HRF, 60.0)}
EACH = 40  # photographs of a half of IDRiD, evenly spread; the others have fewer
WRONG = (0.5, 0.67, 0.75, 1.33, 1.5, 2.0)  # the angle that is said, by the right one


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    detector, card = weights.load("retina_net")
    found: dict[str, Any] = {}
    for split in ("train", "test"):
        found[split] = {}
        for name, (dataset, right) in SETS.items():
            suggested = [
                suggestion(detector, card, read_image(photo.image))
                for photo in spread(dataset(split=split))
            ]
            found[split][name] = {"right": right, "suggested": suggested}
            print(split, name, summary(found[split][name]), flush=True)
    content = {
        "disc_degrees": disc_degrees(found["train"]),
        "used": {"disc_degrees": DISC_DEGREES, "differs": DIFFERS},
        "halves": found,
        "summary": {
            split: {name: summary(one) for name, one in half.items()}
            for split, half in found.items()
        },
        "provenance": provenance(torch.device("cpu"), PROGRAM),
    }
    write_json(RESULTS / "disc_angle.json", content)


def suggestion(detector: nn.Module, card: dict[str, Any], image: Tensor) -> float | None:
    return angle_from_disc(detector, card, image, as_fov(None, image))


def spread(dataset: Any) -> Iterator[Any]:
    """All photographs of a set, or `EACH` of them."""
    step = max(1, len(dataset) // EACH)
    return (dataset[i] for i in range(0, len(dataset), step))


def ratios(one: dict[str, Any]) -> NDArray[np.float64]:
    """The suggested angle by the right one, where a disc was found."""
    suggested: Iterable[float] = filter(None, one["suggested"])
    return np.array(list(suggested)) / one["right"]


def disc_degrees(half: dict[str, Any]) -> float:
    """The width of a disc's box with which the suggestions are right on average over cameras."""
    logs = [np.log(ratios(one)).mean() for one in half.values()]
    return float(DISC_DEGREES / np.exp(np.mean(logs)))


def summary(one: dict[str, Any]) -> dict[str, Any]:
    """How many discs are found, the errors, and how often a sentence is said of which angle."""
    ratio = ratios(one)

    def said(factor: float) -> float:
        """The share of the photographs of which something is said, discs not found included."""
        differs = np.maximum(ratio / factor, factor / ratio) > DIFFERS
        return float(differs.sum() / len(one["suggested"]))

    quantiles = np.quantile(ratio, (0.05, 0.5, 0.95))
    return {
        "photographs": len(one["suggested"]),
        "discs": len(ratio),
        "ratio": dict(zip(("p5", "median", "p95"), quantiles.tolist(), strict=True)),
        "said_of_right_angle": said(1.0),
        "said_of_wrong_angle": {f"{factor:g}": said(factor) for factor in WRONG},
    }


if __name__ == "__main__":
    main()
