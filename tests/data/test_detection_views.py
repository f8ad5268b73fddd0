"""Mirrored and scaled views of images with boxes: the boxes follow their pixels."""

import numpy as np
import pytest
import torch

from retina_course.data.detection import RandomAffine, boxes_from_masks, flip, flip_boxes
from retina_course.data.synthetic.detection import synthetic_detection


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


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


def test_a_box_without_area_does_not_come_out_of_a_view():
    target = {
        "boxes": torch.tensor([[8.0, 8, 8, 20], [4, 4, 28, 28]]),
        "labels": torch.tensor([1, 2]),
    }
    views = RandomAffine(torch.rand(1, 3, 32, 32), [target], batch_size=4, scale=(0.99, 1.01))
    _, targets = views(torch.Generator().manual_seed(0))
    assert [one["labels"].tolist() for one in targets] == [[2]] * 4


def test_magnifications_and_shifts_fill_their_ranges():
    """Measured in where a box of 12x8 pixels in the middle comes to lie."""
    box = {"boxes": torch.tensor([[26.0, 20, 38, 28]]), "labels": torch.tensor([1])}
    views = RandomAffine(torch.rand(1, 3, 48, 64), [box], 800, scale=(0.8, 1.25), jitter=0)
    boxes = torch.cat([one["boxes"] for one in views(generator())[1]])
    scale = (boxes[:, 2] - boxes[:, 0]) / 12
    torch.testing.assert_close((boxes[:, 3] - boxes[:, 1]) / 8, scale)
    assert 0.8 <= scale.min() < 0.81 and 1.24 < scale.max() <= 1.25
    assert len(scale.unique()) > 700
    shift = (boxes[:, :2] + boxes[:, 2:]) / 2 - torch.tensor([32.0, 24])
    # Of a magnified image the view shows a part, in a reduced one it lies anywhere.
    room = (scale - 1).abs()[:, None] * torch.tensor([32.0, 24])
    share = shift / room.clamp_min(1e-6)
    for axis in (0, 1):
        assert -1.001 <= share[:, axis].min() < -0.97 and 0.97 < share[:, axis].max() <= 1.001
    assert abs(torch.corrcoef(share.T)[0, 1]) < 0.1


def test_the_strength_of_the_colours_is_handed_on():
    images = torch.rand(1, 3, 32, 32, generator=generator())
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    plain, weak = (
        RandomAffine(images, [target], scale=(1, 1), jitter=jitter)(generator())[0]
        for jitter in (0, 0.01)
    )
    assert 1e-4 < (weak - plain).abs().max() < 0.04


def test_mirror_images_across_and_down_are_drawn_for_each_image():
    corner = torch.zeros(1, 3, 4, 6)
    corner[:, :, 0, 0] = 1
    target = {"boxes": torch.tensor([[0.0, 0, 1, 1]]), "labels": torch.tensor([1])}
    batch, _ = RandomAffine(corner, [target], 400, scale=(1, 1), jitter=0)(generator())
    counts = [int((batch[:, 0, y, x] == 1).sum()) for y in (0, -1) for x in (0, -1)]
    assert sum(counts) == 400 and min(counts) > 70
