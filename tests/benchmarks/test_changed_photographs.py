"""The changes that the benchmark makes to photographs, and the rows that make one result."""

import json

import numpy as np
import pytest

from benchmarks.analysis import changed_photographs as program
from benchmarks.common.runs import one_recipe
from retina_course.data.photographs import Photograph
from retina_course.data.synthetic import make_fundus

COLOURS = np.array([[0.6, 0.3, 0.1], [0.05, 0.04, 0.02]])


@pytest.fixture(scope="module")
def photo():
    made = make_fundus(64, seed=1)
    pixels = (made.image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    vessels, fov = made.vessel.numpy(), made.fov.numpy()
    return Photograph("made", "0", pixels, vessels, fov)


def test_only_the_field_of_view_changes_and_every_change_is_one(photo):
    pictures = program.changed(photo, COLOURS)
    assert (pictures.pop("unchanged") == photo.image).all()
    jpeg = pictures.pop("JPEG (quality 20)")  # its blocks cross the edge
    assert jpeg.shape == photo.image.shape and (jpeg != photo.image).any()
    assert len(pictures) == 7
    for name, picture in pictures.items():
        assert picture.dtype == np.uint8, name
        assert (picture[~photo.fov] == photo.image[~photo.fov]).all(), name
        assert (picture[photo.fov] != photo.image[photo.fov]).mean() > 0.2, name
    inside = {name: picture[photo.fov] / 255 for name, picture in pictures.items()}
    plain = photo.image[photo.fov] / 255
    assert inside["brighter (gamma 0.6)"].mean() > plain.mean()
    assert inside["darker (gamma 1.6)"].mean() < plain.mean()
    np.testing.assert_allclose(
        inside["half the contrast"].std(axis=0), plain.std(axis=0) / 2, atol=0.01
    )
    np.testing.assert_allclose(inside["colours of IDRiD"].mean(axis=0), COLOURS[0], atol=0.01)
    np.testing.assert_allclose(inside["colours of IDRiD"].std(axis=0), COLOURS[1], atol=0.01)


def test_rows_of_two_recipes_or_devices_or_without_seed_0_are_not_one(tmp_path):
    def rows(*runs):
        files = [tmp_path / f"{i}.json" for i in range(len(runs))]
        for file, (seed, steps) in zip(files, runs, strict=True):
            file.write_text(json.dumps({"seed": seed, "recipe": {"steps": steps}}))
        return one_recipe(files, "row")

    assert [run["seed"] for run in rows((0, 10), (1, 10))] == [0, 1]
    for runs, message in (
        ([], "seed 0"),
        ([(1, 10)], "seed 0"),
        ([(0, 10), (1, 20)], "differ in their recipe.*: 0, 1"),
        ([(0, 10), (0, 10)], "several devices"),
    ):
        with pytest.raises(SystemExit, match=message):
            rows(*runs)
