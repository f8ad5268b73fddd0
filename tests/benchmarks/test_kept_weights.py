"""The weights that the repository keeps belong to the rows that are stored."""

import os

import pytest
from safetensors.torch import load_file

from benchmarks.common.equal_budget import build, diameter
from benchmarks.common.files import RESULTS, WEIGHTS, read_json
from benchmarks.gpu import take_up
from benchmarks.scores.any_camera import KEPT
from retina_course import weights
from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation import metrics
from retina_course.inference.segmentation import segment_all

EQUAL = sorted(take_up.KEPT.iterdir())
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
    assert kept and {path.name for path in KEPT.iterdir()} == kept


@pytest.mark.parametrize("name", sorted(path.name for path in KEPT.iterdir()))
def test_kept_weights_are_those_of_the_named_network(name):
    _, card = weights.load(KEPT / name / "weights.safetensors")
    assert card["model"] == ROWS[name]["network"]


@pytest.mark.skipif(not DATA, reason="RETINA_COURSE_DATA does not name the photographs")
@pytest.mark.parametrize("path", EQUAL, ids=[path.stem for path in EQUAL])
def test_a_row_of_equal_budget_is_scored_again_from_its_weights(path):
    row = read_json(RESULTS / "equal_budget" / f"{path.stem}.json")
    model = build(row["network"])
    model.load_state_dict(load_file(path))
    first = next(iter(ChaseDB1(split="test")))
    card = {"fov_diameter": diameter(row["network"])}
    maps = segment_all(model.eval(), [first], card, flips=True)
    scores = metrics.scores(*metrics.pool(*maps), row["threshold"])
    stored = row["flips"]["per_image"][0]
    assert stored["name"] == first.name
    for key, value in scores.items():  # the weights are kept in half precision
        assert value == pytest.approx(stored[key], abs=5e-4)
