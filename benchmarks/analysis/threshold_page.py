"""What the page book/threshold.md shows: one threshold, its error map and its scores.

    python -m benchmarks.analysis.threshold_page

It needs CHASE_DB1 (folder RETINA_COURSE_DATA) and retina_course/results/conventions.json, whose
counts it takes; the maps are those of `benchmarks.analysis.conventions`. Writes, for the slider,
book/_static/threshold_data.js and a photograph; for readers without script, a figure and a table;
and retina_course/results/threshold_page.json, which says where they come from.
"""

import base64
import json
import time
import zlib

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.common.convention_maps import GRID, MODEL, probability
from benchmarks.common.figures import CREDIT, error_legend
from benchmarks.common.files import RESULTS, ROOT, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import metrics
from retina_course.figures import plotting

PROGRAM = Program(
    __file__,
    question="What do the error map and the scores of one photograph show at each threshold?",
    results=("threshold_page.json",),
    also=(
        "book/_static/threshold_data.js",
        "book/_static/threshold_photograph.jpg",
        "book/_static/threshold.csv",
        "book/figures/threshold.png",
    ),
    commands=("python -m benchmarks.analysis.threshold_page",),
    hours=0.01,
    data=("CHASE_DB1",),
    inputs=(
        "retina_course/results/conventions.json",
        "retina_course/results/unet_small_chase_db1.json",
        "retina_course/weights/unet_small.*",
    ),
)
STATIC = ROOT / "book" / "_static"
FIGURE = ROOT / "book" / "figures" / "threshold.png"
SIDE = 480  # pixels of the cut-out, at the photograph's own size: labels are never resized
SHOWN = (0.1, 0.4, 0.9)  # thresholds of the static figure
COLUMNS = ("f1", "accuracy", "sensitivity", "specificity")


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    stored = read_json(RESULTS / "conventions.json")
    rows = [row for row in stored["images"] if row["split"] == "test"]
    name = median_photograph()
    photo = next(p for p in ChaseDB1(split="test") if p.name == name)
    model, card = weights.load(MODEL)
    part = middle(photo)
    levels = np.searchsorted(
        GRID.astype(np.float32), probability(model, card, photo)[part], "right"
    )
    data = {
        "photograph": name,
        "side": SIDE,
        "thresholds": GRID.tolist(),
        "chosen": stored["threshold"],
        **pooled(stored, rows),
        # One byte a pixel: how many thresholds its probability reaches, + 128 for a vessel.
        "pixels": packed(levels + 128 * photo.ground_truth[part]),
    }
    text = f"window.thresholdData = {json.dumps(data, separators=(',', ':'))};\n"
    (STATIC / "threshold_data.js").write_text(text, encoding="utf-8")
    Image.fromarray(photo.image[part]).save(STATIC / "threshold_photograph.jpg", quality=85)
    (STATIC / "threshold.csv").write_text(table(data), encoding="utf-8")
    draw(data, levels, photo.ground_truth[part], name)
    content = {
        "photograph": name,
        "side": SIDE,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "threshold_page.json", content)


def median_photograph() -> str:
    """The test photograph with the median F1 of the shipped weights, as in the error maps."""
    rows = read_json(RESULTS / f"{MODEL}_chase_db1.json")["runs"][0]["flips"]["per_image"]
    return sorted(rows, key=lambda row: -row["f1"])[len(rows) // 2]["name"]


def middle(photo: Photograph) -> tuple[slice, slice]:
    """The middle of the photograph, which lies inside the field of view."""
    part = tuple(slice((side - SIDE) // 2, (side + SIDE) // 2) for side in photo.fov.shape)
    assert photo.fov[part].all()
    return part


def pooled(stored: dict, rows: list[dict]) -> dict:
    """Counts of all test photographs together: at the slider's thresholds, and the whole curve."""
    at = np.isin(stored["thresholds"], GRID)
    summed = {key: np.sum([row[key] for row in rows], axis=0) for key in ("tp", "fp")}
    vessel, background = (sum(row[key] for row in rows) for key in ("vessel", "background"))
    curve = np.transpose([summed["fp"] / background, summed["tp"] / vessel])
    return {key: values[at].tolist() for key, values in summed.items()} | {
        "vessel": vessel,
        "background": background,
        "roc": [[1, 1], *np.round(curve, 5).tolist(), [0, 0]],
    }


def counts(data: dict, i: int) -> list[int]:
    tp, fp = data["tp"][i], data["fp"][i]
    return [tp, fp, data["vessel"] - tp, data["background"] - fp]


def packed(pixels: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(pixels.astype(np.uint8).tobytes(), 9)).decode()


def table(data: dict) -> str:
    """Every tenth threshold, and the two ends."""
    lines = ["Threshold,F1,Accuracy,Sensitivity,Specificity"]
    for i in [0, *range(9, 99, 10), 98]:
        row = metrics.confusion_scores(counts(data, i))
        lines.append(",".join([f"{GRID[i]:.2f}", *(f"{row[key]:.3f}" for key in COLUMNS)]))
    return "\n".join(lines) + "\n"


def draw(data: dict, levels: np.ndarray, vessels: np.ndarray, name: str) -> None:
    figure = Figure(figsize=(9, 9.6), dpi=100, facecolor="white")
    panels = figure.subplots(2, 2)
    figure.subplots_adjust(0.08, 0.11, 0.98, 0.96, wspace=0.2, hspace=0.16)
    for axes, at, letter in zip(panels.flat[:3], SHOWN, "ABC", strict=True):
        found = levels > np.flatnonzero(at == GRID)[0]
        errors = plotting.error_image(found, vessels)
        axes.imshow(errors)
        axes.set_title(f"{letter}: threshold {at}", fontsize=11)
        axes.set(xticks=[], yticks=[])
        numbers = [patch.get_label() for patch in plotting.error_legend(errors)]
        axes.set_xlabel("   ".join(numbers), fontsize=8)
    curve(panels[1, 1], data)
    error_legend(figure, errors, y=0.02)
    text = f"Maps: the middle of {name}. Curve: all 20 test photographs. {CREDIT}"
    figure.text(0.5, 0.012, text, ha="center", fontsize=8)
    figure.savefig(FIGURE)
    Image.open(FIGURE).convert("RGB").quantize(64).save(FIGURE, optimize=True)  # few colours


def curve(axes: Axes, data: dict) -> None:
    axes.plot(*np.transpose(data["roc"]), color=plotting.BLUE)
    for at, letter in zip(SHOWN, "ABC", strict=True):
        i = np.flatnonzero(at == GRID)[0]
        point = data["fp"][i] / data["background"], data["tp"][i] / data["vessel"]
        axes.plot(*point, "o", color=plotting.BLACK)
        axes.annotate(letter, point, xytext=(8, -12), textcoords="offset points")
    axes.plot([0, 1], [0, 1], ":", color="#777777")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="1 − specificity", ylabel="sensitivity")
    axes.set_title("ROC curve", fontsize=11)
    axes.grid(color=plotting.GREY, linewidth=0.6)


if __name__ == "__main__":
    main()
