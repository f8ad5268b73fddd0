"""What is unusual about a photograph is said, and nothing about usual ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from retina_course import weights
from retina_course.data.images import read_image
from retina_course.data.synthetic import make_fundus
from retina_course.inference import find_fov, photograph_warnings, vessel_warnings
from retina_course.inference.field_of_view import measured_diameter

CARD = {"fov_diameter": 640}


@pytest.fixture(scope="module")
def fundus():
    return read_image(make_fundus(600, seed=3).image)


def said(rgb, **options):
    card = options.pop("card", CARD)
    return photograph_warnings(rgb, find_fov(rgb), card, **options)


def the_one(rgb, **options):
    (sentence,) = said(rgb, **options)
    return sentence


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_said_about_a_usual_photograph(seed):
    assert said(read_image(make_fundus(400, seed=seed).image)) == []


DATASETS = {"CHASE_DB1": "*.jpg", "HRF": "images/*", "IDRiD_boxes": "*.jpg"}
ANGLES = {"CHASE_DB1": 30, "HRF": 60, "IDRiD_boxes": 50}


@pytest.mark.parametrize("name", DATASETS)
def test_nothing_is_said_about_real_photographs(name):
    """A few; all 313 were tried once, for the bounds."""
    folder = Path(os.environ.get("RETINA_COURSE_DATA", "nowhere"), name)
    if not folder.is_dir():
        pytest.skip(f"RETINA_COURSE_DATA does not hold {name}")
    for path in sorted(folder.glob(DATASETS[name]))[:: 40 if name == "HRF" else 20]:
        rgb = read_image(path)
        fov = find_fov(rgb)
        assert photograph_warnings(rgb, fov, CARD) == [], path
        card = weights.load("retina_net" if name == "IDRiD_boxes" else "unet_small")[1]
        assert photograph_warnings(rgb, fov, card, field_angle=ANGLES[name]) == [], path


def test_a_photograph_coarser_than_the_training_is_named_with_both_numbers(fundus):
    card = {"pixels_per_degree": 21.3, "pixels_per_degree_range": [18.1, 25.6]}
    own = measured_diameter(find_fov(fundus))
    assert said(fundus, card=card, field_angle=30) == []
    sentence = the_one(fundus, card=card, field_angle=60)
    assert f"has {own / 60:.1f} pixels per degree" in sentence
    assert "trained at 18.1 to 25.6" in sentence
    assert said(fundus, card=card, field_angle=60, fov_diameter=2 * own) == []
    assert the_one(fundus, card=card) == said(fundus, card=card, field_angle=45)[0]  # assumed


def test_grey(fundus):
    grey = fundus.mean(dim=0).expand(3, -1, -1)
    assert "is grey" in the_one(grey) and "retina_segmentor" in the_one(grey)
    colours = {"mean": [0.6, 0.2, 0.04], "spread": [0.2, 0.1, 0.04]}
    assert "tinted as its training photographs" in the_one(grey, card=CARD | {"colours": colours})
    assert said(grey, card=CARD | {"colours": None}) == []  # trained on grey
    nearly = (grey + 0.01 * torch.rand(fundus.shape, generator=torch.manual_seed(0))) * (grey > 0)
    assert "is grey" in the_one(nearly)  # as JPEG stores it


def test_orders_of_the_channels(fundus):
    for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1)):
        sentence = the_one(fundus[list(order)])
        assert "R > G > B is usual" in sentence
        assert ("order BGR" in sentence) == (order == (2, 1, 0))


def test_inverted(fundus):
    colours, around = said(1 - fundus)
    assert "inverted colours?" in colours and "it is bright, not black" in around


def test_what_surrounds_the_field(fundus):
    outside = ~find_fov(fundus)
    white = fundus.masked_fill(outside, 1)
    assert "Around the field of view it is bright" in the_one(white)
    overlap = (find_fov(white) & ~outside).sum() / (find_fov(white) | ~outside).sum()
    assert overlap > 0.97
    (border,) = said(fundus.masked_fill(outside, 0.5))
    assert "No dark border was found" in border and "--fov-diameter" in border


def test_a_patch_and_its_diameter(fundus):
    patch = fundus[:, 200:400, 150:450]
    border, scale = said(patch)
    assert "the whole picture (300x200)" in border and "enlarged 2.1 times" in scale
    assert said(patch, fov_diameter=560) == []


def test_fields_of_odd_shapes(fundus):
    half = fundus.clone()
    half[:, :, 300:] = 0
    assert "is not a disc" in the_one(half)
    assert photograph_warnings(half, find_fov(half), CARD, fov_is_given=True) == []
    strip = fundus.clone()
    strip[:, :150] = strip[:, 450:] = 0
    assert "is not a disc" in the_one(strip)
    cut = fundus[:, 80:520]  # as many cameras do, at top and bottom
    assert said(cut) == []
    small = torch.nn.functional.pad(fundus, (400,) * 4)
    assert "only 13% of the picture" in the_one(small)


def test_scales(fundus):
    assert "enlarged 4.4 times" in the_one(fundus[:, ::4, ::4])
    assert "reduced 14 times" in the_one(fundus, card={"fov_diameter": 40})


def test_a_blank_photograph():
    y, x = torch.meshgrid(torch.arange(600), torch.arange(600), indexing="ij")
    inside = (y - 300) ** 2 + (x - 300) ** 2 < 280**2
    blank = inside * torch.tensor([0.6, 0.3, 0.1])[:, None, None]
    assert "is blank" in the_one(blank)


@pytest.mark.parametrize("fraction", [0.0, 0.009, 0.26, 1.0])
def test_implausible_shares_of_vessels(fraction):
    (sentence,) = vessel_warnings(fraction)
    assert f"{fraction:.1%}" in sentence
    assert vessel_warnings(0.027) == vessel_warnings(0.144) == []


def test_a_single_pixel_is_no_error():
    for size in ((1, 1), (1, 9), (2, 2)):
        assert said(torch.full((3, *size), 0.5))
        assert said(read_image(np.full((*size, 3), [99, 50, 9], np.uint8)))
