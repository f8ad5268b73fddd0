"""Training for any camera: sources of one scale each, the mean of the weights, CUDA graphs."""

import copy

import numpy as np
import pytest
import torch

from retina_course import create_model, fit
from retina_course.data.cameras import Scaled
from retina_course.data.photographs import Photograph
from retina_course.training import any_camera
from retina_course.training.any_camera import (
    CameraRecipe,
    stack_scaled,
    synthetic_eyes,
    train_any_camera,
)


@pytest.fixture(scope="module")
def eyes():
    return synthetic_eyes(2, pixels_per_degree=2.0, seed=3)


def photograph(side=200, angle=40.0):
    """A grey disc with one vessel of a tenth of its width, straight down."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    fov = x**2 + y**2 < (0.4 * side) ** 2
    vessel = (abs(x) < 0.04 * side) & fov
    image = np.where(fov[..., None], 120, 0).astype(np.uint8).repeat(3, 2)
    return Photograph("one", "one", image, vessel, fov, field_angle=angle)


def batch(generator):
    images = torch.rand((2, 3, 16, 16), generator=generator)
    return images, (images[:, :1] > 0.7).float()


@pytest.mark.parametrize("side, angle", [(200, 40.0), (400, 40.0), (200, 20.0)])
def test_photographs_get_the_scale_that_their_angle_gives(side, angle):
    source = stack_scaled([photograph(side, angle)], 2.0)
    assert source.pixels_per_degree == 2.0
    lit = (source.images[0, 0] > 0.1).nonzero()
    extent = (lit.amax(0) - lit.amin(0) + 1).tolist()
    assert all(abs(pixels - 2.0 * angle) <= 2 for pixels in extent)
    # Its vessel is as wide as before, in degrees: a tenth of the field, parts of pixels counted.
    row = source.targets[0, 0, source.targets.shape[2] // 2]
    assert row.sum().item() == pytest.approx(0.2 * angle, rel=0.05)


def test_small_vessels_become_parts_of_pixels():
    source = stack_scaled([photograph(400)], 0.5)
    assert ((source.targets > 0.1) & (source.targets < 0.9)).any()


def test_photographs_of_unequal_size_are_padded_with_black():
    wide = photograph(200, 60.0)
    source = stack_scaled([photograph(), wide], 2.0)
    assert source.images.shape[0] == 2 and source.images[0, :, -8:].max() == 0
    assert source.images[1, :, 60].max() > 0.3


def test_a_photograph_without_angle_is_refused():
    with pytest.raises(ValueError, match="field angle of one is not known"):
        stack_scaled([photograph(angle=None)], 2.0)
    with pytest.raises(ValueError, match="No photograph"):
        stack_scaled([], 2.0)


def test_every_setting_of_the_recipe_reaches_the_crops(monkeypatch, eyes):
    seen = {}

    class Spy(any_camera.RandomCameras):
        def __post_init__(self):
            super().__post_init__()
            seen.update(vars(self))

    monkeypatch.setattr(any_camera, "RandomCameras", Spy)
    recipe = CameraRecipe(2, 3, 48, 1e-3, (0.5, 1.5), 0.25)
    device = torch.device("cpu")
    train_any_camera(
        "unet_small", [eyes, eyes], recipe, shares=(0.3, 0.7), device=device, progress=False
    )
    assert (seen["size"], seen["batch_size"], seen["strength"]) == (48, 3, 0.25)
    assert (seen["pixels_per_degree"], seen["shares"]) == ((0.5, 1.5), (0.3, 0.7))
    assert seen["device"] == device and len(seen["sources"]) == 2


def test_what_is_for_the_loop_reaches_the_loop(monkeypatch, eyes):
    asked = {}

    def loop(model, batch, steps, **options):
        asked.update(options, steps=steps)
        return any_camera.History()

    monkeypatch.setattr(any_camera, "fit", loop)
    recipe = CameraRecipe(7, 2, 32, 2e-3, (1.0, 2.0), average=0.5)
    train_any_camera("unet_small", [eyes], recipe, seed=3, precision=torch.bfloat16, every=9)
    known = {"steps": 7, "lr": 2e-3, "average": 0.5, "seed": 3, "every": 9}
    assert {key: asked[key] for key in known} == known and asked["precision"] is torch.bfloat16


def test_what_is_around_the_field_becomes_black():
    bright = photograph()
    white = np.where(bright.fov[..., None], bright.image, 255).astype(np.uint8)
    bright = Photograph("b", "b", white, bright.ground_truth, bright.fov, field_angle=40.0)
    assert stack_scaled([bright], 2.0).images[0, :, 2, 2].max() < 0.05


def test_synthetic_eyes_follow_their_seed(eyes):
    assert torch.equal(synthetic_eyes(2, 2.0, seed=3).images, eyes.images)
    assert not torch.equal(synthetic_eyes(2, 2.0, seed=4).images, eyes.images)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, eyes):
    recipe = CameraRecipe(4, 2, 32, 1e-3, (1.0, 2.0), average=0.5)
    whole, history = train_any_camera("unet_small", [eyes], recipe, progress=False)

    path = {"checkpoint": tmp_path / "run.pt", "every": 2, "progress": False}

    def kill(model):
        if path["checkpoint"].exists():  # written after the first two steps
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        train_any_camera("unet_small", [eyes], recipe, validate=kill, **path)
    again, resumed = train_any_camera("unet_small", [eyes], recipe, **path)
    assert resumed.loss == history.loss
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with pytest.raises(ValueError, match="strength is 1.0 there, 0.5 here"):
        other = CameraRecipe(4, 2, 32, 1e-3, (1.0, 2.0), strength=0.5, average=0.5)
        train_any_camera("unet_small", [eyes], other, **path)


def test_training_can_start_from_weights(eyes):
    start = create_model("unet_small").state_dict()
    recipe = CameraRecipe(1, 2, 32, 1e-9, (1.0, 2.0))
    model, _ = train_any_camera("unet_small", [eyes], recipe, initial=start, progress=False)
    weight = next(iter(start))
    assert torch.allclose(model.state_dict()[weight], start[weight], atol=1e-6)


def test_the_first_prediction_is_the_share_of_vessels(eyes):
    recipe = CameraRecipe(1, 2, 32, 1e-9, (1.0, 2.0))
    halves = Scaled(eyes.images, torch.full_like(eyes.targets, 0.25), 2.0)
    model, _ = train_any_camera("unet_small", [halves], recipe, progress=False)
    bias = [value for name, value in model.named_parameters() if name.endswith("bias")][-1]
    assert bias.sigmoid().item() == pytest.approx(0.25, abs=1e-3)


def test_the_moving_average_is_the_one_that_its_text_says():
    """Three steps of the same run, kept one by one, and their mean by the formula."""
    torch.manual_seed(0)
    first = create_model("unet_small")
    kept = []
    for steps_done in (1, 2, 3):
        model = copy.deepcopy(first)
        seen = []
        fit(
            model,
            batch,
            3,
            lr=1e-2,
            every=1,
            progress=False,
            precision=torch.float32,
            validate=lambda m, seen=seen: seen.append(copy.deepcopy(m.state_dict())) or {},
        )
        kept.append(seen[steps_done - 1])
    mean = {name: value.clone() for name, value in kept[0].items()}
    for state, stays in zip(kept[1:], (2 / 11, 3 / 12), strict=True):
        for name, value in state.items():
            if value.is_floating_point():
                mean[name] = stays * mean[name] + (1 - stays) * value
    judged = []
    averaged = copy.deepcopy(first)
    fit(
        averaged,
        batch,
        3,
        lr=1e-2,
        average=0.75,
        every=3,
        progress=False,
        precision=torch.float32,
        validate=lambda m: judged.append(m.state_dict()) or {},
    )
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, mean[name], atol=1e-6, rtol=1e-5, msg=name)
            assert torch.equal(judged[0][name], value), name
    assert not averaged.training


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"batch_size": -1}, {"lr": float("nan")}, {"crop": 0}, {"strength": -1}]
)
def test_wrong_recipes_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        CameraRecipe(**wrong)


def test_sources_without_vessels_are_refused():
    empty = photograph()
    empty.ground_truth[:] = False
    with pytest.raises(ValueError, match="nothing to learn"):
        stack_scaled([empty], 2.0)


@pytest.mark.parametrize("average", [-0.1, 1, 2])
def test_a_wrong_average_is_refused(average):
    with pytest.raises(ValueError, match=f"at least 0 and below 1, got {average}"):
        fit(create_model("unet_small"), batch, 1, average=average)


def test_graphs_need_a_gpu():
    with pytest.raises(ValueError, match="capture=True needs a GPU"):
        fit(create_model("unet_small"), batch, 1, capture=True, progress=False)


def test_graphs_are_recorded_in_training_mode_and_leave_the_model_as_it_was(monkeypatch):
    """A stand-in for CUDA: what is recorded, under which autocast, and what is left behind."""
    from retina_course.training import loop

    recorded = []

    def record(model, arguments):
        assert model.training
        recorded.append((arguments[0].shape, torch.is_autocast_cache_enabled()))
        original = type(model).forward.__get__(model)
        model(arguments[0])  # warms up: batch norm's statistics move
        model.forward = lambda x: recorded.append("replayed") or original(x)

    class Image(torch.Tensor):
        is_cuda = True

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    real = loop._capture
    monkeypatch.setattr(loop, "_capture", lambda m, x: real(m, x.as_subclass(Image)))
    torch.manual_seed(0)
    model = create_model("unet_small")
    plain = copy.deepcopy(model)
    fit(model, batch, 2, capture=True, progress=False, precision=torch.bfloat16)
    fit(plain, batch, 2, progress=False, precision=torch.bfloat16)
    assert recorded == [((2, 3, 16, 16), False), "replayed", "replayed"]
    assert "forward" not in vars(model)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_no_source_is_refused():
    with pytest.raises(ValueError, match="at least one source"):
        train_any_camera("unet_small", [], CameraRecipe(steps=1), progress=False)
