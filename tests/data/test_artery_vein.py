"""Labels of arteries and veins in colours: who belongs to whom, which colour means what."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retina_course.data.artery_vein import ArteryVeinFolder, _kinds
from retina_course.data.reading import DatasetError

COLOURS = {
    "black": ((0, 0, 0), (False, False, False)),
    "red": ((255, 0, 0), (True, False, False)),
    "blue": ((0, 0, 255), (False, True, False)),
    "green": ((0, 255, 0), (True, True, False)),
    "white": ((255, 255, 255), (False, False, True)),
}


@pytest.fixture
def folders(tmp_path):
    """Two photographs with labels: one named alike, one with more behind its name."""
    for folder in ("images", "av"):
        (tmp_path / folder).mkdir()
    photograph = np.zeros((20, 24, 3), np.uint8)
    photograph[2:18, 2:22] = (180, 80, 30)
    label = np.zeros((20, 24, 3), np.uint8)
    for row, (colour, _) in enumerate(COLOURS.values(), start=4):
        label[row, 4:20] = colour
    for name, drawn in (("01_dr", "01_dr_AVmanual"), ("1_dr", "1_DR")):
        Image.fromarray(photograph).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(label).save(tmp_path / "av" / f"{drawn}.png")
    (tmp_path / "av" / "readme.txt").write_text("not an image")
    return tmp_path


def test_each_colour_is_read_as_what_it_means(folders):
    found = ArteryVeinFolder(folders / "images", folders / "av")
    assert [photo.name for photo in found] == ["01_dr", "1_dr"]
    assert found.files[1][1].name == "1_DR.png"  # not that of 01_dr
    photo = found[0]
    for row, (_, kinds) in enumerate(COLOURS.values(), start=4):
        own = photo.arteries[row, 10], photo.veins[row, 10], photo.unknown[row, 10]
        assert own == kinds
    assert photo.image.shape == (20, 24, 3) and photo.fov.sum() == 16 * 20


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(list(COLOURS)), min_size=1, max_size=30), st.integers(0, 40))
def test_colours_that_are_a_little_off_are_the_same(names, off):
    pure = np.array([[COLOURS[name][0] for name in names]], np.int64)
    shown = np.where(pure > 127, pure - off, pure + off).astype(np.uint8)
    found = _kinds(shown, "label.png")
    assert [tuple(kind[0, i] for kind in found) for i in range(len(names))] == [
        COLOURS[name][1] for name in names
    ]


@pytest.mark.parametrize("colour", [(255, 255, 0), (0, 200, 200), (120, 0, 0), (255, 128, 0)])
def test_other_colours_are_refused_and_named(folders, colour):
    label = np.zeros((20, 24, 3), np.uint8)
    label[3, 5] = colour
    Image.fromarray(label).save(folders / "av" / "01_dr_AVmanual.png")
    photographs = ArteryVeinFolder(folders / "images", folders / "av")
    named = str(colour).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(DatasetError, match=rf"1 pixels .* {named} at x=5, y=3. Expected black"):
        photographs[0]


def test_missing_files_are_named(folders):
    with pytest.raises(DatasetError, match="no folder .*labels"):
        ArteryVeinFolder(folders / "images", folders / "labels")
    (folders / "av" / "1_DR.png").unlink()
    with pytest.raises(DatasetError, match=r"1 file\(s\) missing:\n  1_dr.png"):
        ArteryVeinFolder(folders / "images", folders / "av")
    with pytest.raises(DatasetError, match="no photograph in"):
        (folders / "empty").mkdir()
        ArteryVeinFolder(folders / "empty", folders / "av")


def test_a_label_belongs_to_the_photograph_whose_name_it_has_most_of(folders):
    for folder, name in (("images", "1_dr_2.png"), ("av", "1_dr_2_av.png")):
        Image.new("RGB", (24, 20), (90, 0, 0)).save(folders / folder / name)
    found = ArteryVeinFolder(folders / "images", folders / "av").files
    labels = {path.stem: label.name for path, label in found}
    assert labels["1_dr"] == "1_DR.png" and labels["1_dr_2"] == "1_dr_2_av.png"


def test_two_labels_and_another_size_are_refused(folders):
    Image.new("RGB", (24, 19)).save(folders / "av" / "1_DR.png")
    with pytest.raises(DatasetError, match="24x20 pixels, its label 1_DR.png 24x19"):
        ArteryVeinFolder(folders / "images", folders / "av")[1]
    Image.new("RGB", (24, 20)).save(folders / "av" / "1_dr_b.png")
    with pytest.raises(DatasetError, match="has 2 labels: 1_DR.png, 1_dr_b.png"):
        ArteryVeinFolder(folders / "images", folders / "av")
