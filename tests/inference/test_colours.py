"""Grey photographs are tinted, bright surrounds become black, before a network sees them."""

import pytest
import torch
from torch import nn

from retina_course import detect, make_fundus, segment, weights
from retina_course.data.images import read_image
from retina_course.inference.colours import measure_colours, tint_grey
from retina_course.inference.field_of_view import find_fov, fov_window

COLOURS = {"mean": [0.6, 0.2, 0.05], "spread": [0.1, 0.05, 0.01]}
D = 280  # of the field of view of the photograph
CARD = {"fov_diameter": D, "colours": COLOURS}


class Seen(nn.Module):
    """A network that keeps what it is shown."""

    def forward(self, x):
        self.image = x[0]
        return x[:, :1]


class SeenByDetector(Seen):
    anchors, size_multiple, nms_iou = (), 1, 0.5

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        super().forward(x)
        return [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0)}]


@pytest.fixture(params=["segment", "detect"])
def shown(request):
    """A function: what a network is shown of an image."""

    def call(image, **options):
        card = options.pop("card", CARD)
        if request.param == "segment":
            segment(model := Seen(), image, card, flips=False, **options)
            return model.image[:, 32:-32, 32:-32]
        detect(model := SeenByDetector(), image, card, flips=False, **options)
        return model.image

    return call


@pytest.fixture
def fundus():
    return read_image(make_fundus(300, seed=1).image)


def test_a_grey_photograph_has_the_colours_of_the_card(shown, fundus):
    grey = fundus[1:2].expand(3, -1, -1)
    seen = shown(grey)
    measured = measure_colours([(seen, find_fov(grey)[window(grey)])])
    for key in ("mean", "spread"):
        assert measured[key] == pytest.approx(COLOURS[key], abs=0.02)
    assert seen[:, 0, 0].tolist() == [0, 0, 0]  # around the field


def window(image):
    """The part of an image that a network sees."""
    return fov_window(find_fov(image), D)[:2]


def test_colours_are_not_changed_and_grey_stays_without_a_card(shown, fundus):
    assert torch.equal(shown(fundus), fundus[:, *window(fundus)])
    grey = fundus[1:2].expand(3, -1, -1)
    for card in ({"fov_diameter": D}, CARD | {"colours": None}):
        assert torch.equal(shown(grey, card=card), grey[:, *window(grey)])


@pytest.mark.parametrize("level", [1.0, 0.4])
def test_a_bright_surround_becomes_black(level, shown, fundus):
    fov = find_fov(fundus)
    bright = fundus.masked_fill(~fov, level)
    assert torch.equal(shown(bright, fov=fov), (fundus * fov)[:, *window(fundus)])
    assert torch.equal(shown(fundus, fov=fov), fundus[:, *window(fundus)])  # it was dark


def test_a_given_diameter_sets_the_scale(shown, fundus):
    patch = fundus[:, 100:200, 100:200]
    assert shown(patch).shape == (3, D, D)
    assert shown(patch, fov_diameter=D).shape == (3, 100, 100)
    with pytest.raises(ValueError, match="given as 50 pixels, but 100"):
        shown(patch, fov_diameter=50)


def test_a_blank_image_is_not_tinted():
    blank = torch.full((3, 20, 20), 0.5)
    assert tint_grey(blank, torch.ones(20, 20, dtype=torch.bool), CARD) is blank


@pytest.mark.parametrize(
    "given", [3, "red", {"mean": [1, 2, 3]}, {"mean": [0.1] * 3, "spread": [0.1, 0.1]},
              {"mean": [0.1, 0.2, 300], "spread": [0.1] * 3}]
)  # fmt: skip
def test_a_card_with_other_colours_is_an_error(given, fundus):
    with pytest.raises(ValueError, match="The card says colours"):
        tint_grey(fundus[:1].expand(3, -1, -1), find_fov(fundus), {"colours": given})


@pytest.mark.parametrize("name", ["unet_small", "unet_large", "retina_segmentor"])
def test_the_networks_of_the_package_find_vessels_in_grey(name):
    """The bounds are coarse: synthetic vessels are harder for these networks than real ones."""
    model, card = weights.load(name)
    fundus = make_fundus(320, seed=2)
    grey = fundus.image.mean(dim=0).expand(3, -1, -1)

    def f1(image, card):
        probability, fov, _ = segment(model, image, card, flips=False, field_angle=15)  # 320 pixels
        found, true = (probability >= card["threshold"]) & fov, fundus.vessel
        return float(2 * (found & true).sum() / (found.sum() + true.sum()))

    assert f1(grey, card) > 0.75 * f1(fundus.image, card)
    if name == "unet_small":
        assert f1(grey, card | {"colours": None}) < 0.5 * f1(fundus.image, card)
