"""Thresholds from counted pixels, and the pieces of the program for any camera."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common import scales
from benchmarks.common.files import read_json
from benchmarks.common.kept_weights import KEPT
from benchmarks.scores import any_camera, any_camera_test, camera_variants
from retina_course import weights
from retina_course.training.any_camera import CameraRecipe, synthetic_eyes
from retina_course.training.checkpoints import History


@given(seed=st.integers(0, 10**6), spread=st.floats(0.05, 0.5))
@settings(max_examples=20, deadline=None)
def test_the_threshold_is_the_best_of_all_that_the_counts_allow(seed, spread):
    random = np.random.default_rng(seed)
    vessel = random.random(400) < 0.2
    vessel[0] = True
    p = np.clip(0.5 * vessel + random.normal(0.2, spread, 400), 0, 1).astype(np.float32)
    counts = scales.by_probability(p, vessel)
    assert counts.sum(1).tolist() == [(~vessel).sum(), vessel.sum()]

    def f1(threshold):
        found = (
            np.minimum((p * scales.BINS).astype(int), scales.BINS - 1) >= threshold * scales.BINS
        )
        return 2 * (found & vessel).sum() / (found.sum() + vessel.sum())

    best = scales.best_threshold(counts)
    assert scales.best_threshold(counts / counts.sum()) == best  # parts of 1 as well as pixels
    assert f1(best) == pytest.approx(max(f1(t) for t in np.unique(np.floor(p * 4096)) / 4096))


def test_each_set_weighs_the_same_in_the_threshold(tmp_path, monkeypatch):
    """One set of a thousand times as many pixels does not decide alone."""
    monkeypatch.setattr(any_camera_test, "RESULTS", tmp_path)
    (tmp_path / "any_camera").mkdir()
    few, many = np.zeros((2, 2, scales.BINS), int)
    few[0, :2048], few[0, 1024:1536], few[1, 2048:] = 1, 40, 1  # best at one half
    many[0, :1024], many[1, 1024:] = 1000, 1000  # best at one quarter
    for fold in ("a", "b"):
        held = {"chase": few, "hrf": many}
        content = {
            "held_out": {
                name: {"21.3": {"histogram": part.tolist()}} for name, part in held.items()
            }
        }
        (tmp_path / "any_camera" / f"x_both_not_{fold}_seed0.json").write_text(json.dumps(content))
    together, source = any_camera_test.chosen_threshold("x_both_seed2", None)
    assert source == "held-out children of fold a and b"
    assert together == scales.best_threshold(few / few.sum() + many / many.sum())


@pytest.mark.parametrize(("source", "own"), [("chase", ["chase"]), ("both", ["chase", "hrf"])])
def test_a_threshold_comes_from_the_sets_of_the_training_alone(source, own, tmp_path, monkeypatch):
    monkeypatch.setattr(any_camera_test, "RESULTS", tmp_path)
    (tmp_path / "any_camera").mkdir()
    (tmp_path / "any_camera" / "x_seed0.json").write_text(json.dumps({"source": source}))
    histogram = np.ones((2, scales.BINS), int).tolist()
    seen = []
    for name in any_camera_test.SETS:
        monkeypatch.setitem(
            any_camera_test.SETS, name, lambda split, name=name: seen.append(name) or []
        )
    monkeypatch.setattr(
        any_camera_test, "ranking_at", lambda *arguments: {"21.3": {"histogram": histogram}}
    )
    assert any_camera_test.chosen_threshold("x_seed0", None)[1] == "its training photographs"
    assert seen == own


def test_the_threshold_of_synthetic_images_alone_comes_from_unseen_synthetic_images(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(any_camera_test, "RESULTS", tmp_path)
    (tmp_path / "any_camera").mkdir()
    (tmp_path / "any_camera" / "x_seed0.json").write_text(json.dumps({"source": "synthetic"}))
    monkeypatch.setattr(any_camera_test, "EYES", 1)
    monkeypatch.setattr(any_camera_test, "SETS", {"chase": None, "hrf": None})  # not opened
    model, _ = weights.load("unet_small_any_camera")
    threshold, source = any_camera_test.chosen_threshold("x_seed0", model)
    assert source == "1 other synthetic images" and 0.2 < threshold < 0.9
    (eye,) = any_camera_test.unseen_eyes()
    assert eye.image.dtype == np.uint8 and eye.image[eye.fov].mean() > 20
    assert 0.05 < eye.ground_truth[eye.fov].mean() < 0.25


@pytest.mark.parametrize("source", any_camera.SOURCES)
def test_the_shares_of_a_piece_are_all_of_its_crops(source, monkeypatch):
    monkeypatch.setattr(any_camera, "part", lambda *arguments: [])
    monkeypatch.setattr(any_camera, "stack_scaled", lambda photographs, scale: scale)
    monkeypatch.setattr(any_camera, "synthetic_eyes", lambda n, scale, seed: "synthetic")
    shares, sources = any_camera.training_images(source)
    assert sum(shares) == pytest.approx(1) and len(shares) == len(sources)
    assert sources[-1] == "synthetic"
    assert shares[-1] == (1 if source == "synthetic" else any_camera.SYNTHETIC)


def test_what_a_piece_is_judged_on_it_has_not_seen(monkeypatch):
    monkeypatch.setattr(any_camera, "part", lambda name, fold, held_out: (name, fold, held_out))
    assert any_camera.unseen("both") == []
    assert any_camera.unseen("chase") == [("hrf", ("hrf", None, True))]
    assert any_camera.unseen("both_not_a") == [
        ("chase", ("chase", "a", True)),
        ("hrf", ("hrf", "a", True)),
    ]
    assert [name for name, _ in any_camera.unseen("synthetic")] == ["chase", "hrf"]


def test_a_variant_begins_with_the_weights_of_its_start_and_uses_its_shares(tmp_path, monkeypatch):
    small = partial(CameraRecipe, crop=32, batch_size=2)
    monkeypatch.setattr(camera_variants, "CameraRecipe", small)
    monkeypatch.setattr(camera_variants, "STEPS", 1)
    monkeypatch.setitem(
        camera_variants.TRIED,
        "scale_narrow",
        {"recipe": {"pixels_per_degree": (1.0, 2.0)}, "start": "synthetic_alone"},
    )
    monkeypatch.setitem(
        camera_variants.TRIED,
        "synthetic_alone",
        {"synthetic": 1.0, "recipe": {"pixels_per_degree": (1.0, 2.0)}},
    )
    monkeypatch.setattr(camera_variants, "ranking_at", lambda *arguments: {})
    monkeypatch.setattr(camera_variants, "provenance", lambda *arguments: {})  # reads the data
    monkeypatch.setattr(camera_variants, "ChaseDB1", lambda split: [split])
    starts, train = [], camera_variants.train_any_camera

    def spy(name, sources, recipe, *, initial, **more):
        starts.append(initial)
        return train(name, sources, recipe, initial=initial, progress=False, **more)

    monkeypatch.setattr(camera_variants, "train_any_camera", spy)
    eyes = {"hrf": synthetic_eyes(2, 2.0), "synthetic": synthetic_eyes(2, 2.0, seed=1)}
    first = camera_variants.run("unet_small", "synthetic_alone", eyes, tmp_path)
    second = camera_variants.run("unet_small", "scale_narrow", eyes, tmp_path)
    assert first["shares"] == {"synthetic": 1.0} and second["shares"] == {"hrf": 1.0}
    stored = weights.load(tmp_path / "unet_small_synthetic_alone" / "weights.safetensors")[0]
    assert starts[0] is None
    assert all(torch.equal(starts[1][key], value) for key, value in stored.state_dict().items())


def test_a_variant_changes_one_thing_only():
    for name, change in camera_variants.TRIED.items():
        assert sum(len(c) if isinstance(c, dict) else 1 for c in change.values()) == (
            name != "full"
        )


def offered(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["any_camera", "list", *arguments])
    any_camera.main()
    return {line.split()[-1] for line in capsys.readouterr().out.splitlines()}


def test_no_piece_begins_with_weights_that_know_what_it_may_not_see(capsys, monkeypatch):
    assert all(
        "_both_after_both_" in one for one in offered(capsys, monkeypatch, "--after", "both")
    )
    synthetic = offered(capsys, monkeypatch, "--after", "synthetic")
    assert {
        "w_net_chase_after_synthetic_seed0",
        "w_net_both_not_a_after_synthetic_seed0",
    } <= synthetic


def test_names_that_no_piece_has_are_told(capsys, monkeypatch):
    with pytest.raises(SystemExit, match="2"):
        offered(capsys, monkeypatch, "--only", "unet_tiny")
    assert "no piece begins with unet_tiny; `list`" in capsys.readouterr().err


def test_a_piece_that_fails_does_not_stop_the_others_and_is_told(monkeypatch):
    def run(name, *_):
        begun.append(name)
        if "chase" in name:
            raise OSError("no space left")

    begun = []
    monkeypatch.setattr(any_camera, "run", run)
    given = ["run", "--only", "w_net_chase", "w_net_hrf", "--steps", "7"]
    monkeypatch.setattr(sys, "argv", ["any_camera", *given])
    with pytest.raises(SystemExit, match="Failed, see above: w_net_chase_7_seed0$"):
        any_camera.main()
    assert begun == ["w_net_chase_7_seed0", "w_net_hrf_7_seed0"]


def test_a_piece_begins_with_kept_weights_and_sees_other_batches(tmp_path, monkeypatch):
    def train(network, sources, recipe, **options):
        given.append(options)
        return weights.load("unet_small_any_camera")[0], History(loss=[1.0] * 100)

    given = []
    monkeypatch.setattr(any_camera, "ROWS", tmp_path / "rows")
    monkeypatch.setattr(any_camera, "training_images", lambda source: ([1.0], []))
    monkeypatch.setattr(any_camera, "provenance", lambda *arguments: {})
    monkeypatch.setattr(any_camera, "train_any_camera", train)
    recipe = CameraRecipe(steps=1)
    for after in (None, "synthetic"):
        any_camera.run(f"x_{after}", "unet_small", "both", 0, recipe, tmp_path, after)
    plain, later = given
    kept = KEPT / "any_camera" / "unet_small_synthetic_seed0" / "weights.safetensors"
    assert plain["initial"] is None and plain["seed"] != later["seed"]
    for name, value in weights.load(kept)[0].state_dict().items():
        assert torch.equal(later["initial"][name], value)
    rows = [read_json(tmp_path / "rows" / f"x_{after}.json") for after in (None, "synthetic")]
    assert [row.get("after") for row in rows] == [None, "unet_small_synthetic_seed0"]


def test_the_threshold_of_a_longer_training_is_that_of_its_own_fold():
    found = any_camera_test.without_fold("x_both_3000_after_synthetic_seed2", "b")
    assert found.name == "x_both_not_b_3000_after_synthetic_seed0.json"


def test_weights_to_begin_with_that_are_not_there_are_named_with_the_way_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="run --only w_net_synthetic_seed0 --output"):
        any_camera.kept_weights("w_net_synthetic_seed0", tmp_path)
