"""Every number of a recipe, and every option of a training, arrives where it has its effect."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from short_runs import same
from test_detector_recipe import OPTIONS
from test_detector_recipe import photograph as boxed
from test_recipe import photograph

from retina_course import create_model
from retina_course.training import (
    DETECTOR_OPTIONS,
    DetectorRecipe,
    History,
    Recipe,
    detector_recipe,
    recipe,
    train_detector,
    train_vessels,
)

RECIPE = Recipe(
    steps=5, batch_size=3, crop=48, lr=0.003, fov_diameter=72, rotation=20.0, jitter=0.1
)
BOXES = DetectorRecipe(steps=5, batch_size=3, lr=0.004, fov_diameter=60, jitter=0.1)
OTHERS = {"batch_size": 2, "crop": 40, "fov_diameter": 80, "rotation": 0.0, "jitter": 0.3}
MORE = {"seed": 4, "checkpoint": "run.pt", "precision": torch.bfloat16}


@pytest.fixture
def runs(monkeypatch):
    """What `fit` was called with, in place of a run."""
    found = []

    def fit(model, sample, steps, **options):
        found.append({"model": model, "sample": sample, "steps": steps, **options})
        return History()

    for module in (recipe, detector_recipe):
        monkeypatch.setattr(module, "fit", fit)
    return found


def vessels(recipe=RECIPE, **options):
    return train_vessels("unet_small", [photograph()], recipe, **options)


def boxes(recipe=BOXES, **options):
    return train_detector("retina_net", [boxed()], recipe, **({"options": OPTIONS} | options))


def test_vessels(runs):
    validate = object()
    model, _ = vessels(**MORE, validate=validate, every=7)
    (run,) = runs
    crops = run["sample"]
    assert (crops.size, crops.batch_size) == (48, 3)
    assert (crops.rotation, crops.jitter) == (20.0, 0.1)
    assert run["steps"] == 5 and run["lr"] == 0.003 and run["model"] is model
    assert {key: run[key] for key in MORE} == MORE
    assert run["validate"] is validate and run["every"] == 7
    height = crops.images.shape[2]
    assert 72 <= height <= 82, "the field of view and its margin, resampled"


def test_boxes(runs):
    validate = object()
    boxes(**MORE, validate=validate, every=7)
    (run,) = runs
    batches = run["sample"]
    assert (batches.batch_size, batches.jitter, batches.scale) == (3, 0.1, (0.8, 1.25))
    assert run["steps"] == 5 and run["lr"] == 0.004
    assert {key: run[key] for key in MORE} == MORE
    assert run["validate"] is validate and run["every"] == 7
    assert run["model"].num_classes == OPTIONS["num_classes"]
    assert run["sample"].images.shape[2:] == (64, 64)


@pytest.mark.parametrize("train", [vessels, boxes])
def test_a_run_is_known_by_all_that_it_is_made_of(train, runs):
    """A checkpoint is of another run where one of these differs."""
    base = RECIPE if train is vessels else BOXES
    train()
    for name, other in OTHERS.items():
        if hasattr(base, name):
            train(replace(base, **{name: other}))
    train(precision=torch.float16)
    settings = [run["settings"] for run in runs]
    assert all(one != other for i, one in enumerate(settings) for other in settings[:i])
    train()
    assert runs[-1]["settings"] == settings[0]


def test_the_network_and_its_options_belong_to_a_run(runs):
    train_vessels("unet_small", [photograph()], RECIPE)
    train_vessels("unet_large", [photograph()], replace(RECIPE, crop=64))
    train_vessels("unet_small", [photograph()], replace(RECIPE, crop=64))
    train_vessels("unet_large", [photograph()], replace(RECIPE, crop=64), options={"fold": 4})
    boxes()
    boxes(options=OPTIONS | {"width": 8})
    settings = [run["settings"] for run in runs]
    assert all(one != other for i, one in enumerate(settings) for other in settings[:i])


@pytest.mark.parametrize("train", [vessels, boxes])
def test_the_first_weights_follow_from_the_seed(train, runs):
    for seed in (3, 3, 4):
        torch.rand(1)  # what was drawn before does not matter
        train(seed=seed)
    one, again, other = (run["model"].state_dict() for run in runs)
    assert same(one, again) and not same(one, other)


def test_the_first_prediction_is_the_share_of_vessels_unless_weights_are_given(runs):
    model, _ = vessels()
    share = runs[0]["sample"].targets.mean()
    torch.testing.assert_close(model.conv.bias.sigmoid().item(), share.item())
    start = create_model("unet_small").state_dict()
    tuned, _ = vessels(initial=start)
    assert same(tuned.state_dict(), start)


@pytest.mark.parametrize("train", [vessels, boxes])
def test_the_device_that_is_given_is_used_and_the_result_is_on_the_cpu(train, runs, monkeypatch):
    """The meta device stands in for a GPU."""
    moved = []
    to = torch.nn.Module.to
    monkeypatch.setattr(
        torch.nn.Module, "to", lambda self, *a, **k: moved.append(a) or to(self, *a, **k)
    )
    model, _ = train(device=torch.device("cpu"))
    assert moved == [(torch.device("cpu"),)]
    cpu = []
    monkeypatch.setattr(torch.nn.Module, "cpu", lambda self: cpu.append(self) or self)
    for module in (recipe, detector_recipe):
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))
    train()
    model, _ = train(device=torch.device("meta"))
    assert moved[1:] == [(torch.device("cpu"),), (torch.device("meta"),)]
    assert runs[-1]["sample"].images.device.type == "meta" and cpu[-1] is model


def test_the_defaults_of_the_recipes():
    """Chapters and stored results name these."""
    assert Recipe() == Recipe(8000, 4, 256, 1e-2, 640, 45.0, 0.2)
    assert DetectorRecipe() == DetectorRecipe(3000, 4, 1e-3, 448, 0.2)
    numbers = {"num_classes": 3, "width": 16, "pyramid_channels": 48, "head_channels": 48}
    assert numbers == DETECTOR_OPTIONS


@pytest.mark.parametrize("kind", [Recipe, DetectorRecipe])
def test_zero_is_a_strength_and_no_number(kind):
    assert kind(jitter=0).jitter == 0 and kind(jitter=1).jitter == 1
    for name in ("steps", "batch_size", "lr", "fov_diameter"):
        for wrong in (0, -1, float("nan")):
            with pytest.raises(ValueError, match=f"{name} must be positive"):
                kind(**{name: wrong})
    with pytest.raises(ValueError, match="jitter must be at most 1, got 1.5"):
        kind(jitter=1.5)


def test_images_lie_at_the_top_left_of_what_is_added():
    small, large = photograph((60, 50), 40), photograph((100, 90), 80, "b")
    small = replace(small, fov=np.ones_like(small.fov))
    images, targets = recipe.stack_images([small, large], 60)
    bottom, right = images[0].amax(dim=0).nonzero().amax(dim=0).tolist()
    assert images[0, :, :5, :5].amax() == 0  # the surround of the disc
    assert images.shape[3] > 60 > right and images[0, :, :, 55:].amax() == 0 == targets[0].min()
    assert bottom < images.shape[2] - 1


def test_crops_that_a_network_cannot_take_are_refused_before_the_photographs_are_read(runs):
    def unread():
        raise AssertionError("a photograph was read")
        yield

    for name, crop, options in (("unet_small", 50, {}), ("unet_large", 48, {"fold": 4})):
        with pytest.raises(ValueError, match=f"{name} cannot be trained on batches of 3 crops of"):
            train_vessels(name, unread(), replace(RECIPE, crop=crop), options=options)
