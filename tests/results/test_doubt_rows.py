"""What `segment` warns by is what the programs have stored."""

import pytest

from retina_course import weights
from retina_course.inference.doubt import MARGIN
from retina_course.results.stored import read_all

POOR = 0.6


@pytest.mark.parametrize("row", read_all(".json", "camera_shift"), ids=lambda row: row["model"])
def test_the_card_has_the_range_that_was_measured(row):
    _, card = weights.load(row["model"])
    assert card["expected_f1"] == row["expected_f1"] and card["threshold"] == row["threshold"]


def test_the_margin_finds_as_many_poor_maps_as_its_comment_says():
    (rows,) = (row for row in read_all(".json", "doubtful_maps") if row["model"] == "unet_small")
    training = [row for row in rows["photographs"] if "training" in row["set"]]
    lowest = min(row["expected_f1"] for row in training if row["damage"] == "as it is")
    told = {poor: [] for poor in (True, False)}
    for row in training:
        told[row["f1"] < POOR].append(row["expected_f1"] < lowest - MARGIN)
    assert (sum(told[True]), len(told[True])) == (27, 31)
    assert (sum(told[False]), len(told[False])) == (0, 23)


@pytest.mark.parametrize("row", read_all(".json", "doubtful_maps"), ids=lambda row: row["model"])
def test_a_coarse_photograph_alone_is_no_doubt(row):
    """As of DRIVE's scale; before, all good maps of such photographs were doubted."""
    low = weights.load(row["model"])[1]["expected_f1"][0] - MARGIN
    coarse = [photo for photo in row["photographs"] if "coarse" in photo["damage"]]
    whole = [photo for photo in row["photographs"] if photo["damage"] == "as it is"]
    told = [[photo["expected_f1"] < low for photo in part] for part in (coarse, whole)]
    assert len(coarse) == len(whole) == 21 and sum(told[0]) <= sum(told[1])
