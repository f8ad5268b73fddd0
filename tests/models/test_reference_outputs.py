"""Every network and option gives the numbers that it gave when golden/networks.json was written."""

import json

import pytest
from reference_networks import CASES, GOLDEN, outputs

from retina_course import list_models

EXPECTED = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_a_network_with_made_weights_computes_what_it_did(case):
    found, expected = outputs(case), EXPECTED[case]
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        size = max(map(abs, values))
        assert found[key] == pytest.approx(values, rel=1e-5, abs=1e-5 * size), key


def test_every_network_has_a_case_and_every_case_its_numbers():
    assert {name for name, *_ in CASES.values()} == set(list_models())
    assert list(EXPECTED) == list(CASES)
