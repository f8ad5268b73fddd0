"""Networks that tell arteries from veins, trained on synthetic eyes alone.

    python -m benchmarks.measurement.artery_vein [--only NAME ...] --output runs/artery_vein

Two output channels, artery and vein; a crossing belongs to both, so each channel is a binary
question of its own, and the loss is that of the course for each, added up. The crops change as
`RandomCameras` changes them, so that one network sees many cameras. No photograph is used: no set
of photographs of this course has labels of arteries and veins. What the networks find is scored by
`artery_vein_test`, on other synthetic eyes. Whether it holds for photographs is not known.

A run can be killed at any time, and goes on where it was. Writes
retina_course/results/artery_vein/NAME.json and NAME/weights.safetensors into the output. It needs
no dataset.
"""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.scales import WORKING_SCALE
from retina_course import weights
from retina_course.training.any_camera import CameraRecipe, arteries_and_veins, train_any_camera
from retina_course.training.losses import DiceCELoss

PROGRAM = Program(
    __file__,
    question="How are the networks for arteries and veins trained, without a photograph?",
    results=("artery_vein/*.json",),
    commands=("python -m benchmarks.measurement.artery_vein --output runs/artery_vein",),
    hours=0.5,
)
# A small budget: some ten minutes of one core each. An artery is told from a vein by its colour
# beside that of its neighbours, which a crop of 128 pixels shows.
BUDGET = {
    "unet_small": {"steps": 1500, "batch_size": 8, "crop": 128, "lr": 3e-3},
    "retina_segmentor": {"steps": 400, "batch_size": 8, "crop": 128, "lr": 1e-3},
}
EYES, EYE_SCALE, SEED = 72, 21.0, 3000
CHANNELS = {"num_classes": 2}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--only", nargs="+", default=list(BUDGET), choices=list(BUDGET))
    parser.add_argument("--output", type=Path, default=Path("runs/artery_vein"))
    options = parser.parse_args()
    for network in options.only:
        if not (RESULTS / "artery_vein" / f"{network}.json").exists():
            train(network, options.output / network)


def train(network: str, folder: Path) -> None:
    """Train one network, and write its weights and its row."""
    device = torch.device("cpu")
    begun = folder / "begun.json"
    if not begun.exists():
        write_json(begun, provenance(device, PROGRAM))
    recipe = CameraRecipe(**BUDGET[network])
    model, history = train_any_camera(
        network,
        [arteries_and_veins(EYES, EYE_SCALE, SEED)],
        recipe,
        options=CHANNELS,
        checkpoint=folder / "checkpoint.pt",
        device=device,
        precision=torch.bfloat16,
        loss=both_kinds,
        every=50,
    )
    card = {"model": network, "options": CHANNELS, "pixels_per_degree": WORKING_SCALE}
    weights.save(folder / "weights.safetensors", model, card)
    row = {
        "model": network,
        "options": CHANNELS,
        "recipe": asdict(recipe),
        "eyes": {"count": EYES, "pixels_per_degree": EYE_SCALE, "seed": SEED},
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        "provenance": read_json(begun),
    }
    write_json(RESULTS / "artery_vein" / f"{network}.json", row)


def both_kinds(logits: Tensor, targets: Tensor) -> Tensor:
    """The course's loss of the arteries plus that of the veins."""
    loss = DiceCELoss()
    kinds = zip(logits.split(1, dim=1), targets.split(1, dim=1), strict=True)
    return torch.stack([loss(*kind) for kind in kinds]).sum()


if __name__ == "__main__":
    main()
