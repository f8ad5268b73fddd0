"""Cross-validation over children, on small synthetic photographs."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks.common import equal_budget
from benchmarks.scores import cross_validation as program
from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation import metrics
from retina_course.results.stored import read_all
from retina_course.training import loop
from retina_course.training.recipe import Recipe

FOLDS = ("01_02_03_04_05_06_07", "08_09_10_11_12_13_14")
TINY = Recipe(steps=6, batch_size=2, crop=32, lr=3e-3, fov_diameter=64)


@pytest.fixture
def validate(photographs, tmp_path, monkeypatch):
    """The program with a tiny budget and two folds; its row goes to a folder of the test."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    monkeypatch.setattr(program, "budget", lambda network: TINY)
    monkeypatch.setattr(program, "EVERY", 2)
    monkeypatch.setattr(program, "HELD_OUT", 7)
    for module in (program, equal_budget):  # equal to the last bit on a CPU only
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))

    def run(output, rows):
        monkeypatch.setattr(program, "ROWS", tmp_path / rows)
        monkeypatch.setattr(program, "KEPT", tmp_path / rows)
        arguments = ["--networks", "unet_small", "--output", str(tmp_path / output)]
        monkeypatch.setattr(sys, "argv", ["cross_validation.py", *arguments])
        program.main()
        return json.loads((tmp_path / rows / "unet_small.json").read_text())

    return run


def without_times(row):
    left_out = ("seconds", "provenance")
    folds = [{k: v for k, v in one.items() if k not in left_out} for one in row["folds"]]
    return row | {"folds": folds}


def test_a_killed_run_goes_on_and_no_finished_fold_is_trained_again(
    validate, tmp_path, monkeypatch
):
    saved, steps, score, scored = loop.save, [], program.score, []

    def killed(path, step, *rest):
        saved(path, step, *rest)
        steps.append((path.parent.name, step))
        if steps[-1] == (FOLDS[1], 4):
            raise KeyboardInterrupt

    def counted(*arguments, **options):
        scored.append(len(steps))
        return score(*arguments, **options)

    monkeypatch.setattr(loop, "save", killed)
    monkeypatch.setattr(program, "score", counted)
    with pytest.raises(KeyboardInterrupt):
        validate("a", "rows_a")
    resumed = validate("a", "rows_a")
    assert steps == [(name, step) for name in FOLDS for step in (2, 4, 6)]  # each once
    validate("a", "rows_a")
    assert scored == [3, 6] and len(steps) == 6  # the row is there
    kept = {path.stem for path in (tmp_path / "rows_a" / "cross_validation").iterdir()}
    assert kept == {f"unet_small_{fold}" for fold in FOLDS}
    monkeypatch.setattr(loop, "save", saved)
    whole = validate("b", "rows_b")
    assert without_times(resumed) == without_times(whole)
    assert {one["provenance"]["data"].keys() == {"CHASE_DB1"} for one in whole["folds"]} == {True}


def test_each_photograph_is_scored_once_by_a_network_that_saw_neither_eye(
    validate, photographs, monkeypatch
):
    seen, train, score = [], program.train, program.score

    def trained(network, training, *rest, **options):
        seen.append({photo.name for photo in training})
        return train(network, training, *rest, **options)

    def scored(model, card, training, test, **options):
        assert {photo.name for photo in training} == seen[-1]  # the threshold's photographs
        names = {photo.name for photo in test}
        assert len(seen[-1]) == len(names) == 14
        assert not {name[:-1] for name in names} & {name[:-1] for name in seen[-1]}
        return score(model, card, training, test, **options)

    monkeypatch.setattr(program, "train", trained)
    monkeypatch.setattr(program, "score", scored)
    row = validate("a", "rows")
    data = {photo.name: photo for photo in ChaseDB1(photographs / "CHASE_DB1", split="all")}
    assert [image["name"] for image in row["per_image"]] == sorted(data)
    assert all(image["child"] == data[image["name"]].patient for image in row["per_image"])
    assert len(seen) == len(row["folds"]) == 2

    total = np.zeros(4)
    for image in row["per_image"]:
        photo = data[image["name"]]
        vessels = photo.ground_truth[photo.fov]
        tp = image["sensitivity"] * vessels.sum()
        fp = (1 - image["specificity"]) * (~vessels).sum()
        total += tp, fp, vessels.sum() - tp, (~vessels).sum() - fp
    assert row["pooled"] == pytest.approx(metrics.confusion_scores(total))
    aucs = [one["pooled"]["auc"] for one in row["folds"]]
    assert row["mean_of_folds"]["auc"] == pytest.approx(sum(aucs) / 2)


def test_seven_folds_of_two_children(photographs):
    found = program.folds(list(ChaseDB1(photographs / "CHASE_DB1", split="all")))
    assert len(found) == 7 and {len(children) for children in found} == {2}
    assert sorted(sum(found, ())) == [f"{child:02d}" for child in range(1, 15)]


@pytest.mark.parametrize("network", ["unet_small", "plain_unet", "w_net", "linknet"])
def test_the_budget_is_that_of_the_stored_row(network):
    (row, *_) = [one for one in read_all(".json", "equal_budget") if one["network"] == network]
    recipe = program.budget(network)
    for key in ("steps", "crop", "batch_size", "lr"):
        assert getattr(recipe, key) == row[key]
    assert recipe.fov_diameter == (960 if network == "linknet" else 640)


def test_without_a_stored_row_there_is_no_budget(monkeypatch):
    monkeypatch.setattr(equal_budget, "read_all", lambda *_: [])
    with pytest.raises(SystemExit, match="stored rows of w_net"):
        program.budget("w_net")
