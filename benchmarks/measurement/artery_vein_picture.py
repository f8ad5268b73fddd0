"""Arteries and veins of one synthetic eye: as they are, and as a network finds them.

    python -m benchmarks.measurement.artery_vein_picture --output runs/artery_vein

The eye is the first of those that `artery_vein_test` scores, the network is UNetSmall, with the
thresholds of that program. Writes artery_vein.jpg and artery_vein_picture.json into
retina_course/results/. It needs no dataset.
"""

import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from benchmarks.common.figures import save
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.kinds import KINDS, told_apart
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.synthetic import make_fundus
from retina_course.figures import plotting

PROGRAM = Program(
    __file__,
    question="What does a map of arteries and veins look like, on a synthetic eye?",
    results=("artery_vein_picture.json",),
    also=("retina_course/results/artery_vein.jpg",),
    commands=("python -m benchmarks.measurement.artery_vein_picture --output runs/artery_vein",),
    inputs=("retina_course/results/artery_vein_test/unet_small.json",),
    hours=0.01,
)


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/artery_vein"))
    folder, began = parser.parse_args().output, time.perf_counter()
    row = read_json(RESULTS / "artery_vein_test" / "unet_small.json")
    size, seed = row["eyes"]["size"], row["eyes"]["scored"][0]
    eye = make_fundus(size, seed)
    model, card = weights.load(folder / "unet_small" / "weights.safetensors")
    with torch.inference_mode():
        p = model(eye.image[None])[0].sigmoid().numpy()
    thresholds = [row["kinds"][kind]["threshold"] for kind in KINDS]
    artery, vein = told_apart(p, thresholds, eye.fov.numpy())
    panels = {
        "synthetic image": eye.image.permute(1, 2, 0).numpy(),
        "ground truth": coloured(eye.artery.numpy(), eye.vein.numpy()),
        "UNetSmall": coloured(artery, vein),
    }
    figure = Figure(figsize=(12, 4.3), dpi=110, facecolor="white", layout="constrained")
    for axes, (title, panel) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        axes.imshow(panel)
        axes.set_title(title, fontsize=20)
        axes.set_axis_off()
    save(figure, RESULTS / "artery_vein.jpg")
    content = {
        "eye": {"size": size, "seed": seed},
        "weights_sha256": card["sha256"],
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "artery_vein_picture.json", content)


def coloured(arteries: np.ndarray, veins: np.ndarray) -> np.ndarray:
    """Arteries orange, veins blue, both black, on white, `(H, W, 3)`."""
    picture = np.ones((*arteries.shape, 3))
    picture[arteries], picture[veins] = to_rgb(plotting.ORANGE), to_rgb(plotting.BLUE)
    picture[arteries & veins] = 0
    return picture


if __name__ == "__main__":
    main()
