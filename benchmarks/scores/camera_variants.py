"""What each part of the recipe for any camera gives on a camera that the network has not seen.

    python -m benchmarks.scores.camera_variants --output runs/camera_variants [--network NAME]

A network is trained on HRF's training half, with one thing changed at a time, and scored on
CHASE_DB1's training half, at three scales. All have the same steps, but `steps_double`, and
`synthetic_first`: it begins with the weights of `synthetic_alone`, so that its steps are double
too. `another_seed` shows what chance alone changes. It is for choosing: no test photograph is used.

A run can be killed at any time, and goes on where it was. A finished variant writes its row into
retina_course/results/camera_variants/. The data folder is RETINA_COURSE_DATA.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common.camera_variants import EYE_SCALE, EYES, VARIANTS
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import training_precision
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.scales import SOURCE_SCALES, WORKING_SCALE, camera_card, ranking_at
from retina_course import weights
from retina_course.data.cameras import Scaled
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.training.any_camera import (
    CameraRecipe,
    stack_scaled,
    synthetic_eyes,
    train_any_camera,
)
from retina_course.training.devices import default_device

PROGRAM = Program(
    __file__,
    question="What does each part of the recipe for any camera give on an unknown camera?",
    results=("camera_variants/*.json",),
    commands=("python -m benchmarks.scores.camera_variants --output runs/camera_variants",),
    data=("CHASE_DB1", "HRF"),
)
ROWS = RESULTS / "camera_variants"
STEPS, RATES = 600, {"unet_small": 3e-3, "w_net": 3e-3, "retina_segmentor": 1e-3}
SCALES = (14.0, 17.5, WORKING_SCALE)
TRIED: dict[str, dict[str, Any]] = VARIANTS | {
    "another_seed": {"seed": 1},
    "steps_double": {"recipe": {"steps": 2 * STEPS}},
    "synthetic_alone": {"synthetic": 1.0},
    "synthetic_first": {"start": "synthetic_alone"},
}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/camera_variants"))
    parser.add_argument("--network", default="unet_small", choices=RATES)
    parser.add_argument("--only", nargs="+", default=list(TRIED), choices=TRIED)
    options = parser.parse_args()
    sources = {
        "hrf": stack_scaled(HRF(split="train"), SOURCE_SCALES["hrf"]),
        "synthetic": synthetic_eyes(EYES, EYE_SCALE, seed=1000),
    }
    for variant in options.only:
        row = ROWS / f"{options.network}_{variant}.json"
        if not row.exists():
            write_json(row, run(options.network, variant, sources, options.output))
        print(f"finished  {row.stem}", flush=True)


def run(network: str, variant: str, sources: dict[str, Scaled], output: Path) -> dict[str, Any]:
    """Train one variant, and score it on the photographs of the other camera."""
    change, folder = TRIED[variant], output / f"{network}_{variant}"
    device, begun = default_device(), folder / "begun.json"
    if not begun.exists():
        write_json(begun, provenance(device, PROGRAM))
    share = change.get("synthetic", 0.0)
    shares = {"hrf": 1 - share, "synthetic": share}
    used = {name: part for name, part in shares.items() if part}
    start = None
    if "start" in change:
        path = output / f"{network}_{change['start']}" / "weights.safetensors"
        start = weights.load(path)[0].state_dict()
    settings = {"steps": STEPS, "lr": RATES[network]} | change.get("recipe", {})
    recipe = CameraRecipe(**settings)
    model, history = train_any_camera(
        network,
        [sources[name] for name in used],
        recipe,
        shares=list(used.values()),
        initial=start,
        seed=change.get("seed", 0),
        checkpoint=folder / "checkpoint.pt",
        device=device,
        precision=training_precision(device),
        every=100,
    )
    weights.save(folder / "weights.safetensors", model, camera_card(network, recipe))
    scores = ranking_at(model.to(device), list(ChaseDB1(split="train")), SCALES)
    for at_scale in scores.values():
        del at_scale["histogram"]  # no threshold is chosen here
    return {
        "model": network,
        "variant": variant,
        "shares": used,
        "recipe": asdict(recipe),
        "precision": str(training_precision(device)).removeprefix("torch."),
        "start": change.get("start"),
        "seed": change.get("seed", 0),
        "seconds": history.seconds,
        "loss": smooth(history.loss),
        "held_out": {"chase": scores},
        "provenance": read_json(begun),
    }


if __name__ == "__main__":
    main()
