"""`segment`: a photograph in, vessel probabilities in its own pixels out."""

import numpy as np
import pytest
import torch
from known_answers import Red, disc, untrained
from torch import nn

from retina_course.inference import expected_f1, predict, segment
from retina_course.inference.field_of_view import measured_diameter


def test_the_frame_makes_no_edge():
    """On one colour the output repeats every 8 pixels (strided layers), unless an edge is seen."""

    def unevenness(p):
        return (p[8:, 8:] - p[:-8, :-8]).abs().max()

    model, image = untrained(), np.full((90, 120, 3), 0.4)
    assert unevenness(predict(model, image)[0]) > 0.01  # the zeros beyond the frame
    probability, *_ = segment(model, image, {"fov_diameter": 120}, flips=False)
    assert unevenness(probability) < 1e-5


def test_a_field_that_is_given_is_used():
    image, _ = disc(size=200, radius=70)
    fov = np.zeros((200, 200), bool)
    fov[80:120, 60:140] = True
    model = Red()
    result = segment(model, image, {"fov_diameter": 80}, fov=fov)
    assert np.array_equal(result.fov.numpy(), fov)
    assert (result.probability[~result.fov] == 0).all()
    assert model.seen[0] == (1, 3, 48 + 64, 88 + 64)
    with pytest.raises(ValueError, match="image's size"):
        segment(model, image, {"fov_diameter": 80}, fov=fov[:100])
    with pytest.raises(ValueError, match="0 pixels inside"):
        segment(model, image, {"fov_diameter": 80}, fov=fov & False)


@pytest.mark.parametrize("size", [200, 101, 60])
def test_the_map_is_kept_as_the_network_saw_it(size):
    image, _ = disc(size=size, radius=0.4 * size)
    result = segment(Red(), image, {"fov_diameter": 80}, flips=False)
    p, inside = result.seen
    assert p.shape == inside.shape
    middle = p[inside].median()
    torch.testing.assert_close(middle, result.probability[result.fov].median())
    assert (p[~inside] == 0).all() and middle > 0.6
    assert measured_diameter(inside) == pytest.approx(80, abs=2)
    assert inside.sum() == pytest.approx(torch.pi * 40**2, rel=0.06)


def test_coarse_and_fine_photographs_expect_the_same_of_their_maps():
    """Where the network is sure at its own scale, averages of its probabilities are no doubt."""

    class Stripes(nn.Module):  # sure of lines of two pixels
        def forward(self, x):
            return 16 * (torch.arange(x.shape[-1]) % 8 < 2).float().expand(x[:, :1].shape) - 8

    for size in (60, 120, 240):
        image, _ = disc(size=size, radius=0.4 * size)
        result = segment(Stripes(), image, {"fov_diameter": 96}, flips=False)
        assert expected_f1(*result.seen, 0.5) > 0.99
        assert (expected_f1(*result[:2], 0.5) < 0.9) == (size != 120)


def test_of_several_classes_class_one_is_the_vessels():
    class TwoClasses(nn.Module):
        def forward(self, x):
            return torch.stack([torch.zeros_like(x[:, 0]), torch.full_like(x[:, 0], 3)], dim=1)

    probability, *_ = segment(TwoClasses(), np.full((40, 40, 3), 0.5), {"fov_diameter": 40})
    torch.testing.assert_close(probability, torch.full((40, 40), 3.0).sigmoid())
