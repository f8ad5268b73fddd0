"""What all data sets of photographs do: splits by patient, digests, refusals."""

import shutil

import numpy as np
import pytest
from published_layouts import SIZE, make_chase, make_folder, photograph, rgb, save, vessels

from retina_course.data.datasets import (
    ChaseDB1,
    DatasetError,
    ImageFolder,
    field_of_view,
    split_by_patient,
)


def test_split_by_patient_keeps_both_eyes_together(tmp_path):
    data = ChaseDB1(make_chase(tmp_path))
    train, held_out = split_by_patient(data, ["04"])
    assert {photo.patient for photo in train} == {"01", "02", "03"}
    assert [photo.name for photo in held_out] == ["Image_04L", "Image_04R"]
    with pytest.raises(ValueError, match="No patient 99 .* has 01, 02, 03, 04"):
        split_by_patient(data, ["99"])


def test_digest_changes_with_any_byte_and_ignores_other_files(tmp_path):
    root = make_folder(tmp_path / "one")
    digest = ImageFolder(root).digest()
    assert digest == ImageFolder(shutil.copytree(root, tmp_path / "two")).digest()
    (root / "notes.txt").write_text("not part of it")
    assert ImageFolder(root).digest() == digest
    save(root / "masks/a.png", vessels(column=11))
    assert ImageFolder(root).digest() != digest


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: m * 0 + 255, r"labels 100% of the field of view as vessel"),
        (lambda m: np.maximum(m, 7), r"has 2 level\(s\): 7, 255. Expected two, 0 and one bright"),
        (lambda m: m[:-1], "24x19, but its image .* 24x20"),
        (lambda m: rgb(m) * np.array([1, 0, 0], np.uint8), "is a colour image"),
    ],
)
def test_wrong_masks_are_refused_with_their_name(damage, message, tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    save(tmp_path / "masks/a.png", damage(vessels()))
    with pytest.raises(DatasetError, match=message) as caught:
        data[0]
    assert str(tmp_path / "masks" / "a.png") in str(caught.value)
    data[1]  # the others stay readable


def test_black_photographs_have_no_field_of_view(tmp_path):
    data = ImageFolder(make_folder(tmp_path))
    save(tmp_path / "images/b.png", photograph() // 100)
    with pytest.raises(DatasetError, match=r"b\.png: No pixel is brighter than 20"):
        data[1]
    with pytest.raises(ValueError, match="uint8 RGB"):
        field_of_view(np.zeros(SIZE))
