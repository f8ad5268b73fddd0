"""The weights that the repository keeps belong to the rows that are stored."""

import os

import pytest
from safetensors.torch import load_file

from benchmarks.common.equal_budget import build, diameter
from benchmarks.common.files import RESULTS, WEIGHTS, read_json
from benchmarks.common.kept_weights import KEPT, SMALL, in_half_precision
from retina_course import weights
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.evaluation import metrics
from retina_course.inference.segmentation import segment_all

EQUAL = sorted((KEPT / "equal_budget").iterdir())
FOLDS = sorted((KEPT / "cross_validation").iterdir())
ON_HRF = sorted((KEPT / "hrf").glob("*.safetensors"))
CAMERAS = KEPT / "any_camera"
ROWS = {path.stem: read_json(path) for path in (RESULTS / "any_camera_test").glob("*.json")}
SHIPPED = {
    path.stem: read_json(path)["metrics"]["f1"] for path in WEIGHTS.glob("*_any_camera.json")
}
DATA = os.environ.get("RETINA_COURSE_DATA")


def test_rows_without_weights_in_the_package_have_them_in_the_repository():
    kept = {
        name
        for name, row in ROWS.items()
        if "seed" in name and row["hrf"]["pooled"]["f1"] not in SHIPPED.values()
    }
    assert kept and {path.name for path in CAMERAS.iterdir()} == kept


@pytest.mark.parametrize("name", sorted(path.name for path in CAMERAS.iterdir()))
def test_kept_weights_are_those_of_the_named_network(name):
    _, card = weights.load(CAMERAS / name / "weights.safetensors")
    assert card["model"] == ROWS[name]["network"]


needs_photographs = pytest.mark.skipif(
    not DATA, reason="RETINA_COURSE_DATA does not name the photographs"
)


def scores_of_kept_weights(path, network, photograph, threshold, card=None):
    """With four flips."""
    model = build(network)
    model.load_state_dict(load_file(path))
    card = card or {"fov_diameter": diameter(network)}
    maps = segment_all(model.eval(), [photograph], card, flips=True)
    return metrics.scores(*metrics.pool(*maps), threshold)


def check(scores, stored):
    for key, value in scores.items():  # the weights are kept in half precision
        assert value == pytest.approx(stored[key], abs=5e-4)


@needs_photographs
@pytest.mark.parametrize("path", EQUAL, ids=[path.stem for path in EQUAL])
def test_a_row_of_equal_budget_is_scored_again_from_its_weights(path):
    row = read_json(RESULTS / "equal_budget" / f"{path.stem}.json")
    first = next(iter(ChaseDB1(split="test")))
    stored = row["flips"]["per_image"][0]
    assert stored["name"] == first.name
    check(scores_of_kept_weights(path, row["network"], first, row["threshold"]), stored)


@needs_photographs
@pytest.mark.parametrize("path", FOLDS, ids=[path.stem for path in FOLDS])
def test_a_fold_is_scored_again_from_its_weights(path):
    network, *children = path.stem.rsplit("_", 2)
    row = read_json(RESULTS / "cross_validation" / f"{network}.json")
    fold = next(one for one in row["folds"] if one["held_out"] == children)
    first = next(photo for photo in ChaseDB1(split="all") if photo.patient == children[0])
    stored = next(one for one in row["per_image"] if one["name"] == first.name)
    check(scores_of_kept_weights(path, network, first, fold["threshold"]), stored)


def test_a_cross_validation_has_the_weights_of_each_fold_where_they_are_small():
    rows = [read_json(path) for path in (RESULTS / "cross_validation").glob("*.json")]
    small = [
        row for row in rows if len(in_half_precision(build(row["network"]).state_dict())) < SMALL
    ]
    folds = {
        f"{row['network']}_{'_'.join(one['held_out'])}" for row in small for one in row["folds"]
    }
    assert small and len(folds) == 7 * len(small) and folds == {path.stem for path in FOLDS}


@needs_photographs
@pytest.mark.parametrize("path", ON_HRF, ids=[path.stem for path in ON_HRF])
def test_a_row_of_hrf_is_scored_again_from_its_weights(path):
    row = read_json(RESULTS / "hrf" / f"{path.stem}.json")
    stored = row["test"]["per_image"][0]
    first = next(iter(HRF(split="test")))
    assert stored["name"] == first.name
    threshold = row["threshold"]
    check(scores_of_kept_weights(path, row["network"], first, threshold, card=row), stored)
