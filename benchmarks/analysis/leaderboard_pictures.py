"""Error maps of the benchmark: the best and the worst test photograph of each network's seed 0.

    python -m benchmarks.analysis.leaderboard_pictures --output runs/

Reads the rows in retina_course/results/leaderboard/ and the maps (PNG, 65535 = 1) that
scores/leaderboard left under the same `--output`; lines without maps there are left out and named.
Writes leaderboard_errors.jpg and leaderboard_pictures.json (what the figure shows, and where the
second observer is right and wrong on the test photographs) into retina_course/results/. It needs
CHASE_DB1 (folder RETINA_COURSE_DATA).
"""

import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.common import datasets
from benchmarks.common.figures import CREDIT, error_legend, save
from benchmarks.common.files import RESULTS, slug, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import own_diameter
from benchmarks.common.pieces import Piece
from benchmarks.common.provenance import provenance
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import error_analysis, leaderboard, metrics
from retina_course.figures import plotting

PROGRAM = Program(
    __file__,
    question="Where are the networks of the benchmark, and the second observer, right and wrong?",
    results=("leaderboard_pictures.json",),
    also=("retina_course/results/leaderboard_errors.jpg",),
    commands=("python -m benchmarks.analysis.leaderboard_pictures --output runs/",),
    hours=0.02,
    data=("CHASE_DB1",),
    inputs=("retina_course/results/leaderboard/*.json",),
)


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where the runs are kept")
    options = parser.parse_args()
    began = time.perf_counter()
    photographs = {photo.name: photo for photo in ChaseDB1(split="test")}
    found = {}
    for run in first_seeds(leaderboard.read()):
        folder = options.output / row_name(run)
        if list(folder.glob("Image_*.png")):
            found.setdefault(run["model"], (run, folder))
        else:
            print(f"no maps of  {folder.name}")
    shown = draw(list(found.values()), photographs) if found else []
    vessels = [photo.ground_truth & photo.fov for photo in photographs.values()]
    second = [photo.second_observer & photo.fov for photo in photographs.values()]
    fovs = [photo.fov for photo in photographs.values()]
    content = {
        "shown": shown,
        "second_observer": {
            "sensitivity_by_place": error_analysis.sensitivity_by_place(second, vessels),
            "false_positives": error_analysis.false_positives_by_place(second, vessels, fovs),
        },
        "dataset": {"name": "CHASE_DB1", "digest": datasets.digest("CHASE_DB1")},
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "leaderboard_pictures.json", content)


def first_seeds(entries: list[leaderboard.Entry]) -> list[dict]:
    """Seed 0 of the course's recipe at each network's own scale; more steps come first."""
    runs = [entry.runs[0] for entry in entries if entry.runs[0]["training"] == "course"]
    own = [
        run
        for run in runs
        if run["seed"] == 0 and run["recipe"]["fov_diameter"] == own_diameter(run["model"])
    ]
    return sorted(own, key=lambda run: -run["recipe"]["steps"])


def row_name(run: dict) -> str:
    piece = Piece(run["model"], run["seed"], run["training"], run["recipe"])
    return f"{piece.name}_{slug(run['provenance']['device'])}"


def draw(found: list[tuple[dict, Path]], photographs: dict[str, Photograph]) -> list[dict]:
    """A line of two error maps for each run; returns which, with their F1."""
    found = sorted(found, key=lambda pair: -pair[0]["flips"]["pooled"]["auc"])
    figure = Figure(figsize=(8, 4.15 * len(found) + 0.5), dpi=110, facecolor="white")
    lines = figure.subplots(len(found), 2, squeeze=False)
    low = 0.5 / figure.get_figheight()
    figure.subplots_adjust(0.01, low, 0.99, 1 - low / 2, wspace=0.02, hspace=0.08)
    shown = []
    for line, (run, folder) in zip(lines, found, strict=True):
        order = sorted(run["flips"]["per_image"], key=lambda row: -row["f1"])
        for axes, place, row in zip(line, ("best", "worst"), (order[0], order[-1]), strict=True):
            photo = photographs[row["name"]]
            probability = np.asarray(Image.open(folder / f"{photo.name}.png")) / 65535
            vessels = probability >= run["flips"]["threshold"]
            f1 = metrics.binary_scores(vessels[photo.fov], photo.ground_truth[photo.fov])["f1"]
            assert abs(f1 - row["f1"]) < 1e-3, f"{folder.name}: the maps are not those of the row"
            errors = plotting.error_image(vessels & photo.fov, photo.ground_truth, photo.fov)
            axes.imshow(errors)
            axes.set_title(f"{run['model']}, {place}: {photo.name}, F1 {f1:.3f}", fontsize=10)
            axes.set_axis_off()
            shown.append({"row": folder.name, "place": place, "name": photo.name, "f1": f1})
    error_legend(figure, errors, y=0.3 * low)
    credit = CREDIT.replace("Photograph:", "Ground truth:")
    figure.text(0.99, 0.003, credit, ha="right", fontsize=7)
    save(figure, RESULTS / "leaderboard_errors.jpg")
    return shown


if __name__ == "__main__":
    main()
