"""`ImageFolder`: photographs and masks of one's own."""

import numpy as np
import pytest
from PIL import Image
from published_layouts import SIZE, disc, make_folder, photograph, save, vessels

from retina_course.data.datasets import DatasetError, ImageFolder


def test_image_folder_matches_by_name_and_computes_the_field_of_view(tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    assert [photo.name for photo in data] == data.patients == ["a", "b"]
    assert np.array_equal(data[1].ground_truth, vessels() > 0)
    assert data[0].fov.sum() > 200 and data[0].second_observer is None
    save(tmp_path / "fov/a.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(DatasetError, match=r"1 file\(s\) missing:\n  fov/b\.\*"):
        ImageFolder(tmp_path)
    save(tmp_path / "fov/b_mask.png", disc())
    data = ImageFolder(tmp_path)
    assert data[0].fov.all() and np.array_equal(data[1].fov, disc() > 0)


def test_image_folder_refuses_what_is_incomplete_or_ambiguous(tmp_path):
    with pytest.raises(DatasetError, match="has no folder images/"):
        ImageFolder(tmp_path)
    make_folder(tmp_path)
    save(tmp_path / "images/a.png", photograph())
    with pytest.raises(DatasetError, match="have the same name"):
        ImageFolder(tmp_path)
    (tmp_path / "images/a.png").unlink()
    (tmp_path / "masks/a.png").unlink()
    with pytest.raises(DatasetError, match=r"masks/a\.\* or masks/a_mask\.\*, for a\.JPG"):
        ImageFolder(tmp_path)


def test_a_photograph_turned_by_its_exif_tag_is_read_as_a_viewer_shows_it(tmp_path):
    make_folder(tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 3  # orientation: upside down
    Image.fromarray(photograph()).save(tmp_path / "images/b.png", exif=turned)
    read = ImageFolder(tmp_path)[1].image
    assert np.array_equal(read, photograph()[::-1, ::-1])
