"""Whether a map can say that it is likely to be wrong."""

import numpy as np
import pytest
import torch

from retina_course.evaluation.metrics import binary_scores
from retina_course.inference.doubt import MARGIN, doubt_warnings, expected_f1

INSIDE = torch.ones(500, 500, dtype=torch.bool)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_calibrated_probabilities_expect_the_f1_that_they_get(threshold):
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(500, 500, generator=generator) ** 3
    vessel = torch.rand(500, 500, generator=generator) < p
    true = binary_scores((p >= threshold).numpy().ravel(), vessel.numpy().ravel())["f1"]
    assert expected_f1(p, INSIDE, threshold) == pytest.approx(true, abs=0.01)


def test_pixels_outside_the_field_of_view_do_not_count():
    p = torch.full((4, 4), 0.9)
    fov = torch.zeros(4, 4, dtype=torch.bool)
    fov[0] = True
    expected = expected_f1(p, fov, 0.5)
    p[1:] = 0.4
    assert expected_f1(p, fov, 0.5) == expected == pytest.approx(2 * 0.9 / 1.9)


def test_a_map_without_a_vessel_expects_nothing():
    assert expected_f1(torch.full((4, 4), 0.4), torch.ones(4, 4, dtype=torch.bool), 0.5) == 0


def test_a_pixel_at_the_threshold_is_called_vessel():
    p = torch.tensor([[0.5, 0.0]])
    assert expected_f1(p, torch.ones(1, 2, dtype=torch.bool), 0.5) == pytest.approx(1 / 1.5)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 4\), got \(4, 5\)"):
        expected_f1(torch.zeros(4, 4), torch.ones(4, 5, dtype=torch.bool), 0.5)


def test_the_warning_begins_below_the_range_by_the_margin():
    card = {"expected_f1": [0.87, 0.9]}
    assert not doubt_warnings(0.87 - MARGIN + 1e-6, card)
    (sentence,) = doubt_warnings(0.87 - MARGIN - 1e-6, card)
    assert "0.85" in sentence and "0.87 to 0.90" in sentence
    assert not doubt_warnings(0.1, {})


@pytest.mark.parametrize("wrong", [None, 0.8, [0.8], "low", ["a", "b"]])
def test_a_range_that_is_none_is_named(wrong):
    with pytest.raises(ValueError, match="The card says expected_f1"):
        doubt_warnings(0.5, {"expected_f1": wrong})


def test_noise_in_place_of_probabilities_expects_less_than_certainty():
    sure = torch.tensor(np.random.default_rng(0).random((500, 500)) < 0.1).float()
    assert expected_f1(0.9 * sure + 0.05, INSIDE, 0.5) < expected_f1(sure, INSIDE, 0.5) == 1
