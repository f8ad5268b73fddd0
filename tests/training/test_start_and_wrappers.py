"""Runs that start from weights, and networks that something was put around."""

import numpy as np
import pytest
import torch
from short_runs import fresh_model, same, sample, train
from torch import nn

from retina_course import create_model
from retina_course.data.datasets import Photograph
from retina_course.training import Recipe, fit, train_vessels
from retina_course.training.checkpoints import differences
from retina_course.training.recipe import stack_images

WRAPPERS = [lambda m: torch.compile(m, backend="eager"), nn.DataParallel]
RECIPE = Recipe(steps=2, crop=64, fov_diameter=80)


def photograph(surround=0):
    """A grey disc with one dark vessel."""
    rows, columns = np.indices((100, 90))
    fov = np.hypot(rows - 50, columns - 45) < 40
    vessels = fov & (abs(columns - 45) < 4)
    image = np.where(fov, np.where(vessels, 60, 150), surround).astype(np.uint8)
    return Photograph("a", "a", np.stack([image] * 3, axis=2), vessels, fov)


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapped_network_trains_alike_and_its_checkpoint_has_plain_names(wrap, tmp_path):
    expected, history = train(6)
    model = fresh_model()
    wrapped = fit(wrap(model), sample, 6, checkpoint=tmp_path / "a.pt", progress=False)
    assert wrapped.loss == history.loss and same(model.state_dict(), expected.state_dict())
    plain, resumed = train(6, checkpoint=tmp_path / "a.pt")
    assert same(plain.state_dict(), expected.state_dict()) and resumed.loss == history.loss


def test_a_run_starts_from_given_weights():
    torch.manual_seed(7)
    start = create_model("unet_small").state_dict()
    frozen = Recipe(steps=1, crop=64, fov_diameter=80, lr=1e-12)
    model, _ = train_vessels("unet_small", [photograph()], frozen, initial=start, progress=False)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, start[name])


def test_photographs_are_taken_one_after_the_other():
    model, _ = train_vessels("unet_small", iter([photograph()]), RECIPE, progress=False)
    again, _ = train_vessels("unet_small", [photograph()], RECIPE, progress=False)
    assert same(model.state_dict(), again.state_dict())


def test_a_bright_surround_is_black_in_training_as_in_segment():
    images, _ = stack_images([photograph(surround=255)], 80)
    expected, _ = stack_images([photograph()], 80)
    torch.testing.assert_close(images, expected)


def test_differences_name_each_setting_once():
    there = {"a": 1, "recipe": {"crop": 8, "lr": 0.1}, "gone": "x"}
    here = {"a": 1, "recipe": {"crop": 9, "lr": 0.1}, "new": True}
    assert differences(there, here) == (
        "crop is 8 there, 9 here; gone is 'x' there, None here; new is None there, True here"
    )
    assert differences(there, there) == ""
