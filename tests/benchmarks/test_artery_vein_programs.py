"""Arteries and veins on synthetic eyes: how maps are made and counted, and what is stored."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.common.files import RESULTS, read_json
from benchmarks.common.kinds import told_apart
from benchmarks.measurement.artery_vein_test import NETWORKS, right_kind


def test_the_pixels_of_a_segment_vote_on_its_kind():
    """Two vessels side by side; in each one end says the other kind."""
    p = np.full((2, 21, 40), 0.1)
    p[:, 3:6, 2:38], p[:, 14:17, 2:38] = 0.6, 0.6
    p[0, 3:6, 2:30] = p[1, 3:6, 30:38] = 0.9
    p[1, 14:17, 2:30] = p[0, 14:17, 30:38] = 0.9
    fov = np.ones((21, 40), dtype=bool)
    fov[:, :5] = False
    arteries, veins = told_apart(p, (0.5, 0.5), fov)
    assert arteries[3:6, 5:38].all() and arteries.sum() == 3 * 33
    assert veins[14:17, 5:38].all() and veins.sum() == 3 * 33


def test_without_a_vessel_there_is_neither_kind():
    for mask in told_apart(np.zeros((2, 8, 8)), (0.5, 0.5), np.ones((8, 8), dtype=bool)):
        assert mask.shape == (8, 8) and not mask.any()


def test_pixels_of_both_kinds_do_not_count_as_right_or_wrong():
    artery = torch.tensor([[True, True, True, False, False]])
    vein = torch.tensor([[False, False, True, True, True]])  # the middle one is a crossing
    p = np.array([[[0.9, 0.2, 0.9, 0.1, 0.8]], [[0.1, 0.6, 0.1, 0.7, 0.3]]])
    eye = SimpleNamespace(artery=artery, vein=vein)
    assert right_kind(p, eye)["vessels"] == [1, 1, 1, 1]  # right a, right v, wrong a, wrong v


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stored_errors_are_those_of_the_stored_eyes(name):
    found = read_json(RESULTS / "artery_vein_test" / f"{name}.json")["equivalents"]
    for part in ("exact_masks", "network"):
        for column, one in found["rows"].items():
            pairs = np.array([one["exact"], one[part]], dtype=float)
            true, own = pairs[:, np.isfinite(pairs).all(axis=0)]
            errors = 100 * (own / true - 1)
            assert found[part][column]["bias"] == pytest.approx(errors.mean())
            high = errors.mean() + 1.96 * errors.std(ddof=1)
            assert found[part][column]["high"] == pytest.approx(high)
