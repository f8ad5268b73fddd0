"""The comparison at equal compute, on small synthetic photographs and with a clock of its own."""

import itertools
import json
import sys
from types import SimpleNamespace

import pytest
import torch

from benchmarks.common import equal_budget
from benchmarks.common.scales import best_threshold, by_probability
from benchmarks.scores import equal_compute as program
from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation import metrics
from retina_course.results.stored import read_all
from retina_course.training import loop
from retina_course.training.recipe import Recipe

TINY = Recipe(steps=1000, batch_size=2, crop=32, lr=3e-3, fov_diameter=64)
ROWS = read_all(".json", "equal_compute")


@pytest.fixture
def compare(photographs, tmp_path, monkeypatch):
    """The program for tiny crops; a step takes 10 CPU seconds, so a minute has six of them."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    monkeypatch.setattr(program, "budget", lambda network: TINY)
    monkeypatch.setattr(program, "EVERY", 2)
    monkeypatch.setattr(program, "measured_seconds", lambda *_: 10.0)
    for module in (program, equal_budget):  # equal to the last bit on a CPU only
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))

    def run(output="a", *networks, minutes="1"):
        rows = tmp_path / f"rows_{output}"
        monkeypatch.setattr(program, "ROWS", rows)
        monkeypatch.setattr(
            program, "time", SimpleNamespace(process_time=itertools.count().__next__)
        )
        arguments = ["--only", *(networks or ["unet_small"]), "--minutes", minutes]
        arguments += ["--output", str(tmp_path / output)]
        monkeypatch.setattr(sys, "argv", ["equal_compute.py", *arguments])
        program.main()
        return {path.stem: json.loads(path.read_text()) for path in rows.glob("*.json")}

    return run


@pytest.mark.parametrize(
    ("minutes", "seconds", "steps"), [(4, 0.5, 480), (4, 0.51, 470), (1, 61, 1)]
)
def test_the_steps_are_those_that_fit_into_the_minutes_and_one_at_least(minutes, seconds, steps):
    assert program.steps_within(minutes, seconds) == steps


def test_a_step_is_measured_after_the_warm_up(photographs, monkeypatch):
    times = iter([0, 90, 150, 152, 155, 195])  # two slow steps, then 2, 3 and 40 seconds
    monkeypatch.setattr(program, "time", SimpleNamespace(process_time=times.__next__))
    training = list(ChaseDB1(photographs / "CHASE_DB1", split="train"))
    assert program.measured_seconds("unet_small", TINY, training) == 3
    assert next(times, None) is None  # five steps, not the recipe's thousand


def without_times(row):
    fold = {key: value for key, value in row["fold"].items() if key != "seconds"}
    left_out = ("seconds", "provenance")
    return {k: v for k, v in row.items() if k not in left_out} | {"fold": fold}


def test_a_killed_run_goes_on_with_the_steps_that_it_began_with(compare, monkeypatch, tmp_path):
    saved, steps = loop.save, []

    def killed(path, step, *rest):
        saved(path, step, *rest)
        steps.append((path.stem, step))
        if len(steps) in (2, 5):  # once in each training
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            compare()
        monkeypatch.setattr(program, "measured_seconds", lambda *_: 1.0)  # now it seems faster
    resumed = compare()
    assert steps == [(name, step) for name in ("fold", "all") for step in (2, 4, 6)]
    assert not list(tmp_path.rglob("*.pt"))  # the checkpoints of a finished network are gone
    compare()
    assert len(steps) == 6  # the row is there

    monkeypatch.setattr(loop, "save", saved)
    monkeypatch.setattr(program, "measured_seconds", lambda *_: 10.0)
    (resumed,), (whole,) = resumed.values(), compare("b").values()
    assert without_times(resumed) == without_times(whole)
    # The clock ticks once a point: three of them, in however many runs.
    assert resumed["cpu_seconds"] == resumed["fold"]["cpu_seconds"] == 3


def test_the_threshold_is_that_of_held_out_children_and_the_test_half_is_seen_once(
    compare, monkeypatch
):
    trained, seen, maps = [], [], []
    train, segment_all = program.train, program.segment_all

    def train_spy(network, photos, *rest, **options):
        trained.append([photo.name for photo in photos])
        return train(network, photos, *rest, **options)

    def segment_spy(model, photos, card, **options):
        seen.append([photo.name for photo in photos])
        maps.append(segment_all(model, photos, card, **options))
        return maps[-1]

    monkeypatch.setattr(program, "train", train_spy)
    monkeypatch.setattr(program, "segment_all", segment_spy)
    row = compare()["unet_small_seed0"]
    eyes = [[f"Image_{child:02d}{eye}" for eye in "LR"] for child in range(1, 15)]
    assert trained == [sum(eyes[2:4], []), sum(eyes[:4], [])]
    assert seen == [sum(eyes[:2], []), sum(eyes[4:], [])]
    threshold = best_threshold(by_probability(*metrics.pool(*maps[0])))
    assert threshold != best_threshold(by_probability(*metrics.pool(*maps[1])))
    assert row["fold"]["held_out"] == ["01", "02"] and row["fold"]["threshold"] == threshold
    assert row["flips"]["threshold"] == threshold
    assert row["flips"]["pooled"] == metrics.scores(*metrics.pool(*maps[1]), threshold)
    assert [image["name"] for image in row["flips"]["per_image"]] == seen[1]


def test_a_row_says_what_was_trained_and_what_it_took(compare):
    row = compare()["unet_small_seed0"]
    assert (row["network"], row["seed"], row["minutes"], row["step_seconds"]) == (
        *("unet_small", 0, 1.0),
        10.0,
    )
    recipe = row["recipe"]
    assert (recipe["steps"], recipe["lr"], recipe["crop"], recipe["batch_size"]) == (6, 3e-3, 32, 2)
    assert recipe["precision"] in ("float32", "bfloat16") and len(row["loss"]) == 6
    assert row["provenance"]["data"].keys() == {"CHASE_DB1"} and row["provenance"]["threads"] == 1
    assert any("equal_budget/unet_small" in name for name in row["provenance"]["inputs"])


def test_a_network_that_fails_leaves_the_others_and_its_error(compare, monkeypatch, capsys):
    train = program.train

    def broken(network, *rest, **options):
        if network == "unet_small":
            raise FloatingPointError("The loss is nan at step 3.")
        return train(network, *rest, **options)

    monkeypatch.setattr(program, "train", broken)
    with pytest.raises(SystemExit, match="Failed, see above: unet_small$"):
        compare("a", "unet_small", "plain_unet")
    assert [row.stem for row in program.ROWS.iterdir()] == ["plain_unet_seed0"]
    assert "The loss is nan at step 3." in capsys.readouterr().err


def test_a_run_with_other_minutes_is_not_gone_on_with(tmp_path, compare):
    folder = tmp_path / "unet_small"
    assert program.begin("unet_small", TINY, 4.0, [], folder)["steps"] == 24
    with pytest.raises(ValueError, match="begun with 4 minutes, got --minutes 8"):
        program.begin("unet_small", TINY, 8.0, [], folder)


def test_a_gpu_is_refused(compare, monkeypatch):
    monkeypatch.setattr(program, "default_device", lambda: torch.device("cuda"))
    with pytest.raises(SystemExit, match="hide the GPU"):
        compare()


@pytest.mark.parametrize("row", ROWS, ids=[row["network"] for row in ROWS])
def test_a_stored_row_had_the_steps_of_its_minutes_and_the_recipe_of_the_equal_budgets(row):
    recipe, budget = row["recipe"], equal_budget.budget(row["network"])
    assert recipe["steps"] == program.steps_within(row["minutes"], row["step_seconds"])
    for key in ("crop", "batch_size", "lr", "fov_diameter"):
        assert recipe[key] == getattr(budget, key)
    assert row["cpu_seconds"] == pytest.approx(60 * row["minutes"], rel=0.3)
