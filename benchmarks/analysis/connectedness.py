"""Vessel maps in fewer pieces: hysteresis, removal of specks, and a loss for centrelines.

    python -m benchmarks.analysis.connectedness [MAPS ...]

Shipped networks that were trained on CHASE_DB1 segment its photographs, without flips. Their
probabilities become maps in four ways: at one threshold, by hysteresis, without small pieces, and
by both. All settings are chosen on the 8 training photographs: the threshold by the pooled F1; of
the others, those with the least mean Betti-0 error among all whose F1 is at most COST below that
of the threshold. The network was trained on these photographs, so its maps have fewer errors
there than on others.

Two more networks are `unet_small` after STEPS further steps, one by the recipe's loss, one with
clDice added. They have the same batches.

Writes retina_course/results/connectedness/MAPS.json and a figure. It can be killed at any time: a
finished file is kept while the code is the same, a training goes on.
"""

import itertools
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import colors
from matplotlib.figure import Figure
from scipy import ndimage
from torch import nn

from benchmarks.common.figures import CREDITS, save
from benchmarks.common.files import RESULTS, RUNS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.protocol import recipe_row
from benchmarks.common.provenance import provenance
from benchmarks.common.shape_scores import shape_scores, tolerance_of_observers
from retina_course import weights
from retina_course.data.datasets import ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.evaluation import metrics
from retina_course.evaluation.topology import EIGHT, betti_numbers, hysteresis, remove_specks
from retina_course.figures import plotting
from retina_course.inference import segment_all
from retina_course.training import Recipe, train_vessels
from retina_course.training.losses import ClDiceLoss, DiceCELoss

PROGRAM = Program(
    __file__,
    question="How are vessel maps made connected, and what does it cost?",
    results=("connectedness/*.json",),
    also=("retina_course/results/connected_map.jpg",),
    commands=("python -m benchmarks.analysis.connectedness",),
    hours=0.4,
    data=("CHASE_DB1",),
    inputs=(
        "retina_course/weights/unet_small.*",
        "retina_course/weights/unet_large.*",
        "retina_course/weights/retina_segmentor.*",
    ),
)
FOLDER = RESULTS / "connectedness"
STEPS, CROP, LR, SEED = 400, 128, 1e-3, 1
dice_ce, cldice = DiceCELoss(), ClDiceLoss()
LOSSES = {
    "unet_small_recipe_loss": dice_ce,
    "unet_small_cldice_loss": lambda x, t: dice_ce(x, t) + cldice(x, t),
}
NETWORKS = ("unet_small", *LOSSES, "retina_segmentor", "unet_large")
OBSERVER = "second_observer"

COST = 0.005  # of F1 on the training photographs
LOWER = (1, 0.75, 0.5)  # low threshold, as a fraction of the plain one
HIGHER = (0, 0.25, 0.5, 0.75)  # high threshold, as a fraction of the way from the plain one to 1
AREAS = (0, 25, 50, 100, 200, 400)  # pixels of the photograph
WAYS = {  # which settings may differ from the plain threshold
    "plain threshold": ((1,), (0,), (0,)),
    "hysteresis": (LOWER, HIGHER, (0,)),
    "no specks": ((1,), (0,), AREAS),
    "both": (LOWER, HIGHER, AREAS),
}


class Setting(NamedTuple):
    """How a map is made of probabilities."""

    low: float
    high: float
    area: int


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("maps", nargs="*", default=[*NETWORKS, OBSERVER])
    training, test = (list(ChaseDB1(split=split)) for split in ("train", "test"))
    tolerance = tolerance_of_observers()
    for name in parser.parse_args().maps:
        began, file = time.perf_counter(), FOLDER / f"{name}.json"
        source = provenance(torch.device("cpu"), PROGRAM)
        if file.exists() and read_json(file)["provenance"]["code"] == source["code"]:
            print(f"kept      {name}", flush=True)
            continue
        found: dict[str, Any] = {"maps": name, "tolerance": tolerance}
        if name == OBSERVER:
            found["photographs"] = [
                scored(photo.second_observer, photo, tolerance) for photo in test
            ]
        else:
            model, card, found["fine_tuning"] = network(name, training)
            found |= four_ways(model, card, training, test, tolerance)
            if name == "unet_small":
                draw(model, card, test, found["ways"])
        found["provenance"] = source | {"seconds": round(time.perf_counter() - began, 1)}
        write_json(file, found)
        print(f"written   {name}", flush=True)


def network(name: str, training: list[Photograph]) -> tuple[nn.Module, dict, dict | None]:
    """A shipped network with its card; or `unet_small`, trained further, with the recipe."""
    if name not in LOSSES:
        return *weights.load(name), None
    model, card = weights.load("unet_small")
    recipe, precision = Recipe(steps=STEPS, crop=CROP, lr=LR), torch.bfloat16
    file = RUNS / "connectedness" / f"{name}.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    model, history = train_vessels(
        "unet_small",
        training,
        recipe,
        initial=model.state_dict(),
        loss=LOSSES[name],
        seed=SEED,
        checkpoint=file,
        device=torch.device("cpu"),
        precision=precision,
        every=50,
    )
    row = recipe_row(recipe, precision) | {"seed": SEED, "seconds": history.seconds}
    if LOSSES[name] is not dice_ce:
        row["loss"] += " + clDice"
    return model, card, row


def four_ways(
    model: nn.Module,
    card: dict,
    training: list[Photograph],
    test: list[Photograph],
    tolerance: float,
) -> dict[str, Any]:
    """Settings from the training photographs; scores of each test photograph by each way."""
    known = segment_all(model, training, card, flips=False)
    plain = metrics.best_threshold(*metrics.pool(*known))
    tried = {
        setting: judged(known[0], training, setting) for setting in settings(plain, WAYS["both"])
    }
    maps = segment_all(model, test, card, flips=False)
    ways, done = {}, {}
    for way, grid in WAYS.items():
        chosen = choose(plain, grid, tried)
        if chosen not in done:
            done[chosen] = [
                scored(made(p, photo, chosen), photo, tolerance)
                for p, photo in zip(maps[0], test, strict=True)
            ]
        ways[way] = {
            "setting": chosen._asdict(),
            "training": dict(zip(("f1", "betti0_error"), tried[chosen], strict=True)),
            "photographs": done[chosen],
        }
        print(way, chosen, flush=True)
    return {
        "pooled_auc": metrics.scores(*metrics.pool(*maps), plain)["auc"],
        "auc": [
            metrics.scores(p[photo.fov], photo.ground_truth[photo.fov], plain)["auc"]
            for p, photo in zip(maps[0], test, strict=True)
        ],
        "ways": ways,
    }


def settings(plain: float, grid: tuple[tuple, tuple, tuple]) -> list[Setting]:
    """All settings of a grid, the plain threshold first."""
    return [
        Setting(plain * lower, plain + (1 - plain) * higher, area)
        for lower, higher, area in itertools.product(*grid)
    ]


def made(probability: np.ndarray, photo: Photograph, setting: Setting) -> np.ndarray:
    """The map of one photograph, bool `(H, W)`."""
    found = hysteresis(probability, setting.low, setting.high) & photo.fov
    return remove_specks(found, setting.area)


def judged(maps: list, photographs: list[Photograph], setting: Setting) -> tuple[float, float]:
    """Pooled F1 and mean Betti-0 error."""
    counts, errors = np.zeros(4), []
    for probability, photo in zip(maps, photographs, strict=True):
        found, truth = made(probability, photo, setting), photo.ground_truth & photo.fov
        counts += metrics.confusion(found[photo.fov], truth[photo.fov])
        errors.append(abs(betti_numbers(found).components - betti_numbers(truth).components))
    return metrics.confusion_scores(counts)["f1"], float(np.mean(errors))


def choose(plain: float, grid: tuple[tuple, tuple, tuple], tried: dict) -> Setting:
    """The fewest wrong pieces of all settings that cost little F1, on the training photographs."""
    allowed = settings(plain, grid)
    least = tried[allowed[0]][0] - COST
    return min((s for s in allowed if tried[s][0] >= least), key=lambda s: tried[s][1])


def scored(found: np.ndarray, photo: Photograph, tolerance: float) -> dict[str, Any]:
    """One photograph's row."""
    f1 = metrics.binary_scores(found[photo.fov], photo.ground_truth[photo.fov])["f1"]
    shapes = shape_scores(found, photo.ground_truth, photo.fov, tolerance)
    return {"name": photo.name, "patient": photo.patient, "f1": f1} | shapes


def draw(model: nn.Module, card: dict, test: list[Photograph], ways: dict) -> None:
    """The photograph with the middle number of pieces: its map before and after, and the truth."""
    pieces = [row["components"] for row in ways["plain threshold"]["photographs"]]
    photo = test[int(np.argsort(pieces, kind="stable")[len(pieces) // 2])]
    probability = segment_all(model, [photo], card, flips=False)[0][0]
    panels = {
        way: made(probability, photo, Setting(**ways[way]["setting"]))
        for way in ("plain threshold", "both")
    }
    panels["first observer"] = photo.ground_truth & photo.fov
    figure = Figure(figsize=(11, 4.2), dpi=110, facecolor="white", layout="constrained")
    for axes, (title, found) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        axes.imshow(coloured(found, photo.fov))
        axes.set_title(f"{title}: {betti_numbers(found).components} pieces", fontsize=11)
        axes.set_axis_off()
    figure.suptitle(f"{CREDITS} ({photo.name})", x=0.99, ha="right", fontsize=8)
    save(figure, RESULTS / "connected_map.jpg")


def coloured(found: np.ndarray, fov: np.ndarray) -> np.ndarray:
    """The largest piece in black, all others in orange, uint8 `(H, W, 3)`."""
    labels, _ = ndimage.label(found, EIGHT)
    sizes = np.bincount(labels.ravel())[1:]
    image = np.where(fov[..., None], 255, 225).repeat(3, axis=2).astype(np.uint8)
    image[found] = 255 * np.array(colors.to_rgb(plotting.ORANGE))
    image[labels == 1 + sizes.argmax()] = 0
    return image


if __name__ == "__main__":
    main()
