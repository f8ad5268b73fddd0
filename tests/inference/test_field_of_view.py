"""The field of view is found, resampled and put back."""

import numpy as np
import pytest
import torch
from known_answers import Red, disc

from retina_course.inference import crop_to_fov, segment


@pytest.mark.parametrize("diameter", [70, 139, 400])
def test_the_field_of_view_is_resampled_to_the_training_size(diameter):
    image, inside = disc(size=200, radius=70)
    model = Red()
    probability, fov, _ = segment(model, image, {"fov_diameter": diameter})
    assert probability.shape == fov.shape == (200, 200)
    assert (fov.numpy() != inside).mean() < 0.01
    side = model.seen[0][-1]  # the field, a margin of 1/20 on each side, and the border
    assert side == pytest.approx(1.1 * diameter + 64, abs=10)
    centre = probability[70:130, 70:130]
    torch.testing.assert_close(centre, torch.full_like(centre, 0.5).sigmoid(), atol=1e-4, rtol=0)
    assert (probability[~fov] == 0).all()


def test_photographs_of_the_training_size_are_not_resampled():
    image, _ = disc(size=200, radius=70)
    image = image * np.random.default_rng(0).uniform(0.5, 1, image.shape).astype(np.float32)
    probability, fov, _ = segment(Red(), image, {"fov_diameter": 143})
    torch.testing.assert_close(probability, torch.from_numpy(image[..., 0]).sigmoid() * fov)


def test_without_a_recognisable_field_the_whole_frame_is_taken():
    full = np.full((40, 60, 3), 0.6)
    speck = np.full((40, 60, 3), 0.05)
    speck[3:9, 3:9] = 0.6
    for image in (full, speck):
        probability, fov, _ = segment(Red(), image, {"fov_diameter": 120})
        assert fov.all()
        assert probability[20:, 20:].min() >= 0.5
    with pytest.raises(ValueError, match="black"):
        segment(Red(), np.zeros((40, 60, 3)), {"fov_diameter": 120})


@pytest.mark.parametrize("card", [{}, {"fov_diameter": None}, {"fov_diameter": -3}])
def test_the_card_must_give_the_diameter(card):
    with pytest.raises(ValueError, match="fov_diameter"):
        segment(Red(), np.full((8, 8, 3), 99, np.uint8), card)


def test_each_axis_has_the_scale_of_its_rounded_side():
    rgb = torch.full((3, 11, 200), 0.5)
    view, corner, scale = crop_to_fov(rgb, 50)  # 11 / 4 is rounded to 3
    assert view.shape == (3, 3, 50) and corner == (0, 0)
    assert scale.tolist() == pytest.approx([50 / 200, 3 / 11] * 2)
