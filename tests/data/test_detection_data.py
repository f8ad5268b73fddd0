"""Boxes from masks, and the check of targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from retina_course.data.detection import boxes_from_masks, check_target


def class_map(*rows):
    """A class map from lines of digits."""
    return np.array([[int(c) for c in row] for row in rows])


@pytest.mark.parametrize(
    "rows, boxes, labels",
    [
        (["000", "000"], [], []),
        (["000", "010"], [[1, 1, 2, 2]], [1]),
        (["100", "010", "001"], [[0, 0, 3, 3]], [1]),  # a corner is enough
        (["101", "000", "101"], [[0, 0, 1, 1], [2, 0, 3, 1], [0, 2, 1, 3], [2, 2, 3, 3]], [1] * 4),
        (["112", "112"], [[0, 0, 2, 2], [2, 0, 3, 2]], [1, 2]),  # two classes that touch
        (["121"], [[0, 0, 1, 1], [2, 0, 3, 1], [1, 0, 2, 1]], [1, 1, 2]),  # one cuts the other
        (["11111", "10001", "10301", "11111"], [[0, 0, 5, 4], [2, 2, 3, 3]], [1, 3]),  # a hole
    ],
)
def test_boxes_of_small_masks(rows, boxes, labels):
    found, kinds = boxes_from_masks(class_map(*rows))
    assert found.dtype == torch.float32 and kinds.dtype == torch.int64
    assert found.shape == (len(boxes), 4)
    assert found.tolist() == boxes and kinds.tolist() == labels


def test_masks_of_every_kind_of_whole_numbers():
    mask = class_map("0110", "0000", "0001")
    expected = [[1, 0, 3, 1], [3, 2, 4, 3]]
    for kind in (bool, np.uint8, np.int32, np.int64):
        found, labels = boxes_from_masks(mask.astype(kind))
        assert found.tolist() == expected and labels.tolist() == [1, 1]
    for classes in (torch.from_numpy(mask), torch.from_numpy(mask) > 0):
        assert boxes_from_masks(classes)[0].tolist() == expected
    assert boxes_from_masks(np.zeros((0, 5), int))[0].shape == (0, 4)
    assert boxes_from_masks(200 * mask.astype(np.uint8))[1].tolist() == [200, 200]


def test_the_smallest_counts_pixels_not_the_box():
    mask = class_map("100", "010", "001", "000", "110")
    assert boxes_from_masks(mask, min_size=3)[0].tolist() == [[0, 0, 3, 3]]
    assert len(boxes_from_masks(mask, min_size=2)[0]) == 2
    assert len(boxes_from_masks(mask, min_size=4)[0]) == 0


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 0, 0, 1, 2])))
def test_every_box_is_tight_and_every_pixel_in_one(mask):
    boxes, labels = boxes_from_masks(mask)
    keys = [(k, y1) for (_, y1, _, _), k in zip(boxes.tolist(), labels.tolist(), strict=True)]
    assert keys == sorted(keys)  # by class, then from top to bottom
    left = mask.copy()
    for (x1, y1, x2, y2), label in zip(boxes.int().tolist(), labels.tolist(), strict=True):
        inside = mask[y1:y2, x1:x2] == label
        assert inside.any(axis=0)[[0, -1]].all() and inside.any(axis=1)[[0, -1]].all()
        left[y1:y2, x1:x2][inside] = 0
    assert not left.any()
    pieces = sum(ndimage.label(mask == k, np.ones((3, 3)))[1] for k in (1, 2))
    assert len(boxes) == pieces


@pytest.mark.parametrize(
    "mask, error, message",
    [
        (np.zeros((2, 3, 4), int), ValueError, r"\(2, 3, 4\)"),
        (torch.zeros(5, dtype=torch.int64), ValueError, r"\(5,\)"),
        (np.zeros((3, 4)), TypeError, "float64"),
        (torch.zeros(3, 4), TypeError, "float32"),
        (np.array([[0, -2]]), ValueError, "got -2"),
    ],
)
def test_what_is_no_class_map_is_named(mask, error, message):
    with pytest.raises(error, match=message):
        boxes_from_masks(mask)


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels)}


@pytest.mark.parametrize(
    "boxes, labels, message",
    [
        ([[0.0, 0, 5, 5], [4.0, 4, 4, 9]], [1, 1], r"Box 1, \[4.0, 4.0, 4.0, 9.0\].*20x10"),
        ([[9.0, 2, 3, 9]], [1], "Box 0.*x1 < x2"),
        ([[20.0, 0, 25, 5]], [1], "no area inside the image of 20x10"),
        ([[0.0, 10, 5, 15]], [1], "no area inside"),
        ([[-5.0, 2, 0, 9]], [1], "no area inside"),
        ([[0.0, float("nan"), 5, 5]], [1], "Box 0"),
        ([[0.0, 0, float("inf"), 5]], [1], "Box 0"),
        ([[0.0, 0, 5, 5]], [0], "from 1 to 3, got"),
        ([[0.0, 0, 5, 5]], [4], "from 1 to 3, got"),
        ([[0.0, 0, 5, 5]], [1, 1], r"\(1, 4\) and \(2,\)"),
    ],
)
def test_targets_that_cannot_be_learned_are_named(boxes, labels, message):
    with pytest.raises(ValueError, match=message):
        check_target(target(boxes, labels), (10, 20), 3)


def test_targets_that_can_be_learned_pass():
    check_target(
        target([[-5.0, -5, 1, 1], [19, 9, 99, 99], [3, 3, 3.5, 4]], [1, 2, 3]), (10, 20), 3
    )
    check_target(target([[0, 0, 20, 10]], [1]), (10, 20), 1)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    check_target(empty, (10, 20), 1)


@pytest.mark.parametrize("value", [-1, 3])
def test_a_segmentation_of_other_classes_is_refused(value):
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    target["segmentation"] = torch.zeros(8, 8, dtype=torch.int64)
    check_target(target, (8, 8), 2)
    target["segmentation"][3, 4] = value
    with pytest.raises(ValueError, match="segmentation of 0 to 2"):
        check_target(target, (8, 8), 2)
