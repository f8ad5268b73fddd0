"""Each program writes the keys that are stored, which notebooks and package read.

Every program runs here from its command line, with few steps and small synthetic images.
"""

import importlib.util
import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from stored_keys import keys

from benchmarks.analysis import (
    changed_photographs,
    conventions,
    leaderboard_pictures,
    lesions_and_disc,
    pictures,
    threshold_page,
)
from benchmarks.common import convention_maps, runs
from benchmarks.common.files import RESULTS, read_json
from benchmarks.lessons import folding, linknet_lessons, loss_peers, losses, skips, unpooling
from benchmarks.scores import chase_db1, idrid_boxes, toys
from benchmarks.speed import notebook_times, peers, throughput, time_to_f1, training_speed
from retina_course.inference import Seen, Segmentation
from retina_course.models import UNetSmall

LESSONS = {
    folding: {"STEPS": 1, "BATCH": 2, "TRAINING": (2, 0), "HELD_OUT": (1, 1000)},
    losses: {
        "STEPS": 1,
        "SIZE": 64,
        "CROP": 32,
        "TRAINING": (2, 0),
        "TEST": (2, 9),
    },
    unpooling: {"STEPS": 1, "SIDE": 64, "CROP": 32},
    skips: {
        "TRAINING": range(5000, 5002),
        "TEST": range(9000, 9001),
        "RECIPE": skips.RECIPE | {"steps": 1, "size": 32},
        "LONGER": 2,
    },
    linknet_lessons: {
        "STEPS": 1,
        "SIZE": 64,
        "CROP": 32,
        "TRAINING": 2,
        "TEST": 2,
        "VARIANTS": {
            name: (build, side // 6, recipe)
            for name, (build, side, recipe) in linknet_lessons.VARIANTS.items()
        },
    },
}


@pytest.fixture
def start(photographs, tmp_path, monkeypatch):
    """Run a program in a folder of the test; returns the folder of results."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    folder = tmp_path / "results"
    folder.mkdir()

    def start(program, *arguments, **constants):
        for name, value in {"RESULTS": folder, **constants}.items():
            monkeypatch.setattr(program, name, value)
        monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
        program.main()
        return folder

    return start


def check(folder, name):
    written = read_json(folder / name)
    assert keys(written) == keys(read_json(RESULTS / name))
    return written


def students(content):
    """Half the width of each interval; a bootstrap's does not lie evenly around its value."""
    if not isinstance(content, dict):
        return []
    if {"value", "low", "high"} <= content.keys():
        half = content["value"] - content["low"]
        assert content["high"] - content["value"] == pytest.approx(half)
        return [half]
    return [half for one in content.values() for half in students(one)]


@pytest.mark.parametrize("program", LESSONS, ids=lambda program: program.__name__.split(".")[-1])
def test_a_lesson_and_its_second_call(program, start, tmp_path, monkeypatch):
    settings = {"FOLDER": tmp_path / "runs", "SEEDS": (0,)} | LESSONS[program]
    name = program.PROGRAM.results[0]
    first = check(start(program, **settings), name)
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").iterdir()}
    second = check(start(program, **settings), name)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").iterdir()} == written
    assert first == second
    source = first["provenance"]
    assert program.PROGRAM.file in source["code"]


def test_the_losses_of_the_peers(start):
    for package in ("monai", "segmentation_models_pytorch"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    check(start(loss_peers), "loss_peers.json")


def test_a_row_of_chase_db1(start, tmp_path):
    tiny = ("--steps", 2, "--crop", 32, "--fov-diameter", 64)
    for output, more in (("runs", ()), ("other", ("--jitter", 0.4))):
        recipe = (*tiny, *more, "--output", tmp_path / output)
        start(chase_db1, "train", "--seeds", 0, 1, *recipe)
        start(chase_db1, "validate", *recipe)
    collect = ("collect", "--output", tmp_path / "runs")
    folder = start(chase_db1, *collect, "--variants", tmp_path / "other", WEIGHTS=tmp_path)
    row = read_json(folder / "unet_small_chase_db1.json")
    assert [run["seed"] for run in row["runs"]] == [0, 1]
    assert row["summary"]["flips"]["auc"]["sd"] is not None
    tried = {key: row.pop(key) for key in ("validation", "variants")}
    newest, oldest = (read_json(RESULTS / f"{n}_chase_db1.json") for n in ("linknet", "unet_small"))
    assert keys(row) == keys({k: v for k, v in newest.items() if k not in tried})
    assert keys(tried) == keys({key: oldest[key] for key in tried})
    assert (folder / "unet_small_chase_db1_errors.jpg").exists()
    card = json.loads((tmp_path / "unet_small.json").read_text())
    assert card["metrics"]["f1"] == row["runs"][0]["flips"]["pooled"]["f1"]


def test_rows_of_the_leaderboard_are_collected(start, tmp_path, monkeypatch):
    tiny = ("--steps", 2, "--crop", 32, "--fov-diameter", 64, "--output", tmp_path / "runs")
    start(chase_db1, "train", *tiny)
    run = read_json(tmp_path / "runs" / "unet_small_seed0" / "run.json")
    (tmp_path / "results" / "leaderboard").mkdir()
    row = tmp_path / "results" / "leaderboard" / "unet_small_course_seed0_here.json"
    row.write_text(json.dumps(run))
    (tmp_path / "runs" / "unet_small_seed0").rename(tmp_path / "runs" / row.stem)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    collect = ("collect", "--output", tmp_path / "runs", "--rows", "unet_small_course")
    folder = start(chase_db1, *collect, WEIGHTS=tmp_path)
    assert read_json(folder / "unet_small_chase_db1.json")["runs"][0]["flips"] == run["flips"]


def find(model, image, card, *, field_angle):
    """An optic disc for certain, as `detect` returns it: an untrained detector finds nothing."""
    box, score = torch.tensor([[20.0, 20.0, 40.0, 40.0]]), torch.ones(1)
    return {"boxes": box, "labels": torch.ones(1, dtype=torch.int64), "scores": score}


def test_detectors_on_boxes(start, tmp_path):
    def find_all(model, photographs, card, *, flips=True):
        photos = list(photographs)
        found = [find(model, photo.image, card, field_angle=50) for photo in photos]
        return found, [vars(photo) for photo in photos]

    replaced = {"detect": find, "detect_photographs": find_all}
    run = partial(start, idrid_boxes, WEIGHTS=tmp_path, **replaced)
    run("train", "--steps", 1, "--fov-diameter", 64, "--output", tmp_path / "runs")
    check(run("collect", "--output", tmp_path / "runs"), "idrid_boxes.json")
    assert (tmp_path / "retina_net.safetensors").exists()


def test_toys(start, tmp_path):
    tiny = ("--steps", 1, "--size", 160, "--test", 8, "--images", 2, "--seeds", 0)
    start(toys, "train", *tiny, "--output", tmp_path / "runs")
    written = check(start(toys, "collect", "--output", tmp_path / "runs"), "toys.json")
    assert [row["segmentation_weight"] for row in written["rows"]] == [0, 1]


def guess(model, image, card, *, fov=None, flips=True, field_angle=None):
    """Vessels by chance, as `segment` returns them."""
    fov = torch.ones(image.shape[:2], dtype=torch.bool) if fov is None else torch.as_tensor(fov)
    p = torch.rand(fov.shape, generator=torch.Generator().manual_seed(0)) * fov
    return Segmentation(p, fov, Seen(p, fov))


def guess_all(model, photographs, card, *, flips=True):
    """The same for many, as `segment_all` returns them."""
    maps = [guess(model, p.image, card, fov=p.fov).probability.numpy() for p in photographs]
    return maps, [p.ground_truth for p in photographs], [p.fov for p in photographs]


def test_conventions_and_the_page_of_thresholds(start, tmp_path, monkeypatch):
    monkeypatch.setattr(convention_maps, "segment_all", guess_all)
    monkeypatch.setattr(convention_maps, "FOLDER", tmp_path / "maps")
    folder = start(conventions, SQUARE=96, SMALL=32, PATCH=16)
    check(folder, "conventions.json")
    (folder / "unet_small_chase_db1.json").write_bytes(
        (RESULTS / "unet_small_chase_db1.json").read_bytes()
    )
    constants = {"STATIC": tmp_path, "FIGURE": tmp_path / "threshold.png", "SIDE": 32}
    start(threshold_page, **constants)
    assert {"photograph", "side", "provenance"} == set(read_json(folder / "threshold_page.json"))
    assert (tmp_path / "threshold_data.js").read_text().startswith("window.thresholdData = {")
    assert (tmp_path / "threshold.csv").read_text().count("\n") == 12
    assert (tmp_path / "threshold.png").exists()


def test_lesions_and_disc(start):
    folder = start(lesions_and_disc, segment=guess, detect=find, RING=2)
    written, stored = (read_json(p / "lesions_and_disc.json") for p in (folder, RESULTS))
    assert len(written.pop("discs")) == 20 and stored.pop("discs")
    assert keys(written) == keys(stored)
    assert all((folder / name).exists() for name in ("disc_edge.jpg", *lesions_and_disc.FIGURES))
    assert len(students(written)) == len(students(stored)) == 2 * 6


def test_changed_photographs(start):
    folder = start(changed_photographs, segment_all=guess_all, draw=lambda *_: None)
    check(folder, "changed_photographs.json")
    for place, moved in ((folder, 0), (RESULTS, 3 * 8)):  # `guess` does not look at the image
        found = students(read_json(place / "changed_photographs.json"))
        assert len(found) == 3 * 9 and sum(half > 0 for half in found) == moved


def test_facts_and_figures_of_the_photographs(start, tmp_path, monkeypatch):
    widths = {"below 4": (0, 1.5), "4 to 8": (1.5, 2.5), "8 and more": (2.5, np.inf)}
    monkeypatch.setattr(pictures.error_analysis, "WIDTHS", widths)
    small = {"segment": guess, "BOOK": tmp_path / "book", "detail": lambda photo: None}
    for room in ("figures", "_static"):
        (tmp_path / "book" / room).mkdir(parents=True)
    folder = start(pictures, **small)
    check(folder, "chase_db1_facts.json")
    assert (folder / "unet_small_skimage_retina.jpg").exists()
    for name in ("figures/readme.png", "_static/hero.webp", "_static/og.jpg"):
        assert (tmp_path / "book" / name).exists()


def test_error_maps_of_the_leaderboard(start, tmp_path):
    folder = start(leaderboard_pictures, "--output", tmp_path)
    written, stored = (read_json(p / "leaderboard_pictures.json") for p in (folder, RESULTS))
    assert written.pop("shown") == [] and stored.pop("shown")  # no maps lie there
    assert keys(written) == keys(stored)


def test_speed_beside_peers(start, tmp_path, monkeypatch):
    file = tmp_path / "speed.json"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    small = {name: lambda *sizes: UNetSmall(*sizes) for name in ("RetinaUNet", "LinkNet")}
    small["monai_networks"] = lambda ours: ({}, [])
    small["smp_networks"] = lambda ours: ({}, None, None)
    start(peers, "--quick", "--rounds", 1, "--compile-budget", 0, "--output", file, **small)
    written, stored = read_json(file), read_json(RESULTS / "speed.json")
    for content in (written, stored):
        del content["peers"]  # which of them are installed
        for case in content["cases"]:
            del case["skipped"]
    assert keys(written) == keys(stored)


def test_speed_of_training(start, tmp_path, monkeypatch):
    small = {"SIDE": 64, "CROP": {"cpu": 32}, "BLOCK": {"cpu": {"unet_small": 1}}}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    start(training_speed, "--quick", "--output", tmp_path / "training_speed.json", **small)
    written, stored = (read_json(p / "training_speed.json") for p in (tmp_path, RESULTS))
    for content in (written, stored):
        for case in content["cases"]:
            del case["skipped"]
    assert keys(written) == keys(stored)


def test_throughput(start, tmp_path):
    sizes = {"cpu": {"training": (1, 32), "inference": (1, 32)}}
    formats = {name: (kind, False) for name, (kind, _) in throughput.FORMATS.items()}
    small = {"SIZES": sizes, "FORMATS": formats, "SECONDS": 0.001, "ROWS": tmp_path}
    only = ("--only", "unet_small", "--rounds", 1)
    start(throughput, *only, default_device=lambda: torch.device("cpu"), **small)
    (file,) = tmp_path.glob("*.json")
    assert keys(read_json(file)) == keys(read_json(next(RESULTS.glob("throughput/*.json"))))


def test_time_to_f1(start, tmp_path):
    recipe = partial(time_to_f1.Recipe, crop=32, fov_diameter=64)
    start(time_to_f1, "--steps", 5, Recipe=recipe, SIDE={"cpu": 64, "cuda": 64}, ROWS=tmp_path)
    (file,) = tmp_path.glob("*.json")
    assert keys(read_json(file)) == keys(read_json(next(RESULTS.glob("time_to_f1/*.json"))))
    assert len(read_json(file)["runs"][0]["points"]) == 5


def test_times_of_notebooks(start, tmp_path):
    path = notebook_times.ROOT / "notebooks" / "06_unet_small.ipynb"
    places = {"TIMES": tmp_path, "PAGE": tmp_path / "page.md", "execute": lambda *_: None}
    start(notebook_times, path, **places)
    (file,) = tmp_path.glob("*.json")
    written = read_json(file)["notebooks"]["06_unet_small"]
    stored = read_json(next(RESULTS.glob("notebook_times/*.json")))["notebooks"]
    assert keys(written) == keys(stored["06_unet_small"])
    assert "notebooks/06_unet_small.ipynb" in written["provenance"]["inputs"]
    assert "06_unet_small" in (tmp_path / "page.md").read_text()
