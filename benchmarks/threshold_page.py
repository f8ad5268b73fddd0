"""What the page book/threshold.md shows: one threshold, its error map and its scores.

    python benchmarks/threshold_page.py

It needs CHASE_DB1 (folder RETINA_COURSE_DATA) and retina_course/results/conventions.json, whose
counts it takes; the maps are those of `benchmarks/conventions.py`. Writes, for the slider,
book/_static/threshold_data.js and a photograph; for readers without script, a figure and a table.
"""

import base64
import json
import zlib

import numpy as np
from conventions import GRID, MODEL, probability
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pictures import CREDIT
from PIL import Image
from provenance import ROOT

from retina_course import results, weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import metrics
from retina_course.figures import plotting

STATIC = ROOT / "book" / "_static"
SIDE = 480  # pixels of the cut-out, at the photograph's own size: labels are never resized
SHOWN = (0.1, 0.4, 0.9)  # thresholds of the static figure
COLUMNS = ("f1", "accuracy", "sensitivity", "specificity")


def main() -> None:
    stored = results.read("conventions")
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


def median_photograph() -> str:
    """The test photograph with the median F1 of the shipped weights, as in the error maps."""
    rows = results.read(f"{MODEL}_chase_db1")["runs"][0]["flips"]["per_image"]
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
        picture = plotting.error_image(found, vessels)
        axes.imshow(picture)
        axes.set_title(f"{letter}: threshold {at}", fontsize=11)
        axes.set(xticks=[], yticks=[])
        legend = plotting.error_legend(picture)
        axes.set_xlabel("   ".join(patch.get_label() for patch in legend), fontsize=8)
    curve(panels[1, 1], data)
    for patch in legend:
        patch.set_label(patch.get_label().split(":")[0])
    figure.legend(
        handles=legend, loc="lower center", bbox_to_anchor=(0.5, 0.02), ncols=3, frameon=False
    )
    text = f"Maps: the middle of {name}. Curve: all 20 test photographs. {CREDIT}"
    figure.text(0.5, 0.012, text, ha="center", fontsize=8)
    file = ROOT / "book" / "figures" / "threshold.png"
    figure.savefig(file)
    Image.open(file).convert("RGB").quantize(64).save(file, optimize=True)  # few colours


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
