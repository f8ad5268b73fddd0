"""Every bound of the way from a photograph to a network, from both of its sides."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from known_answers import Red

from retina_course.inference import crop_to_fov, detection, photograph_warnings, segmentation
from retina_course.inference.colours import darken_surround, measure_colours, saturation, tint_grey
from retina_course.inference.field_of_view import (
    as_fov,
    find_fov,
    fov_window,
    measured_diameter,
    resize,
)
from retina_course.inference.quality import vessel_warnings
from retina_course.inference.segmentation import segment
from retina_course.inference.tiles import tiling

CARD = {
    "fov_diameter": 100,
    "colours": {"mean": [0.6, 0.2, 0.05], "spread": [0.2, 0.1, 0.02]},
}


def rectangle(size, rows, columns):
    """A field of view with straight sides."""
    fov = torch.zeros(size, dtype=torch.bool)
    fov[slice(*rows), slice(*columns)] = True
    return fov


def disc(size, radius):
    y, x = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in size), indexing="ij")
    return y**2 + x**2 < radius**2


def striped(fov, low=0.4, high=0.6, colour=(1.0, 0.5, 0.25)):
    """A photograph with vertical stripes in its field of view, R > G > B."""
    stripes = torch.where(torch.arange(fov.shape[1]) % 4 < 2, low, high).expand(fov.shape)
    return stripes * fov * torch.tensor(colour).view(3, 1, 1)


# --- tiles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, multiple, tile, overlap, expected",
    [
        ((2048, 1024), 8, None, None, (2048, 0)),  # 2**21 pixels
        ((2049, 1024), 8, None, None, (1536, 128)),
        ((3000, 3000), 32, None, None, (1536, 256)),  # eight windows of the deepest layer
        ((3000, 3000), 64, None, None, (2048, 512)),  # a tile is four overlaps at least
        ((3000, 3000), 10, None, None, (1540, 130)),
        ((3000, 3000), 8, None, 400, (1600, 400)),
        ((90, 90), 8, 256, None, (256, 64)),  # a quarter at most
        ((90, 90), 8, 1024, None, (1024, 128)),
        ((90, 90), 8, None, 16, (1536, 16)),
        ((90, 90), 8, 24, 8, (24, 8)),
    ],
)
def test_the_choice_of_tiles(size, multiple, tile, overlap, expected):
    assert tiling(size, multiple, tile, overlap) == expected


# --- the field of view ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "diameter, side", [(100, 110), (104.9, 110), (95.1, 110), (106, 117), (94, 103)]
)
def test_within_five_percent_nothing_is_resampled(diameter, side):
    fov = rectangle((150, 160), (20, 120), (30, 130))
    rows, columns, size = fov_window(fov, diameter)
    assert (rows, columns) == (slice(15, 125), slice(25, 135)) and size == [side, side]


def test_the_window_of_a_field_that_is_no_square():
    fov = rectangle((150, 260), (20, 80), (30, 230))  # 60 high, 200 wide: a margin of 10
    assert measured_diameter(fov) == measured_diameter(fov.T) == 200
    rows, columns, size = fov_window(fov, 100)
    assert (rows, columns, size) == (slice(10, 90), slice(20, 240), [40, 110])
    assert fov_window(fov, 100, own_diameter=400)[2] == [20, 55]
    assert fov_window(fov, 100, own_diameter=195)[2] == [41, 113]
    with pytest.raises(ValueError, match="given as 190 pixels, but 200"):
        fov_window(fov, 100, own_diameter=190)


def test_a_field_of_a_tenth_of_the_picture_is_a_field():
    for radius, is_found in ((20, True), (16, False)):  # 12.6 % and 8 % of it
        image = striped(disc((100, 100), radius), 0.5, 0.5)
        assert (find_fov(image).sum() < 2000) == is_found
    with pytest.raises(ValueError, match="0 pixels inside"):
        as_fov(np.zeros((100, 100), bool), image)


def test_a_reduced_picture_is_antialiased():
    stripes = (torch.arange(64) % 2).float().expand(1, 64, 64)
    assert (resize(stripes, (16, 16)) - 0.5).abs().max() < 0.1


def test_the_crop_of_a_detector_knows_where_it_is_from():
    fov = rectangle((100, 240), (10, 50), (60, 220))  # 40 high, 160 wide
    bright = torch.where(fov, 0.5, 1.0).expand(3, -1, -1)
    crop, corner, scale = crop_to_fov(bright, 80, fov)
    assert corner == (2, 52) and crop.shape == (3, 28, 88)
    torch.testing.assert_close(scale, torch.tensor([88 / 176, 28 / 56] * 2))
    assert crop[:, 0].max() == 0, "the bright surround is black"
    _, _, scale = crop_to_fov(bright, 80, fov, own_diameter=320)
    torch.testing.assert_close(scale, torch.tensor([44 / 176, 14 / 56] * 2))


# --- colours -------------------------------------------------------------------------------------


def test_a_surround_is_dark_up_to_20_of_255_and_a_caption_does_not_count():
    fov = disc((60, 60), 25)
    rgb = striped(fov)
    for level, stays in ((19, True), (22, False)):
        around = torch.where(fov, rgb, torch.tensor(level / 255))
        assert torch.equal(darken_surround(around, fov), around if stays else rgb)
    caption = rgb.clone()
    caption[:, 50:, :14] = caption[:, 50:, -14:] = 1.0
    assert darken_surround(caption, fov) is caption


def test_the_bounds_of_grey_and_of_blank():
    fov = disc((60, 60), 25)
    for colour, is_grey in ((0.96, True), (0.94, False)):
        rgb = striped(fov, colour=(1.0, 1.0, colour))
        assert saturation(rgb, fov) == pytest.approx(1 - colour, abs=1e-3)
        assert (tint_grey(rgb, fov, CARD) is rgb) != is_grey
    for half, is_blank in ((3.5, True), (4.5, False)):  # standard deviation, of 255
        rgb = striped(fov, 0.5 - half / 255, 0.5 + half / 255, (1, 1, 1))
        assert (tint_grey(rgb, fov, CARD) is rgb) == is_blank


def test_a_tint_looks_at_the_field_alone_and_stays_in_it():
    fov = disc((60, 60), 25)
    rgb = striped(fov, colour=(1, 1, 1))
    around = torch.where(fov, rgb, torch.tensor(0.9))
    tinted = tint_grey(around, fov, CARD)
    assert torch.equal(tinted, tint_grey(rgb, fov, CARD)) and tinted[:, ~fov].max() == 0
    inside = tinted[:, fov]
    for channel, mean, spread in zip(
        inside, CARD["colours"]["mean"], CARD["colours"]["spread"], strict=True
    ):
        assert channel.mean().item() == pytest.approx(mean, abs=1e-3)
        assert channel.std(correction=0).item() == pytest.approx(spread, abs=1e-3)


def test_colours_are_measured_in_each_photograph_and_averaged():
    def flat(*levels):
        image = np.zeros((1, len(levels), 3), np.uint8)
        image[0, :, 0] = levels
        return image, np.ones((1, len(levels)), bool)

    measured = measure_colours([flat(0, 255), flat(51, 51)])
    assert measured == {"mean": [0.35, 0.0, 0.0], "spread": [0.25, 0.0, 0.0]}


@pytest.mark.parametrize("wrong", [1.2, -0.1])
def test_colours_of_a_card_are_between_0_and_1(wrong):
    card = {"colours": {"mean": [0.5, 0.2, wrong], "spread": [0.1] * 3}}
    fov = disc((20, 20), 9)
    with pytest.raises(ValueError, match="0 to 1"):
        tint_grey(striped(fov, colour=(1, 1, 1)), fov, card)


# --- warnings ------------------------------------------------------------------------------------


def said(fov, rgb=None, card=CARD, **options):
    return " ".join(photograph_warnings(striped(fov) if rgb is None else rgb, fov, card, **options))


@pytest.mark.parametrize(
    "words, usual, unusual",
    [
        ("whole picture", disc((94, 100), 99), disc((96, 100), 99)),
        ("only 24%", disc((100, 100), 29), disc((100, 100), 27.6)),
        ("not a disc", disc((63, 100), 50), disc((57, 100), 50)),  # cut off above and below
        ("not a disc", disc((100, 100), 50), rectangle((100, 100), (8, 92), (8, 92))),
    ],
)  # fmt: skip
def test_the_bounds_of_the_shapes_of_fields(words, usual, unusual):
    if words == "whole picture":  # black below, up to 100 rows
        usual, unusual = (F.pad(one, (0, 0, 0, 100 - len(one))) for one in (usual, unusual))
    elif len(usual) != 100:
        usual, unusual = (F.pad(one, (9, 9, 9, 9)) for one in (usual, unusual))
    assert words not in said(usual) and words in said(unusual)


def test_a_field_that_lacks_a_corner_is_no_disc():
    for angle, is_named in ((0.9, False), (2.0, True)):  # radians that are missing
        fov = disc((100, 100), 50)
        y, x = torch.meshgrid(torch.arange(100) - 49.5, torch.arange(100) - 49.5, indexing="ij")
        fov &= ~((torch.atan2(y, x) > 0.2) & (torch.atan2(y, x) < 0.2 + angle * 0.6))
        assert ("not a disc" in said(fov)) == is_named


@pytest.mark.parametrize("options", [{"fov_is_given": True}, {"fov_diameter": 100}])
def test_the_shape_of_a_field_is_not_judged_where_the_user_says_something_of_it(options):
    fov = rectangle((100, 100), (8, 92), (8, 92))
    assert "not a disc" not in said(fov, **options)


@pytest.mark.parametrize(
    "trained, words",
    [(190, None), (205, "enlarged 2.0 times"), (10.2, None), (9.8, "reduced 10 times")],
)
def test_the_bounds_of_scales(trained, words):
    text = said(disc((110, 110), 50), card={"fov_diameter": trained})
    assert words is None and text == "" or words in text


@pytest.mark.parametrize("share, named", [(0.0099, 1), (0.0101, 0), (0.249, 0), (0.251, 1)])
def test_the_bounds_of_the_share_of_vessels(share, named):
    assert len(vessel_warnings(share)) == named


@pytest.mark.parametrize("red, guess", [(0.6, "order BGR"), (0.8, "usual")])
def test_swapped_channels_are_guessed_where_the_difference_is_large(red, guess):
    fov = disc((110, 110), 50)
    text = said(fov, striped(fov, colour=(red, 0.9, 1.0)))
    assert ("order BGR" in text) == (guess == "order BGR") and "R > G > B is usual" in text


@pytest.mark.parametrize(
    "model, tries", [("unet_small", True), ("retina_segmentor", False), ("retina_net", False)]
)
def test_another_network_for_grey_is_named_where_there_is_one(model, tries):
    fov = disc((110, 110), 50)
    text = said(fov, striped(fov, colour=(1, 1, 1)), card=CARD | {"model": model})
    assert "is grey" in text and ("Try --model" in text) == tries


# --- what a data set hands on --------------------------------------------------------------------


def photo(**more):
    fov = np.ones((4, 5), bool)
    known = {"image": "image", "fov": fov, "ground_truth": ~fov, "field_angle": 33.0}
    return SimpleNamespace(**(known | more))


@pytest.mark.parametrize("flips", [True, False])
def test_segment_all_hands_on_field_angle_and_flips(flips, monkeypatch):
    asked = []

    def segment(model, image, card, **options):
        asked.append((model, image, card, options))
        seen = segmentation.Seen(torch.full((4, 5), 0.25), torch.ones(4, 5))
        return segmentation.Segmentation(*seen, seen)

    monkeypatch.setattr(segmentation, "segment", segment)
    one = photo()
    probabilities, targets, fovs = segmentation.segment_all("m", iter([one]), "c", flips=flips)
    options = {"flips": flips, "fov": one.fov, "field_angle": 33.0}
    assert asked == [("m", "image", "c", options)]
    assert probabilities[0].tolist() == [[0.25] * 5] * 4
    assert targets[0] is one.ground_truth and fovs[0] is one.fov


@pytest.mark.parametrize("flips", [True, False])
def test_detect_photographs_hands_on_angle_and_flips(flips, monkeypatch):
    asked = []
    monkeypatch.setattr(detection, "detect", lambda *a, **k: asked.append((a, k)) or "found")
    one = photo(boxes="boxes", labels="labels")
    found, truth = detection.detect_photographs("m", iter([one]), "c", flips=flips)
    assert asked == [(("m", "image", "c"), {"flips": flips, "field_angle": 33.0})]
    assert found == ["found"] and truth == [{"boxes": "boxes", "labels": "labels"}]


def test_a_card_in_degrees_and_a_diameter_that_is_given_set_the_scale_of_segment():
    fov = disc((110, 110), 50)
    card = {"pixels_per_degree": 2.0}
    part = {"field_angle": 30, "fov_diameter": 200}
    for options, side in (({"field_angle": 30}, 66), ({}, 98), (part, 33)):
        model = Red()
        segment(model, striped(fov), card, flips=False, **options)
        height = model.seen[0][2] - 64
        assert side <= height < side + 8, options  # padded to a multiple of 8


@pytest.mark.parametrize("diameter", [float("nan"), float("inf"), 0, -300, 30])
def test_a_diameter_that_is_none_is_refused(diameter):
    image = striped(torch.ones(40, 60))
    with pytest.raises(ValueError, match=f"given as {diameter:g} pixels, but 60 pixels"):
        segment(Red(), image, {"pixels_per_degree": 4}, field_angle=20, fov_diameter=diameter)
