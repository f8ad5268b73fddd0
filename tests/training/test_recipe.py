import math

import numpy as np
import pytest
import torch

from retina_course import create_model, list_models
from retina_course.data.datasets import Photograph
from retina_course.models import DETECTORS
from retina_course.training.recipe import Recipe, stack_images, train_vessels
from retina_course.training.start import learning_rate, set_head_bias


def photograph(size=(100, 90), diameter=80, name="a"):
    """A grey disc on black with one dark vessel."""
    rows, columns = np.indices(size)
    fov = np.hypot(rows - size[0] / 2, columns - size[1] / 2) < diameter / 2
    vessels = fov & (abs(columns - size[1] // 2) < 4)
    image = np.where(fov, np.where(vessels, 60, 150), 0).astype(np.uint8)
    return Photograph(name, name, np.stack([image] * 3, axis=2), vessels, fov)


def test_views_have_one_size_and_one_scale():
    photographs = [photograph(), photograph((300, 240), 200, "b")]
    images, targets = stack_images(photographs, fov_diameter=80)
    assert images.shape[1:] == (3, *targets.shape[2:]) and len(images) == len(targets) == 2
    assert set(targets.unique().tolist()) == {0, 1}
    widths = targets[:, 0].sum(dim=2).amax(dim=1)
    assert widths[0] == 7 and 2 <= widths[1] <= 4  # the larger photograph was made smaller
    fields = (images.amax(dim=1) > 0.1).float().sum(dim=2).amax(dim=1)
    assert (abs(fields - 80) <= 2).all()


def test_training_views_are_the_views_that_segment_predicts_on():
    from retina_course.inference import fov_window

    photo = photograph()
    rows, columns, size = fov_window(torch.from_numpy(photo.fov), 80)
    images, _ = stack_images([photo], 80)
    assert list(images.shape[2:]) == size
    expected = torch.from_numpy(photo.image[rows, columns]).permute(2, 0, 1) / 255
    torch.testing.assert_close(images[0], expected)


def test_vessels_are_taken_from_the_middle_of_what_becomes_one_pixel():
    """Of three columns the second: else targets would lie a pixel beside their image."""
    fov = np.zeros((150, 150), bool)
    fov[15:135, 15:135] = True
    image = np.full((150, 150, 3), 99, np.uint8) * fov[..., None]
    vessels = np.zeros((150, 150), bool)
    vessels[:, 10::3] = True  # the second of three from the left of the window, at 9
    _, targets = stack_images([Photograph("a", "a", image, vessels & fov, fov)], 40)
    assert targets.shape == (1, 1, 44, 44) and targets[0, 0, 5:-5, 5:-5].min() == 1


@pytest.mark.parametrize("name", [n for n in list_models() if n not in DETECTORS])
def test_the_first_prediction_is_the_share_of_vessels(name):
    torch.manual_seed(0)
    model, x = create_model(name), torch.rand(2, 3, 64, 64)
    set_head_bias(model, 0.1)
    output = model(x)
    for logits in output if isinstance(output, tuple) else (output,):  # each stage has its head
        assert logits.mean().item() == pytest.approx(math.log(0.1 / 0.9), abs=0.6)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_share_that_no_bias_has_is_an_error(fraction):
    with pytest.raises(ValueError, match="between 0 and 1, both excluded"):
        set_head_bias(create_model("unet_small"), fraction)


def test_larger_networks_learn_at_a_lower_rate():
    assert learning_rate("unet_small") == learning_rate("unet_large") == 1e-2
    assert learning_rate("linknet") == learning_rate("retina_segmentor") == 1e-3


def test_a_network_is_built_with_its_options():
    recipe = Recipe(steps=1, crop=64, fov_diameter=80)
    model, _ = train_vessels(
        "unet_large", [photograph()], recipe, options={"fold": 4}, progress=False
    )
    assert model.fold == 4


def test_a_short_run_finds_the_vessel():
    recipe = Recipe(steps=80, crop=64, fov_diameter=80)
    model, history = train_vessels("unet_small", [photograph()], recipe, progress=False)
    images, targets = stack_images([photograph()], 80)
    rows, columns = (side // 8 * 8 for side in images.shape[2:])
    images, targets = images[..., :rows, :columns], targets[..., :rows, :columns]
    with torch.no_grad():
        p = model(images).sigmoid()
    assert p[targets == 1].mean() > 0.7 and p[targets == 0].mean() < 0.2
    assert len(history.loss) == 80


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="No photograph"):
        stack_images([], 80)
    blank = photograph()
    blank.ground_truth[:] = False
    with pytest.raises(ValueError, match="nothing to learn"):
        stack_images([blank], 80)
    blank.ground_truth[:] = True
    with pytest.raises(ValueError, match="inverted"):
        stack_images([blank], 80)
    with pytest.raises(ValueError, match="jitter must be at most 1"):
        Recipe(jitter=9)
    with pytest.raises(ValueError, match="rotation must be positive and finite"):
        Recipe(rotation=float("inf"))
    with pytest.raises(ValueError, match="crop must be positive"):
        Recipe(crop=0)
    with pytest.raises(ValueError, match="do not fit"):
        train_vessels("unet_small", [photograph()], Recipe(fov_diameter=80), progress=False)


def test_a_checkpoint_of_another_recipe_is_not_continued(tmp_path):
    recipe, file = Recipe(steps=1, crop=64, fov_diameter=80), tmp_path / "run.pt"
    train_vessels("unet_small", [photograph()], recipe, checkpoint=file, progress=False)
    other = Recipe(steps=1, crop=64, fov_diameter=80, jitter=0)
    with pytest.raises(ValueError, match="another run"):
        train_vessels("unet_small", [photograph()], other, checkpoint=file, progress=False)
