"""Networks for photographs of any camera: trained on two cameras and on synthetic eyes.

    python -m benchmarks.scores.any_camera list
    python -m benchmarks.scores.any_camera run --output runs/any_camera [--only NAME ...]
    python -m benchmarks.scores.any_camera run --only retina_segmentor_both_8000 --steps 8000
    python -m benchmarks.scores.any_camera run --only unet_small_both --after synthetic

Each piece trains one network: on both sets ("both"), on one set ("chase", "hrf"), on synthetic eyes
alone ("synthetic"), or on both without a fold of their children ("not_a", "not_b"). With --steps a
piece has another number of steps than the budget, and carries it in its name. With --after a piece
begins with the weights that the same network has after another source, and sees other batches. The
recipe was chosen by trials that looked at the other set's training half only, see
benchmarks/gpu/plan.py and `camera_variants`.
A run can be killed at any time, and goes on where it was. A finished piece writes a row into
retina_course/results/any_camera/: what it scores on training photographs that it has not seen, at
several scales. The test halves are scored by `any_camera_test`, once. Pieces that a GPU has made
(benchmarks/gpu) have the same form, and are not made again. The data folder is RETINA_COURSE_DATA.
"""

from dataclasses import asdict
from pathlib import Path

from benchmarks.common.attempts import Attempts
from benchmarks.common.camera_variants import EYE_SCALE, EYES
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.folds import fold_of
from benchmarks.common.index import Program
from benchmarks.common.kept_weights import KEPT
from benchmarks.common.networks import training_precision
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import smooth
from benchmarks.common.scales import SHARES, SOURCE_SCALES, camera_card, ranking_at
from retina_course import weights
from retina_course.data.cameras import Scaled
from retina_course.data.datasets import HRF, ChaseDB1, Photograph
from retina_course.training.any_camera import (
    CameraRecipe,
    stack_scaled,
    synthetic_eyes,
    train_any_camera,
)
from retina_course.training.devices import default_device

PROGRAM = Program(
    __file__,
    question="How well do networks do on a camera that they were not trained on?",
    results=("any_camera/*.json",),
    commands=("python -m benchmarks.scores.any_camera run --output runs/any_camera",),
    data=("CHASE_DB1", "HRF"),
)
ROWS = RESULTS / "any_camera"
OTHER_BATCHES = 100  # added to the seed of a piece that goes on from another: no crop comes again
SYNTHETIC = 0.4  # share of the crops, where there are photographs too
SOURCES: dict[str, tuple[str, ...]] = {
    "both": ("chase", "hrf"),
    "both_not_a": ("chase", "hrf"),
    "both_not_b": ("chase", "hrf"),
    "chase": ("chase",),
    "hrf": ("hrf",),
    "synthetic": (),
}
# Steps and crops per batch on a CPU: what an hour allows; the small network as on the GPU.
BUDGET = {
    "unet_small": {"steps": 3500, "batch_size": 8, "lr": 3e-3},
    "w_net": {"steps": 3000, "batch_size": 4, "lr": 3e-3},
    "retina_segmentor": {"steps": 2500, "batch_size": 4, "lr": 1e-3},
}


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("action", choices=["list", "run"])
    parser.add_argument("--output", type=Path, default=Path("runs/any_camera"))
    parser.add_argument("--only", nargs="+", default=[""], help="pieces whose name begins so")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="instead of the budget's")
    parser.add_argument("--after", choices=SOURCES, help="begin with the weights of this source")
    options = parser.parse_args()
    attempts = Attempts()
    wanted = {
        name: piece
        for name, piece in pieces(options.seeds, options.steps, options.after).items()
        if name.startswith(tuple(options.only))
    }
    if not wanted:
        parser.error(f"no piece begins with {' or '.join(options.only)}; `list` names them all")
    for name, (network, source, seed, recipe) in wanted.items():
        done = (ROWS / f"{name}.json").exists()
        print("finished" if done else "open    ", name, flush=True)
        if options.action == "run" and not done:
            with attempts.piece(name):
                run(name, network, source, seed, recipe, options.output, options.after)
    attempts.finish()


def pieces(
    seeds: list[int], steps: int | None, after: str | None
) -> dict[str, tuple[str, str, int, CameraRecipe]]:
    """Network, source, seed and recipe of each piece, by its name and in the order of a run."""
    longer = f"_{steps}" if steps else ""
    longer += f"_after_{after}" if after else ""
    changed = {"steps": steps} if steps else {}
    # Weights of other photographs than its own would know some that a piece may not.
    sources = [s for s in SOURCES if after in (None, "synthetic", s)]
    return {
        f"{network}_{source}{longer}_seed{seed}": (
            network,
            source,
            seed,
            CameraRecipe(**budget | changed),
        )
        for seed in seeds
        for source in sources
        for network, budget in BUDGET.items()
    }


def run(
    name: str,
    network: str,
    source: str,
    seed: int,
    recipe: CameraRecipe,
    output: Path,
    after: str | None = None,
) -> None:
    """Train one piece, and write its row."""
    folder, device = output / name, default_device()
    first = f"{network}_{after}_seed{seed}" if after else None
    initial = None
    if first:
        initial = weights.load(kept_weights(first, output))[0].state_dict()
    begun = folder / "begun.json"
    if not begun.exists():
        write_json(begun, provenance(device, PROGRAM))
    shares, sources = training_images(source)
    precision = training_precision(device)
    model, history = train_any_camera(
        network,
        sources,
        recipe,
        shares=shares,
        initial=initial,
        seed=seed + (OTHER_BATCHES if first else 0),
        checkpoint=folder / "checkpoint.pt",
        device=device,
        precision=precision,
        every=100,
    )
    card = camera_card(network, recipe)
    weights.save(folder / "weights.safetensors", model, card)
    row = {"model": network, "source": source, "seed": seed, "recipe": asdict(recipe)}
    row |= {"after": first} if first else {}
    row |= {"shares": shares, "seconds": history.seconds, "loss": smooth(history.loss)}
    row["precision"] = str(precision).removeprefix("torch.")
    row["held_out"] = {
        held: ranking_at(model.to(device), photographs) for held, photographs in unseen(source)
    }
    row["provenance"] = read_json(begun)
    write_json(ROWS / f"{name}.json", row)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def kept_weights(name: str, output: Path) -> Path:
    """The file with the weights of a piece: of this output, or kept in the repository."""
    paths = [folder / name / "weights.safetensors" for folder in (output, KEPT / "any_camera")]
    for path in paths:
        if path.exists():
            return path
    raise FileNotFoundError(
        f"No weights to begin with: neither {paths[0]} nor {paths[1]} exists. Train this piece "
        f"first: run --only {name} --output {output}."
    )


def training_images(source: str) -> tuple[list[float], list[Scaled]]:
    """The shares and the images of a piece."""
    names = SOURCES[source]
    total = sum(SHARES[name] for name in names)
    synthetic = SYNTHETIC if names else 1.0
    shares = [(1 - synthetic) * SHARES[name] / total for name in names] + [synthetic]
    fold = source[-1] if "not" in source else None
    sources = [stack_scaled(part(name, fold, False), SOURCE_SCALES[name]) for name in names]
    return shares, [*sources, synthetic_eyes(EYES, EYE_SCALE, seed=1000)]


def part(name: str, fold: str | None, held_out: bool) -> list[Photograph]:
    """A set's training half, the held-out fold of it, or what is left without the fold."""
    photographs = ChaseDB1(split="train") if name == "chase" else HRF(split="train")
    if fold is None:
        return list(photographs)
    return [
        photograph
        for record, photograph in zip(photographs.records, photographs, strict=True)
        if (fold_of(name, record.name) == fold) == held_out
    ]


def unseen(source: str) -> list[tuple[str, list[Photograph]]]:
    """The training photographs that a piece was not trained on, by set."""
    if "not" in source:
        return [(name, part(name, source[-1], True)) for name in SHARES]
    return [(name, part(name, None, True)) for name in SHARES if name not in SOURCES[source]]


if __name__ == "__main__":
    main()
