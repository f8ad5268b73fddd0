"""IDRiD's boxes, on small synthetic files and on its own."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from retina_course.data.idrid import IDRiDBoxes, read_boxes
from retina_course.data.reading import DatasetError
from retina_course.models.detection.boxes import iou

DATA = os.environ.get("RETINA_COURSE_DATA")
needs_idrid = pytest.mark.skipif(
    not DATA or not Path(DATA, "IDRiD_boxes").is_dir(),
    reason="RETINA_COURSE_DATA does not hold IDRiD_boxes",
)


def make_idrid(root, n=9, size=(20, 40)):
    """`n` photographs in the published layout; each has a disc, some have a lesion."""
    root.mkdir()
    for i in range(n):
        image = np.full((*size, 3), 10 * i, np.uint8)
        Image.fromarray(image).save(root / f"{i:04d}.jpg")
        lines = ["0 0.25 0.5 0.1 0.2", "2 0.95 0.9 0.2 0.4", ""][: 1 + 2 * (i % 2)]
        (root / f"{i:04d}.txt").write_text("\n".join(lines))
    return root


def test_idrid_gives_pixels_and_labels_from_one(tmp_path):
    data = IDRiDBoxes(make_idrid(tmp_path / "IDRiD_boxes"), split="all")
    assert len(data) == 9
    photo = data[1]
    assert photo.name == "0001" and photo.image.shape == (20, 40, 3)
    assert photo.image.dtype == np.uint8
    # The second reaches beyond the right and the lower border, and is cut.
    expected = torch.tensor([[8.0, 8, 12, 12], [34, 14, 40, 20]])
    torch.testing.assert_close(photo.boxes, expected)
    assert photo.labels.tolist() == [1, 3] and photo.labels.dtype == torch.int64
    assert data[0].labels.tolist() == [1]


def test_idrid_carries_the_angle_of_its_camera_or_those_that_are_given(tmp_path):
    root = make_idrid(tmp_path / "IDRiD_boxes")
    assert {photo.field_angle for photo in IDRiDBoxes(root, "all")} == {50}
    assert IDRiDBoxes(root, "all", field_angle=None)[0].field_angle is None
    angles = {f"{i:04d}.jpg": 30 + i for i in range(9)}
    assert [p.field_angle for p in IDRiDBoxes(root, "all", angles)] == [*range(30, 39)]
    data = IDRiDBoxes(root, "all")
    assert data.set_field_angles(angles | {"no.jpg": 1}) == ["no.jpg"]
    assert data[3].field_angle == 33
    with pytest.raises(ValueError, match="got -5"):
        IDRiDBoxes(root, field_angle=-5)


def test_idrids_halves_are_disjoint_complete_and_always_the_same(tmp_path, monkeypatch):
    root = make_idrid(tmp_path / "IDRiD_boxes")
    names = {
        split: [p.stem for p in IDRiDBoxes(root, split).files] for split in ("train", "test", "all")
    }
    assert len(names["test"]) == 3 and len(names["train"]) == 6
    assert sorted(names["test"] + names["train"]) == names["all"]
    monkeypatch.setenv("RETINA_COURSE_DATA", str(tmp_path))
    assert [p.stem for p in IDRiDBoxes().files] == names["train"]
    digests = {split: IDRiDBoxes(split=split).digest() for split in names}
    assert len(set(digests.values())) == 3
    (root / f"{names['test'][0]}.txt").write_text("0 0.5 0.5 0.1 0.1")
    assert IDRiDBoxes(split="test").digest() != digests["test"]
    assert IDRiDBoxes(split="train").digest() == digests["train"]


def test_an_idrid_folder_that_is_not_there_or_not_complete_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("RETINA_COURSE_DATA", raising=False)
    with pytest.raises(DatasetError, match="RETINA_COURSE_DATA"):
        IDRiDBoxes()
    with pytest.raises(DatasetError, match="no photographs: .*absent"):
        IDRiDBoxes(tmp_path / "absent")
    root = make_idrid(tmp_path / "IDRiD_boxes")
    with pytest.raises(ValueError, match="one of 'train', 'test', 'all', got 'validation'"):
        IDRiDBoxes(root, "validation")
    (root / "0003.txt").unlink()
    with pytest.raises(DatasetError, match=r"(?s)1 file\(s\) missing.*0003.txt.*NNNN.jpg"):
        IDRiDBoxes(root)
    (root / "0003.txt").write_text("")
    assert len(IDRiDBoxes(root, "all")[3].boxes) == 0
    (root / "0004.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="0004.jpg"):
        IDRiDBoxes(root, "all")[4]


@pytest.mark.parametrize(
    "line, message",
    [
        ("0 0.5 0.5 0.1", "line 2: '0 0.5 0.5 0.1' is not a box"),
        ("0 0.5 0.5 0.1 0.1 0.9", "line 2: .* is not a box"),
        ("disc 0.5 0.5 0.1 0.1", "line 2: .* is not a box"),
        ("0 0.5 0,5 0.1 0.1", "line 2: .* is not a box"),
        ("0 nan 0.5 0.1 0.1", "Box 1"),
        ("0 0.5 0.5 0 0.1", "Box 1, .* has no area"),
        ("0 1.5 0.5 0.1 0.1", "Box 1, .* has no area inside the image of 40x20"),
        ("3 0.5 0.5 0.1 0.1", r"from 1 to 3, got \[1, 4\]"),
        ("-1 0.5 0.5 0.1 0.1", r"from 1 to 3, got \[1, 0\]"),
    ],
)
def test_lines_that_are_no_box_are_named(tmp_path, line, message):
    path = tmp_path / "0000.txt"
    path.write_text(f"0 0.5 0.5 0.1 0.2\n{line}\n")
    with pytest.raises(DatasetError, match=f"{re.escape(str(path))}.*{message}"):
        read_boxes(path, (20, 40))


def test_boxes_that_an_editor_on_windows_has_saved(tmp_path):
    path, line = tmp_path / "0000.txt", "0 0.5 0.5 0.25 0.5\r\n"
    path.write_bytes(line.encode("utf-8-sig"))
    assert read_boxes(path, (20, 40))[0].tolist() == [[15, 5, 25, 15]]
    path.write_bytes(line.encode("utf-16"))
    with pytest.raises(DatasetError, match=f"{re.escape(str(path))} is not a text in UTF-8"):
        read_boxes(path, (20, 40))


@needs_idrid
def test_the_published_idrid_boxes():
    halves = {split: IDRiDBoxes(split=split) for split in ("train", "test", "all")}
    assert {split: len(data) for split, data in halves.items()} == {
        "train": 160,
        "test": 80,
        "all": 240,
    }
    assert not {*halves["train"].files} & {*halves["test"].files}
    counts = torch.zeros(4, dtype=torch.int64)
    for path in halves["all"].files:
        with Image.open(path) as image:  # reads the header only
            assert image.size == (768, 510)
        boxes, labels = read_boxes(path.with_suffix(".txt"), (510, 768))
        assert (labels == 1).sum() == 1, path.name
        counts += labels.bincount(minlength=4)
    assert counts.tolist() == [0, 240, 868, 630]
    photo = halves["test"][0]
    assert photo.image.shape == (510, 768, 3)
    # The disc is the brightest large thing of most photographs.
    x1, y1, x2, y2 = photo.boxes[photo.labels == 1][0].int().tolist()
    assert photo.image[y1:y2, x1:x2].mean() > 1.3 * photo.image.mean()
    assert (iou(photo.boxes, photo.boxes).diag() == 1).all()
