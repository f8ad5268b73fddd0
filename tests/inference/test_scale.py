"""The scale at which a network sees a photograph follows from its field angle and the card."""

import numpy as np
import pytest
import torch
from known_answers import Red, disc
from torch import nn

from retina_course import weights
from retina_course.data.datasets import Photograph
from retina_course.data.idrid import BoxedPhotograph
from retina_course.inference import (
    DEFAULT_FIELD_ANGLE,
    detect,
    detect_photographs,
    segment,
    segment_all,
    working_diameter,
)
from retina_course.inference.field_of_view import measured_diameter
from retina_course.inference.scale import describe_scale, trained_scale

CARD = {"pixels_per_degree": 4.0, "pixels_per_degree_range": [3.4, 4.8], "fov_diameter": 999}
OLD = {"fov_diameter": 100}


@pytest.mark.parametrize(("angle", "diameter"), [(30, 120), (45, 180), (60, 240), (20.6, 82)])
def test_the_field_gets_as_many_pixels_as_its_degrees_need(angle, diameter):
    assert working_diameter(500, angle, CARD) == (diameter, 4.0, None)


def test_without_an_angle_the_default_is_taken():
    assert working_diameter(500, None, CARD) == working_diameter(500, DEFAULT_FIELD_ANGLE, CARD)
    assert "(assumed)" in describe_scale(500, None, CARD)
    assert "(assumed)" not in describe_scale(500, DEFAULT_FIELD_ANGLE, CARD)


def test_a_card_without_a_scale_in_degrees_works_as_before():
    for angle in (None, 30, 60):
        assert working_diameter(500, angle, OLD) == (100, None, None)
    assert "whatever its angle" in describe_scale(500, 30, OLD)


@pytest.mark.parametrize("angle", [0, -45, 201, float("nan"), "wide"])
@pytest.mark.parametrize("card", [CARD, OLD])
def test_what_is_no_angle_is_refused(angle, card):
    with pytest.raises(ValueError, match=f"in degrees, above 0 and at most 200.*got {angle!r}"):
        segment(Red(), disc()[0], card, field_angle=angle)


@pytest.mark.parametrize(
    ("own", "largest", "scale"),
    [
        (4.5, 1, 4.0),  # finer than the centre: reduced to it
        (3.6, 1, 3.6),  # not enlarged
        (3.6, 1.05, 3.78),
        (3.6, 1.5, 4.0),  # need not be enlarged so much
        (2.0, 1.5, 3.4),  # the range comes first
    ],
)
def test_a_coarse_photograph_is_enlarged_no_more_than_the_card_allows(own, largest, scale):
    found = working_diameter(own * 50, 50, CARD | {"largest_enlargement": largest})
    assert found.pixels_per_degree == pytest.approx(scale)
    assert found.diameter == round(scale * 50)
    assert (found.warning is not None) == (own < 3.4)


def test_below_the_trained_range_both_numbers_are_named():
    assert working_diameter(3.4 * 50, 50, CARD).warning is None
    warning = working_diameter(2.0 * 50, 50, CARD).warning
    assert "has 2.0 pixels per degree" in warning and "trained at 3.4 to 4.8" in warning
    assert "enlarged 2.0 times" in warning
    assert working_diameter(100, 50, {"pixels_per_degree": 4}).warning is None  # range not known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels_per_degree": 0}, "pixels_per_degree 0"),
        ({"pixels_per_degree": "4"}, "pixels_per_degree '4'"),
        ({"pixels_per_degree_range": [3.4]}, "pixels_per_degree_range"),
        ({"pixels_per_degree_range": [4.5, 5]}, "pixels_per_degree_range"),
        ({"pixels_per_degree_range": ["low", "high"]}, "pixels_per_degree_range"),
        ({"largest_enlargement": -1}, "largest_enlargement -1"),
    ],
)
def test_a_wrong_card_is_named(change, message):
    with pytest.raises(ValueError, match=f"The card says {message}"):
        working_diameter(500, 45, CARD | change)


def test_the_scale_of_a_training():
    assert trained_scale(640, 30, (0.85, 1.2)) == {
        "pixels_per_degree": 21.3333,
        "pixels_per_degree_range": [18.1333, 25.6],
    }


def seen_by_segment(field_angle, card=CARD, **options):
    model = Red()
    segment(model, disc()[0], card, flips=False, field_angle=field_angle, **options)
    return model.seen[0][-1]


def test_segment_sees_the_photograph_at_this_scale():
    border = 2 * 32
    margin = 1.1  # a twentieth of the field on either side
    for angle in (30, 60):
        assert seen_by_segment(angle) == pytest.approx(4 * angle * margin + border, abs=9)
    assert seen_by_segment(None) == seen_by_segment(DEFAULT_FIELD_ANGLE)
    assert seen_by_segment(30, OLD) == seen_by_segment(60, OLD)
    half = 2 * measured_diameter(torch.from_numpy(disc()[1]))  # a part of a field twice as wide
    assert seen_by_segment(60, fov_diameter=half) == seen_by_segment(30)


def test_datasets_are_seen_at_the_scale_of_their_own_photographs():
    pixels, fov = disc()
    image = (pixels * 255).astype(np.uint8)
    model = Red()
    photos = [Photograph("a", "a", image, fov, fov, field_angle=angle) for angle in (30, 60, None)]
    segment_all(model, photos, CARD, flips=False)
    assert [seen[-1] for seen in model.seen] == [seen_by_segment(a) for a in (30, 60, None)]


class SeenByDetector(nn.Module):
    """A detector that finds nothing and keeps the sizes that it saw."""

    size_multiple, nms_iou, anchors = 8, 0.5, ()

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, x):
        self.seen.append(x.shape[-1])
        empty = torch.zeros(len(x), 0)
        return [{"boxes": e.reshape(0, 4), "scores": e, "labels": e.long()} for e in empty]


def test_detect_and_its_datasets_likewise():
    pixels, _ = disc()
    image = (pixels * 255).astype(np.uint8)
    model = SeenByDetector()
    angles = (30, 60, None)
    for angle in angles:
        detect(model, image, CARD, flips=False, field_angle=angle)
    alone, model.seen = model.seen, []
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    photos = [BoxedPhotograph("a", image, *none, angle) for angle in angles]
    detect_photographs(model, photos, CARD, flips=False)
    assert model.seen == alone and alone[1] == pytest.approx(2 * alone[0], abs=8)
    with pytest.raises(ValueError, match="got 0"):
        detect(model, image, CARD, field_angle=0)


def test_the_shipped_networks_see_their_own_training_as_before():
    for name, angle in (("unet_small", 30), ("retina_segmentor", 30), ("retina_net", 50)):
        card = weights.load(name)[1]
        assert working_diameter(900, angle, card)[0] == card["fov_diameter"]
