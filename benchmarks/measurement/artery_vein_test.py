"""Arteries and veins found by networks, on synthetic eyes that they have not seen.

    python -m benchmarks.measurement.artery_vein_test [--only NAME ...] --output runs/artery_vein

The networks are those of `artery_vein`. Synthetic eyes only: what they score there says nothing of
photographs, in which arteries and veins differ by less and in other ways.

For each kind: AUC, average precision and F1 of the pixels inside the field of view, at a threshold
from other synthetic eyes. For pixels that are truly vessel, of one kind, and for those on their
centrelines: how many get a higher probability for the right kind. And CRAE, CRVE and AVR around
the exact optic disc, from the exact masks and from the networks' masks, against the exact radii. In
a network's masks each segment of a vessel is of one kind, the one that its pixels vote for.
Writes retina_course/results/artery_vein_test/NAME.json. It needs no dataset.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.common.exact_equivalents import (
    NAMES,
    agreement,
    disc_of,
    exact_equivalents,
)
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.kinds import KINDS, told_apart
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.synthetic import Fundus, make_fundus, vessel_geometry
from retina_course.evaluation.streaming import PixelCounts
from retina_course.measurement.equivalents import central_equivalents
from retina_course.measurement.skeleton import thinned

PROGRAM = Program(
    __file__,
    question="How well do networks tell arteries from veins, on synthetic eyes?",
    results=("artery_vein_test/*.json",),
    commands=("python -m benchmarks.measurement.artery_vein_test --output runs/artery_vein",),
    inputs=("retina_course/results/artery_vein/*.json",),
    hours=0.1,
)
SIZE = 960  # 21 pixels per degree of 45, a multiple of 16
CHOOSING, SCORED = range(6000, 6004), range(7000, 7016)  # seeds of the eyes
NETWORKS = ("unet_small", "retina_segmentor")


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--only", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--output", type=Path, default=Path("runs/artery_vein"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only:
        path = RESULTS / "artery_vein_test" / f"{name}.json"
        if not path.exists():
            model, card = weights.load(options.output / name / "weights.safetensors")
            write_json(path, {"model": name, "weights_sha256": card["sha256"]} | scored(model))
            print(f"written   {name}", flush=True)


def scored(model: nn.Module) -> dict:
    """All scores of one network."""
    source = provenance(torch.device("cpu"), PROGRAM)
    thresholds = [counts.best_threshold() for counts in counted(model, CHOOSING)]
    pixels = [PixelCounts() for _ in KINDS]
    right: dict[str, list[list[int]]] = {"vessels": [], "centrelines": []}
    true, exact_masks, found = [], [], []
    for seed in SCORED:
        eye, truth = make_fundus(SIZE, seed), vessel_geometry(SIZE, seed)
        fov, disc = eye.fov.numpy(), disc_of(truth)
        p = probabilities(model, eye)
        add(pixels, p, eye)
        for part, counts in right_kind(p, eye).items():
            right[part].append(counts)
        true.append(exact_equivalents(truth, fov))
        exact_masks.append(central_equivalents(eye.artery.numpy(), eye.vein.numpy(), disc))
        found.append(central_equivalents(*told_apart(p, thresholds, fov), disc))
        print(f"eye {seed}", flush=True)
    shares = {part: np.sum(counts, axis=0) for part, counts in right.items()}
    return {
        "data": "synthetic eyes only",
        "eyes": {"size": SIZE, "choosing": list(CHOOSING), "scored": list(SCORED)},
        "kinds": {
            kind: {"threshold": cut} | counts.scores(cut)
            for kind, cut, counts in zip(KINDS, thresholds, pixels, strict=True)
        },
        "right_kind": {
            part: {
                "accuracy": float(counts[:2].sum() / counts.sum()),
                "artery": float(counts[0] / (counts[0] + counts[2])),
                "vein": float(counts[1] / (counts[1] + counts[3])),
            }
            for part, counts in shares.items()
        },
        "equivalents": {
            "exact_masks": agreement(true, exact_masks),
            "network": agreement(true, found),
            "rows": {
                name: {
                    part: [None if np.isnan(eye[name]) else eye[name] for eye in eyes]
                    for part, eyes in (
                        ("exact", true),
                        ("exact_masks", exact_masks),
                        ("network", found),
                    )
                }
                for name in NAMES
            },
        },
        "provenance": source,
    }


def counted(model: nn.Module, seeds: range) -> list[PixelCounts]:
    """The pixels of some eyes by their probability, for each kind."""
    pixels = [PixelCounts() for _ in KINDS]
    for seed in seeds:
        eye = make_fundus(SIZE, seed)
        add(pixels, probabilities(model, eye), eye)
    return pixels


def add(pixels: list[PixelCounts], p: np.ndarray, eye: Fundus) -> None:
    """Count the pixels of one eye, inside its field of view."""
    fov = eye.fov.numpy()
    for counts, own, kind in zip(pixels, p, KINDS, strict=True):
        counts.add(own[fov], getattr(eye, kind).numpy()[fov])


def probabilities(model: nn.Module, eye: Fundus) -> np.ndarray:
    """Artery and vein, `(2, H, W)`: two questions, each with a probability of its own."""
    with torch.inference_mode():
        return model(eye.image[None])[0].sigmoid().numpy()


def right_kind(p: np.ndarray, eye: Fundus) -> dict[str, list[int]]:
    """Of vessels of one kind: arteries and veins that are found right, then those that are not."""
    artery, vein = eye.artery.numpy(), eye.vein.numpy()
    lines = {"vessels": (artery, vein), "centrelines": (thinned(artery), thinned(vein))}
    said_artery = p[0] >= p[1]
    found = {}
    for part, (arteries, veins) in lines.items():
        a, v = said_artery[arteries & ~vein], ~said_artery[veins & ~artery]
        found[part] = [int(a.sum()), int(v.sum()), int((~a).sum()), int((~v).sum())]
    return found


if __name__ == "__main__":
    main()
