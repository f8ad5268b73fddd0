"""The recipe of the detectors, on a bright disc."""

import numpy as np
import pytest
import torch
from short_runs import same

from retina_course.data.idrid import BoxedPhotograph
from retina_course.training import DetectorRecipe, train_detector

OPTIONS = {"num_classes": 1, "width": 4, "pyramid_channels": 8, "head_channels": 8}
RECIPE = DetectorRecipe(steps=4, batch_size=2, fov_diameter=64)


def photograph(x=20, boxes=True):
    image = np.full((64, 64, 3), 60, np.uint8)
    image[20:40, x : x + 20] = 220
    box = torch.tensor([[x, 20.0, x + 20, 40]]) if boxes else torch.zeros(0, 4)
    return BoxedPhotograph("a", image, box, torch.ones(len(box), dtype=torch.int64))


def train(recipe=RECIPE, photographs=None, **more):
    photographs = photographs or [photograph(), photograph(30)]
    options = {"options": OPTIONS, "progress": False} | more
    return train_detector("retina_net", iter(photographs), recipe, **options)


def test_a_run_follows_from_its_seed_and_ends_in_eval_mode():
    (one, history), (two, _), (other, _) = train(), train(), train(seed=1)
    assert same(one.state_dict(), two.state_dict()) and not one.training
    assert not same(one.state_dict(), other.state_dict()) and len(history.loss) == 4


def test_it_learns():
    recipe = DetectorRecipe(steps=60, batch_size=2, fov_diameter=64, lr=1e-2)
    _, history = train(recipe)
    assert np.mean(history.loss[-10:]) < 0.5 * np.mean(history.loss[:10])


def test_it_starts_from_given_weights():
    first, _ = train()
    frozen = DetectorRecipe(steps=1, batch_size=2, fov_diameter=64, lr=1e-12)
    again, _ = train(frozen, initial=first.state_dict(), seed=5)
    for name, parameter in first.named_parameters():
        torch.testing.assert_close(again.get_parameter(name), parameter)


def test_a_checkpoint_of_another_recipe_is_not_continued(tmp_path):
    train(checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match="another run: jitter is 0.2 there, 0 here"):
        train(
            DetectorRecipe(steps=4, batch_size=2, fov_diameter=64, jitter=0),
            checkpoint=tmp_path / "run.pt",
        )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="No photograph has a box"):
        train(photographs=[photograph(boxes=False)])
    with pytest.raises(ValueError, match="No photograph to train on"):
        train_detector("retina_net", [])
    with pytest.raises(ValueError, match="32x32 pixels is too little"):
        train(DetectorRecipe(steps=1, batch_size=1, fov_diameter=28))
    with pytest.raises(ValueError, match="jitter must be at most 1"):
        DetectorRecipe(jitter=3)
    with pytest.raises(ValueError, match="steps must be positive"):
        DetectorRecipe(steps=0)
