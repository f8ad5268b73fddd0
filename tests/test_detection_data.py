"""Boxes from masks, made images, augmented views; IDRiD's boxes on made files and its own."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from retina_course.data.detection import (
    LESION_CLASSES,
    RandomAffine,
    boxes_from_masks,
    check_target,
    flip,
    flip_boxes,
)
from retina_course.data.idrid import IDRiDBoxes, read_boxes
from retina_course.data.reading import DatasetError
from retina_course.data.synthetic import detection, make_fundus_images
from retina_course.data.synthetic.detection import synthetic_detection, synthetic_toys
from retina_course.models.detection.boxes import iou

DATA = os.environ.get("RETINA_COURSE_DATA")
needs_idrid = pytest.mark.skipif(
    not DATA or not Path(DATA, "IDRiD_boxes").is_dir(),
    reason="RETINA_COURSE_DATA does not hold IDRiD_boxes",
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*rows):
    """A class map from lines of digits."""
    return np.array([[int(c) for c in row] for row in rows])


# --- boxes from masks ---------------------------------------------------------------------------


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
def test_boxes_of_drawn_masks(rows, boxes, labels):
    found, kinds = boxes_from_masks(drawn(*rows))
    assert found.dtype == torch.float32 and kinds.dtype == torch.int64
    assert found.shape == (len(boxes), 4)
    assert found.tolist() == boxes and kinds.tolist() == labels


def test_masks_of_every_kind_of_whole_numbers():
    mask = drawn("0110", "0000", "0001")
    expected = [[1, 0, 3, 1], [3, 2, 4, 3]]
    for kind in (bool, np.uint8, np.int32, np.int64):
        found, labels = boxes_from_masks(mask.astype(kind))
        assert found.tolist() == expected and labels.tolist() == [1, 1]
    for classes in (torch.from_numpy(mask), torch.from_numpy(mask) > 0):
        assert boxes_from_masks(classes)[0].tolist() == expected
    assert boxes_from_masks(np.zeros((0, 5), int))[0].shape == (0, 4)
    assert boxes_from_masks(200 * mask.astype(np.uint8))[1].tolist() == [200, 200]


def test_the_smallest_counts_pixels_not_the_box():
    mask = drawn("100", "010", "001", "000", "110")
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


# --- targets ------------------------------------------------------------------------------------


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


# --- made images --------------------------------------------------------------------------------


def test_made_eyes_have_the_boxes_of_their_layers():
    images, targets = synthetic_detection(3, 96, seed=4)
    assert images.shape == (3, 3, 96, 96) and images.dtype == torch.float32
    kinds = set()
    for image, one, eye in zip(images, targets, make_fundus_images(3, 96, seed=4), strict=True):
        assert torch.equal(image, eye.image)
        classes = one["segmentation"]
        assert classes.dtype == torch.int64
        assert torch.equal(classes == 2, eye.exudate)
        assert torch.equal(classes == 3, eye.haemorrhage & ~eye.exudate)
        assert torch.equal(classes == 1, eye.disc & ~eye.lesion)
        boxes, labels = boxes_from_masks(classes)
        assert torch.equal(boxes, one["boxes"]) and torch.equal(labels, one["labels"])
        check_target(one, (96, 96), len(LESION_CLASSES))
        kinds |= set(labels.tolist())
    assert kinds == {1, 2, 3} and len(LESION_CLASSES) == 3


def test_exudates_lie_over_haemorrhages_and_both_over_the_disc(monkeypatch):
    def layer(first, last):
        return (torch.arange(10) >= first).expand(4, 10) & (torch.arange(10) < last)

    eye = SimpleNamespace(
        image=torch.zeros(3, 4, 10),
        fov=layer(0, 10),
        disc=layer(0, 6),
        haemorrhage=layer(2, 8),
        exudate=layer(4, 10),
    )
    monkeypatch.setattr(detection, "make_fundus_images", lambda n, size, seed: [eye])
    _, (one,) = synthetic_detection(1)
    assert one["segmentation"][0].tolist() == [1, 1, 3, 3, 2, 2, 2, 2, 2, 2]
    assert one["labels"].tolist() == [1, 2, 3]


def test_toys_are_whole_discs_and_rings_of_their_radius():
    size, radius, hole = 41, 15, 5
    _, targets = synthetic_toys(200, seed=1, size=size, radius=radius, hole=hole)
    y, x = np.mgrid[:size, :size]
    places = []
    for one in targets:
        ((x1, y1, x2, y2),) = one["boxes"].tolist()
        assert x2 - x1 == y2 - y1 == 2 * radius - 1
        assert min(x1, y1) >= 1 and max(x2, y2) <= size - 1  # the background shows on every side
        distance = np.hypot(x - (x1 + x2 - 1) / 2, y - (y1 + y2 - 1) / 2)
        (label,) = one["labels"].tolist()
        expected = (distance < radius) & ((distance >= hole) | (label == 1))
        assert np.array_equal(one["segmentation"].numpy(), label * expected)
        places.append((x1, y1))
    discs = sum(one["labels"].item() == 1 for one in targets)
    assert 70 < discs < 130
    # Every place occurs, along both sides.
    wanted = set(range(1, size - 2 * radius + 1))
    assert {p[0] for p in places} == {p[1] for p in places} == wanted


def test_toys_are_a_fifth_brighter_than_the_noise():
    images, targets = synthetic_toys(20, size=120)
    assert images.shape == (20, 1, 120, 120) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1
    shown = torch.stack([one["segmentation"] for one in targets])[:, None] > 0
    assert images[~shown].mean() == pytest.approx(0.5 / 1.2, abs=0.005)
    assert images[~shown].max() <= 1 / 1.2 + 1e-6 and images[~shown].min() < 0.01
    assert images[shown].mean() == pytest.approx(0.7 / 1.2, abs=0.01)


def test_toys_follow_from_the_seed_and_do_not_depend_on_their_number():
    images, targets = synthetic_toys(3, seed=5, size=64)
    again, same = synthetic_toys(8, seed=5, size=64)
    assert torch.equal(images, again[:3])
    assert all(torch.equal(a[k], b[k]) for a, b in zip(targets, same, strict=False) for k in a)
    assert not torch.equal(images, synthetic_toys(3, seed=6, size=64)[0])
    assert synthetic_toys(1, size=41)[0].shape == (1, 1, 41, 41)  # the smallest that fits


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"hole": 20}, {"hole": 0}, {"size": 40}, {"radius": 200}]
)
def test_toys_that_do_not_fit_are_named(options):
    with pytest.raises(ValueError, match="2 radius < size, got n="):
        synthetic_toys(**{"n": 1} | options)


# --- views --------------------------------------------------------------------------------------


def rectangles(n=3, size=(48, 64), seed=0):
    """One bright rectangle on black in each image."""
    rng = np.random.default_rng(seed)
    images, targets = torch.zeros(n, 3, *size), []
    for image in images:
        x1, y1 = int(rng.integers(0, size[1] - 22)), int(rng.integers(0, size[0] - 16))
        x2, y2 = x1 + int(rng.integers(9, 22)), y1 + int(rng.integers(9, 16))
        image[:, y1:y2, x1:x2] = 1
        classes = torch.zeros(size, dtype=torch.int64)
        classes[y1:y2, x1:x2] = 2
        boxes = torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32)
        targets.append({"boxes": boxes, "labels": torch.tensor([2]), "segmentation": classes})
    return images, targets


def bright(image):
    return boxes_from_masks(image[0] > 0.5)[0]


@pytest.mark.parametrize("axes", [[], [-1], [-2], [-1, -2]])
def test_mirrored_boxes_lie_on_their_pixels(axes):
    (image,), (one,) = rectangles(1)
    before = {k: v.clone() for k, v in one.items()}
    mirrored, flipped = flip(image, one, axes)
    assert torch.equal(bright(mirrored), flipped["boxes"])
    assert torch.equal(boxes_from_masks(flipped["segmentation"])[0], flipped["boxes"])
    assert axes == [] or not torch.equal(flipped["boxes"], one["boxes"])
    back, twice = flip(mirrored, flipped, axes)
    assert torch.equal(back, image) and all(torch.equal(twice[k], before[k]) for k in before)
    assert all(torch.equal(one[k], before[k]) for k in before)  # the target is not changed


def test_mirroring_boxes_without_pixels():
    boxes = torch.tensor([[-3.0, 2, 8, 9.5]])
    assert flip_boxes(boxes, (20, 10), [-1]).tolist() == [[2, 2, 13, 9.5]]
    assert flip_boxes(boxes, (20, 10), [-2]).tolist() == [[-3, 10.5, 8, 18]]
    assert flip_boxes(torch.zeros(0, 4), (20, 10), [-1, -2]).shape == (0, 4)


def test_without_scale_and_jitter_a_view_is_one_of_the_mirror_images():
    images, targets = rectangles()
    views = RandomAffine(images, targets, batch_size=40, scale=(1, 1), jitter=0)
    batch, found = views(generator())
    mirrors = torch.stack([i.flip(a) for i in images for a in ([], [-1], [-2], [-1, -2])])
    equal = (batch[:, None] == mirrors).flatten(2).all(dim=2)
    assert equal.any(dim=1).all() and equal.any(dim=0).all()  # each is one, and each occurs
    for image, one in zip(batch, found, strict=True):
        assert torch.equal(bright(image), one["boxes"]) and one["labels"].tolist() == [2]


@pytest.mark.parametrize("scale", [(0.4, 1.0), (1.0, 1.6), (0.7, 1.4)])
def test_boxes_follow_their_pixels(scale):
    images, targets = rectangles()
    batch, found = RandomAffine(images, targets, batch_size=60, scale=scale, jitter=0)(generator())
    assert batch.shape == (60, *images.shape[1:])
    kept = 0
    for image, one in zip(batch, found, strict=True):
        seen = bright(image)
        assert one["boxes"].dtype == torch.float32 and len(one["labels"]) == len(one["boxes"])
        if not len(one["boxes"]):
            continue
        kept += 1
        assert one["labels"].tolist() == [2]
        assert (seen - one["boxes"]).abs().max() <= 1
        outlined, labels = boxes_from_masks(one["segmentation"])
        assert (outlined - one["boxes"]).abs().max() <= 1 and labels.tolist() == [2]
        assert one["boxes"].min() >= 0
        assert one["boxes"][0, 2] <= 64 and one["boxes"][0, 3] <= 48
    assert kept == 60 if scale[1] == 1 else 30 < kept <= 60


def test_a_smaller_picture_lies_anywhere_and_a_larger_one_leaves_no_border():
    images = torch.ones(1, 3, 32, 48)
    targets = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]
    small, found = RandomAffine(images, targets, 50, scale=(0.5, 0.5), jitter=0)(generator())
    boxes = torch.cat([bright(image) for image in small])
    assert "segmentation" not in found[0] and found[0]["boxes"].shape == (0, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides - torch.tensor([24, 16])).abs().max() <= 1
    assert boxes[:, 0].min() <= 3 and boxes[:, 2].max() >= 45
    assert boxes[:, 1].min() <= 2 and boxes[:, 3].max() >= 30
    large, _ = RandomAffine(images, targets, 50, scale=(2, 2), jitter=0)(generator())
    assert large[:, :, 1:-1, 1:-1].min() > 0.999


def test_objects_of_which_less_than_half_is_in_view_are_left_out():
    images, targets = rectangles(1)
    views = RandomAffine(images, targets, batch_size=150, scale=(2, 2), jitter=0)
    whole, told = 4 * images[0, 0].sum(), set()
    for image, one in zip(*views(generator()), strict=True):
        share = (image[0].sum() / whole).item()
        if abs(share - 0.5) > 0.06:  # the edges are blurred
            assert len(one["boxes"]) == (share > 0.5)
            told.add((share > 0.5, share > 0.95, share < 0.05))
    assert len(told) == 4  # gone, mostly gone, mostly there, all there


def test_views_follow_from_the_generator_and_leave_the_source_alone():
    images, targets = rectangles()
    copies = images.clone(), [{k: v.clone() for k, v in one.items()} for one in targets]
    views = RandomAffine(images, targets)
    first, boxes = views(generator(3))
    again, same = views(generator(3))
    assert torch.equal(first, again)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(boxes, same, strict=True) for k in a)
    assert not torch.equal(first, views(generator(4))[0])
    assert first.shape == (4, 3, 48, 64) and first.min() >= 0 and first.max() <= 1
    assert torch.equal(images, copies[0])
    assert all(torch.equal(a[k], b[k]) for a, b in zip(targets, copies[1], strict=True) for k in a)


def test_jitter_changes_colours_and_no_box():
    images, targets = synthetic_detection(2, 64)
    plain, boxes = RandomAffine(images, targets, scale=(1, 1), jitter=0)(generator())
    coloured, same = RandomAffine(images, targets, scale=(1, 1), jitter=0.3)(generator())
    assert (plain - coloured).abs().max() > 0.02
    assert all(torch.equal(a[k], b[k]) for a, b in zip(boxes, same, strict=True) for k in a)


def test_views_need_one_target_an_image():
    images, targets = rectangles()
    with pytest.raises(ValueError, match="got 2 for 3"):
        RandomAffine(images, targets[:2])


# --- IDRiD --------------------------------------------------------------------------------------


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
    with pytest.raises(DatasetError, match="no photographs in .*absent"):
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


@pytest.mark.parametrize("value", [-1, 3])
def test_a_segmentation_of_other_classes_is_refused(value):
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    target["segmentation"] = torch.zeros(8, 8, dtype=torch.int64)
    check_target(target, (8, 8), 2)
    target["segmentation"][3, 4] = value
    with pytest.raises(ValueError, match="segmentation of 0 to 2"):
        check_target(target, (8, 8), 2)


def test_a_box_without_area_does_not_come_out_of_a_view():
    target = {
        "boxes": torch.tensor([[8.0, 8, 8, 20], [4, 4, 28, 28]]),
        "labels": torch.tensor([1, 2]),
    }
    views = RandomAffine(torch.rand(1, 3, 32, 32), [target], batch_size=4, scale=(0.99, 1.01))
    _, targets = views(torch.Generator().manual_seed(0))
    assert [one["labels"].tolist() for one in targets] == [[2]] * 4
