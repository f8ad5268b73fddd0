"""The stored validation belongs to the weights of the package, and names the table's columns."""

import numpy as np
import pytest

from retina_course import results, weights
from retina_course.cli.measured_errors import of_masks, of_network, validated_columns
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
    assert set(validated_columns()) <= set(names)
