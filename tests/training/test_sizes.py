"""Crops and batches that a network can be trained on."""

import pytest
import torch

from retina_course import create_model, list_models
from retina_course.models import DETECTORS
from retina_course.training import check_sizes

SEGMENTORS = [name for name in list_models() if name not in DETECTORS]


@pytest.mark.parametrize("name", SEGMENTORS)
def test_the_sizes_of_the_course_fit(name):
    check_sizes(name, {}, batch_size=4, crop=256)


@pytest.mark.parametrize("name", SEGMENTORS)
@pytest.mark.parametrize("crop", [16, 32, 33])
def test_what_is_said_to_fit_can_be_trained_and_the_rest_cannot(name, crop):
    model = create_model(name).train()
    try:
        check_sizes(name, {}, batch_size=1, crop=crop)
    except ValueError:
        with pytest.raises(ValueError):
            model(torch.rand(1, 3, crop, crop))
    else:
        output = model(torch.rand(1, 3, crop, crop))
        sum(map(torch.sum, output)).backward()  # over images, or over stages


@pytest.mark.parametrize(
    "name, options, batch, crop, told",
    [
        ("linknet", {}, 4, 100, "batches of 4 crops of 100x100 pixels. Crops of 96 or 128 pixels"),
        ("linknet", {}, 1, 32, "1 crop of 32x32 pixels. Crops of 64 pixels fit, or batches of 2."),
        ("segnet", {}, 4, 9, "Crops of 16 pixels fit."),
        ("unet_small", {}, 4, 65, "Crops of 64 or 72 pixels fit."),
        ("unet_small", {"in_channels": 1}, 4, 64, "Expected 1 channels, got 3"),  # not the size
        ("retina_net", {}, 4, 64, "needs one target for each of the 4 images"),
        ("unet_large", {"fold": 4}, 4, 100, "Crops of 96 or 128 pixels fit."),
    ],
)
def test_the_nearest_sizes_that_fit_are_named(name, options, batch, crop, told):
    with pytest.raises(ValueError, match=told):
        check_sizes(name, options, batch, crop)
