"""The stored validation belongs to the weights of the package, and names the table's columns."""

import numpy as np
import pytest

from retina_course import results, weights
from retina_course.cli.measured_errors import EXCESS, of_masks, of_network, validated_columns
from retina_course.evaluation import bland_altman
from retina_course.measurement import measure

NETWORKS = sorted(results.read("measurement_real")["networks"])


@pytest.mark.parametrize("name", NETWORKS)
def test_each_validated_network_is_one_of_the_package(name):
    known = of_network(weights.load(name)[1])
    assert known.about.startswith(f"{name} against an observer")
    assert set(known.columns) == set(validated_columns())
    assert known.offset_px < 0  # networks draw vessels too wide


def test_the_error_of_a_mask_is_that_of_two_people():
    assert set(of_masks().columns) == set(validated_columns())


def test_other_weights_have_no_validation():
    known = of_network({"sha256": "another"})
    assert known.columns == {} and known.about == "none for these weights"


def test_validated_columns_are_columns_of_the_table():
    names = measure(np.eye(64, dtype=bool), photograph=np.zeros((64, 64))).values
    assert set(validated_columns()) - {EXCESS} <= set(names)
    assert EXCESS not in names  # the command adds it


@pytest.mark.parametrize("name", ["observers", *NETWORKS])
def test_the_error_of_arc_by_chord_is_that_of_what_is_above_1(name):
    """A ratio of 1.06 that is wrong by 0.03 is wrong by half of what it says, not by 3 percent."""
    stored = results.read("measurement_real")
    people = stored["rows"]
    first, second = (np.array(people[who]["tortuosity_arc_chord"]) for who in ("first", "second"))
    if name == "observers":
        known = of_masks().columns
    else:
        known, rows = of_network(weights.load(name)[1]).columns, stored["networks"][name]["mask"]
        first, second = first[8:], np.array(rows["rows"]["tortuosity_arc_chord"])
    assert "tortuosity_arc_chord" not in known
    limits = np.array(bland_altman(first, second)[:3]) / (first.mean() - 1)
    found = [known[EXCESS][f"{part}_percent"] / 100 for part in ("bias", "low", "high")]
    assert np.allclose(found, limits, atol=0.02)
    assert found[2] - found[1] > 0.5
