"""The networks of the equal budgets on HRF, here on small synthetic photographs in its layout."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.common import equal_budget
from benchmarks.common.scales import BINS, best_threshold
from benchmarks.scores import hrf as program
from retina_course.data.datasets import HRF
from retina_course.data.synthetic import make_fundus
from retina_course.training import loop
from retina_course.training.recipe import Recipe

TINY = Recipe(steps=4, batch_size=2, crop=32, lr=3e-3, fov_diameter=36)  # of 30 degrees


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for record in HRF.__dict__["_layout"](None):
        made = make_fundus(80, seed=len(list(root.rglob("*.jpg"))))
        pixels = (made.image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        for path, content in (
            (record.image, pixels),
            (record.ground_truth, made.vessel.numpy()),
            (record.fov, made.fov.numpy()),
        ):
            file = root / "HRF" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(file)
    return root


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    """The program with a tiny budget; its row goes to a folder of the test."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(data))
    monkeypatch.setattr(program, "budget", lambda network: TINY)
    monkeypatch.setattr(program, "EVERY", 2)
    for module in (program, equal_budget):  # equal to the last bit on a CPU only
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))

    def call(output):
        for name in ("ROWS", "KEPT"):
            monkeypatch.setattr(program, name, tmp_path / output / name)
        arguments = ["--networks", "unet_small", "--output", str(tmp_path / output)]
        monkeypatch.setattr(sys, "argv", ["hrf.py", *arguments])
        program.main()
        return json.loads((tmp_path / output / "ROWS" / "unet_small.json").read_text())

    return call


def without_times(row):
    folds = [{k: v for k, v in one.items() if k != "seconds"} for one in row["folds"]]
    return row | {"folds": folds, "seconds": 0, "provenance": None}


def test_the_threshold_is_of_photographs_that_no_training_has_seen(run, monkeypatch):
    seen, train, ranking_at = [], program.train, program.ranking_at
    pixels = []

    def trained(network, photographs, recipe, *rest, **options):
        seen.append({photo.name for photo in photographs})
        assert recipe.fov_diameter == 72  # the same pixels per degree, 60 degrees
        return train(network, photographs, recipe, *rest, **options)

    def ranked(model, photographs, scales, **options):
        assert not {photo.name for photo in photographs} & seen[-1]
        assert scales == [36 / 30] and options == {"flips": True}
        found = ranking_at(model, photographs, scales, **options)
        pixels.append(np.array(found["1.2"]["histogram"]))
        return found

    monkeypatch.setattr(program, "train", trained)
    monkeypatch.setattr(program, "ranking_at", ranked)
    row = run("a")
    names = {photo.name for photo in HRF(split="train")}
    assert [len(one) for one in seen] == [6, 9, 15] and seen[-1] == names
    assert seen[0] | seen[1] == names and not seen[0] & seen[1]
    assert row["threshold"] == best_threshold(sum(pixels)) and pixels[0].shape == (2, BINS)
    tested = [image["name"] for image in row["test"]["per_image"]]
    assert tested == [photo.name for photo in HRF(split="test")] and len(tested) == 30


def test_a_killed_run_goes_on_where_it_was(run, tmp_path, monkeypatch):
    saved, steps = loop.save, []

    def killed(path, step, *rest):
        saved(path, step, *rest)
        steps.append((path.stem, step))
        if steps[-1] == ("b", 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run("a")
    resumed = run("a")
    assert steps == [(name, step) for name in ("a", "b", "all") for step in (2, 4)]  # each once
    run("a")
    assert len(steps) == 6  # the row is there
    monkeypatch.setattr(loop, "save", saved)
    assert without_times(resumed) == without_times(run("b"))
    assert (tmp_path / "a" / "KEPT" / "hrf" / "unet_small.safetensors").exists()
