"""The stored rows of both comparisons agree with themselves and with the counted pixels."""

import numpy as np
import pytest

from retina_course.results import read
from retina_course.results.stored import read_all

ROWS = read_all(".json", "equal_budget")
BOTH = {"pixels": ROWS, "compute": read_all(".json", "equal_compute")}
CASES = [
    pytest.param(row, id=f"{kind}-{row['network']}-{row['seed']}")
    for kind, rows in BOTH.items()
    for row in rows
]


@pytest.fixture(scope="module")
def pixels():
    """Vessel and background pixels inside the fields of view, by photograph."""
    test = [row for row in read("conventions")["images"] if row["split"] == "test"]
    return {row["name"]: (row["vessel"], row["background"]) for row in test}


def f1_of(scores, vessel, background):
    """F1 from sensitivity and specificity: another way than the stored one."""
    tp, fp = scores["sensitivity"] * vessel, (1 - scores["specificity"]) * background
    return 2 * tp / (tp + fp + vessel)


@pytest.mark.parametrize("row", CASES)
def test_f1_follows_from_sensitivity_and_specificity(row, pixels):
    total = np.sum(list(pixels.values()), axis=0)
    assert row["flips"]["pooled"]["f1"] == pytest.approx(
        f1_of(row["flips"]["pooled"], *total), abs=1e-6
    )
    for image in row["flips"]["per_image"]:
        assert image["f1"] == pytest.approx(f1_of(image, *pixels[image["name"]]), abs=1e-6)


@pytest.mark.parametrize("row", CASES)
def test_the_pooled_rates_are_those_of_all_photographs_together(row, pixels):
    images = row["flips"]["per_image"]
    for rate, side in (("sensitivity", 0), ("specificity", 1)):
        weights = [pixels[image["name"]][side] for image in images]
        together = np.average([image[rate] for image in images], weights=weights)
        # The pooled pixels were counted by levels; one of them may straddle the threshold.
        assert row["flips"]["pooled"][rate] == pytest.approx(together, abs=1e-5)


def test_all_rows_have_one_budget_and_all_photographs():
    assert len({(row["steps"], row["batch_size"], row["crop"]) for row in ROWS}) == 1
    names = [[image["name"] for image in row["flips"]["per_image"]] for row in ROWS]
    assert all(one == names[0] and len(one) == 20 for one in names)
    assert all([s["name"] for s in row["shapes"]] == names[0] for row in ROWS)
