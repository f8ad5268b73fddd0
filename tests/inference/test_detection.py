"""From a photograph to boxes in its own pixels, with a model that is known to find one square."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from retina_course import create_model, weights
from retina_course.data.detection import boxes_from_masks
from retina_course.data.idrid import BoxedPhotograph, IDRiDBoxes
from retina_course.inference import detection
from retina_course.inference.boxed_images import stack_boxed_images
from retina_course.inference.detection import (
    detect,
    detect_all,
    detect_in_crop,
    detect_photographs,
    ellipses,
)
from retina_course.models.detection.boxes import iou


class BrightSquare(nn.Module):
    """Finds the box of all bright pixels, with the score 0.8; and what else it is told to."""

    size_multiple, nms_iou = 32, 0.5

    def __init__(self, *more):
        super().__init__()
        self.unused, self.more, self.seen = nn.Parameter(torch.zeros(1)), more, []

    def anchors(self, size):
        raise NotImplementedError

    def forward(self, images):
        assert not self.training and torch.is_inference_mode_enabled()
        results = []
        for image in images:
            self.seen.append(tuple(image.shape[1:]))
            ys, xs = (image[1] > 0.75).nonzero(as_tuple=True)
            boxes = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]] if len(xs) else []
            boxes = torch.tensor(boxes + list(self.more), dtype=torch.float32).reshape(-1, 4)
            labels = torch.full((len(boxes),), 3)
            results.append(
                {"boxes": boxes, "scores": torch.full((len(boxes),), 0.8), "labels": labels}
            )
        return results


def photograph(size=(150, 180), centre=(80, 100), radius=60, square=(60, 110, 84, 126), value=0.4):
    """A round field of view on black with a white rectangle x1, y1, x2, y2 in it."""
    y, x = np.mgrid[: size[0], : size[1]]
    inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    image = np.where(inside[..., None], value, 0.0).repeat(3, axis=2)
    if square:
        x1, y1, x2, y2 = square
        image[y1:y2, x1:x2] = 1
    return image


SCENES = [
    dict(),
    dict(size=(200, 140), centre=(120, 75), square=(40, 90, 60, 130)),
    dict(size=(130, 131), centre=(60, 60), radius=90, square=(3, 5, 30, 17)),  # cut by the frame
]


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("diameter", [121, 70, 300])
@pytest.mark.parametrize("scene", SCENES)
def test_boxes_come_in_the_photographs_own_pixels(scene, diameter, flips):
    image, model = photograph(**scene), BrightSquare().train()
    found = detect(model, image, {"fov_diameter": diameter}, flips=flips)
    assert model.training and len(model.seen) == (4 if flips else 1)
    assert all(h % 32 == 0 and w % 32 == 0 for h, w in model.seen)
    # The field with its margin is at most 1.1 times as wide as asked for.
    assert max(model.seen[0]) <= 1.1 * diameter + 32 + 2
    expected = torch.tensor([scene.get("square", (60, 110, 84, 126))], dtype=torch.float32)
    pixel = max(1.5, 1.2 * 121 / diameter)  # of the view, in pixels of the photograph
    assert found["boxes"].shape == (1, 4)
    assert (found["boxes"] - expected).abs().max() <= pixel
    assert found["labels"].tolist() == [3] and found["labels"].dtype == torch.int64
    assert found["scores"].item() == pytest.approx(0.8)
    assert all(not part.is_inference() for part in found.values())


@pytest.mark.parametrize("scene", SCENES)
def test_at_the_training_size_boxes_are_exact(scene):
    image = photograph(**scene)
    lit = (image.max(axis=2) > 0).nonzero()
    diameter = int(max(np.ptp(part) for part in lit)) + 1
    for flips in (True, False):
        found = detect(BrightSquare(), image, {"fov_diameter": diameter}, flips=flips)
        expected = torch.tensor([scene.get("square", (60, 110, 84, 126))], dtype=torch.float32)
        torch.testing.assert_close(found["boxes"], expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(33, 64), (64, 31), (50, 70)])
def test_a_view_of_any_size_is_padded_below_and_on_the_right(size):
    view = torch.zeros(3, *size)
    view[:, 4:9, 12:30] = 1
    for flips in (True, False):
        model = BrightSquare()
        found = detect_in_crop(model, view, flips=flips)
        torch.testing.assert_close(found["boxes"], torch.tensor([[12.0, 4, 30, 9]]))
        wanted = tuple(-(-side // 32) * 32 for side in size)
        assert set(model.seen) == {wanted}


def test_what_one_view_alone_sees_counts_a_quarter():
    """The same corner of all four views is four places of the photograph."""
    view = torch.zeros(3, 64, 64)
    view[:, 20:30, 20:40] = 1
    found = detect_in_crop(BrightSquare([0, 0, 8, 8]), view, flips=True)
    assert found["scores"].tolist() == pytest.approx([0.8] + [0.2] * 4)
    assert found["boxes"][0].tolist() == [20, 20, 40, 30]
    corners = {tuple(box) for box in found["boxes"][1:].tolist()}
    assert corners == {(0, 0, 8, 8), (56, 0, 64, 8), (0, 56, 8, 64), (56, 56, 64, 64)}


@pytest.mark.parametrize("flips", [True, False])
def test_nothing_found_is_empty(flips):
    found = detect(BrightSquare(), photograph(square=None), {"fov_diameter": 120}, flips=flips)
    assert [tuple(part.shape) for part in found.values()] == [(0, 4), (0,), (0,)]
    assert found["labels"].dtype == torch.int64


@pytest.mark.parametrize("flips", [True, False])
def test_boxes_in_the_padding_are_no_detections(flips):
    view = torch.zeros(3, 50, 40)
    view[:, 20:30, 20:36] = 1
    found = detect_in_crop(BrightSquare([5, 52, 20, 60], [45, 3, 60, 20]), view, flips=flips)
    assert found["boxes"].tolist() == [[20, 20, 36, 30]]


def test_a_real_detector_runs_on_a_photograph():
    torch.manual_seed(0)
    model = create_model("retina_net", width=8, pyramid_channels=16, head_channels=16)
    torch.nn.init.normal_(model.network.class_head[-1].bias)
    image = (255 * photograph()).astype(np.uint8)
    for flips in (True, False):
        found = detect(model, image, {"fov_diameter": 90}, flips=flips)
        boxes, scores = found["boxes"], found["scores"]
        assert len(boxes) == len(scores) == len(found["labels"]) > 3
        assert (scores.diff() <= 0).all() and model.training
        assert boxes.min() >= 0 and boxes[:, 2].max() <= 180 and boxes[:, 3].max() <= 150


def test_a_segmentor_finds_no_boxes():
    with pytest.raises(ValueError, match="UNetSmall finds no boxes; it segments.*segment"):
        detect(create_model("unet_small"), photograph(), {"fov_diameter": 100})


@pytest.mark.parametrize("card", [{}, {"fov_diameter": None}, {"fov_diameter": -3}])
def test_the_card_must_give_the_diameter(card):
    with pytest.raises(ValueError, match="fov_diameter"):
        detect(BrightSquare(), photograph(), card)


def boxed(name="a", label=3, **scene):
    image = (255 * photograph(**scene)).round().astype(np.uint8)
    square = scene.get("square", (60, 110, 84, 126))
    boxes = torch.tensor([square] if square else [], dtype=torch.float32).reshape(-1, 4)
    return BoxedPhotograph(name, image, boxes, torch.full((len(boxes),), label))


def test_photographs_are_detected_in_order_beside_their_ground_truth():
    photos = [boxed(**scene) for scene in SCENES]
    found, ground_truths = detect_photographs(BrightSquare(), iter(photos), {"fov_diameter": 120})
    assert len(found) == len(ground_truths) == 3
    for one, true, photo in zip(found, ground_truths, photos, strict=True):
        assert true.keys() == {"boxes", "labels"} and torch.equal(true["boxes"], photo.boxes)
        assert (one["boxes"] - photo.boxes).abs().max() <= 3


def test_training_images_are_the_views_that_detect_looks_at():
    photos = [boxed(**scene) for scene in SCENES] + [boxed(square=None)]
    images, targets = stack_boxed_images(photos, 100)
    assert images.dtype == torch.float32 and images.shape[:2] == (4, 3)
    assert all(side % 32 == 0 for side in images.shape[2:]) and len(targets) == 4
    model = BrightSquare()
    for image, target, photo in zip(images, targets, photos, strict=True):
        bright, _ = boxes_from_masks(image[0] > 0.75)
        assert bright.shape == target["boxes"].shape
        assert len(bright) == 0 or (bright - target["boxes"]).abs().max() <= 1.2
        assert target["labels"].tolist() == photo.labels.tolist()
        assert target["segmentation"].shape == images.shape[2:]
        expected = ellipses(target["boxes"], target["labels"], tuple(images.shape[2:]))
        assert torch.equal(target["segmentation"], expected)
        model.seen.clear()
        detect(model, photo.image, {"fov_diameter": 100}, flips=False)
        (view,) = model.seen
        assert view[0] <= image.shape[1] and view[1] <= image.shape[2]
    with pytest.raises(ValueError, match="No photograph"):
        stack_boxed_images([], 100)


def test_edge_pixels_go_on_in_the_padding():
    """Where the frame cuts the field of view, black beyond it would be an edge to learn."""
    photo = boxed(size=(70, 90), centre=(35, 45), radius=200, square=(20, 20, 30, 30))
    images, _ = stack_boxed_images([photo], 90)
    assert images.shape[2:] == (96, 96)
    assert images[0, :, 72:, :].min() > 0.3 and images[0, :, :, 92:].min() > 0.3


def test_boxes_that_vanish_at_the_training_scale_are_left_out():
    photo = boxed()
    boxes = torch.cat([photo.boxes, torch.tensor([[80.0, 60, 83, 62], [170, 1, 179, 9]])])
    photo = BoxedPhotograph("a", photo.image, boxes, torch.tensor([3, 1, 2]))
    _, (target,) = stack_boxed_images([photo], 40)  # a third; the last box lies outside the field
    assert target["labels"].tolist() == [3]


def test_photographs_of_two_cameras_are_stacked_at_one_scale():
    pixels = (255 * photograph()).astype(np.uint8)
    box, label = torch.tensor([[60.0, 60, 90, 90]]), torch.ones(1, dtype=torch.int64)
    photos = [BoxedPhotograph("a", pixels, box, label, angle) for angle in (20, 40)]
    _, targets = stack_boxed_images(photos, 999, pixels_per_degree=2)
    narrow, wide = ((t["boxes"][0, 2] - t["boxes"][0, 0]).item() for t in targets)
    assert wide == pytest.approx(2 * narrow, rel=0.05)
    with pytest.raises(ValueError, match="The field angle of b is not known"):
        stack_boxed_images([BoxedPhotograph("b", pixels, box, label)], 99, pixels_per_degree=2)


def test_ellipses_fill_their_boxes_and_small_ones_lie_on_top():
    boxes = torch.tensor([[40.0, 10, 46, 14], [4, 2, 60, 30], [70, 3, 71, 4], [75, 0, 75, 9]])
    classes = ellipses(boxes, torch.tensor([2, 1, 3, 1]), (32, 80))
    assert classes.dtype == torch.int64 and classes.shape == (32, 80)
    assert boxes_from_masks(classes == 2)[0].tolist() == [[40, 10, 46, 14]]
    assert boxes_from_masks(classes > 0)[0].tolist() == [[4, 2, 60, 30], [70, 3, 71, 4]]
    area = ((classes == 1) | (classes == 2)).sum().item()
    assert area == pytest.approx(np.pi * 28 * 14, rel=0.02)
    assert (ellipses(boxes[:0], torch.zeros(0).long(), (5, 6)) == 0).all()


@pytest.mark.skipif(
    not Path(os.environ.get("RETINA_COURSE_DATA", ""), "IDRiD_boxes").is_dir(),
    reason="RETINA_COURSE_DATA does not hold IDRiD_boxes",
)
def test_the_shipped_detector_finds_the_disc_in_photographs_it_was_not_trained_on():
    model, card = weights.load("retina_net")
    for photo in list(IDRiDBoxes(split="test"))[:6]:
        found = detect(model, photo.image, card, flips=False)
        disc = found["boxes"][(found["labels"] == 1) & (found["scores"] >= card["threshold"])]
        assert iou(disc, photo.boxes[photo.labels == 1]).max() > 0.5, photo.name


class Brightest(torch.nn.Module):
    """The box of the brightest pixel of each image."""

    def __init__(self):
        super().__init__()
        self.unused, self.batches = torch.nn.Parameter(torch.zeros(1)), []

    def forward(self, images):
        assert not self.training
        self.batches.append(len(images))
        results = []
        for image in images:
            y, x = divmod(int(image[0].argmax()), image.shape[2])
            box = torch.tensor([[x, y, x + 1, y + 1]], dtype=torch.float32)
            scores, labels = image.max()[None], torch.ones(1, dtype=torch.int64)
            results.append({"boxes": box, "scores": scores, "labels": labels})
        return results


def test_many_images_are_detected_in_batches_in_order():
    images, model = torch.rand(5, 3, 8, 12), Brightest().train()
    found = detect_all(model, images, batch_size=2)
    assert model.batches == [2, 2, 1] and len(found) == 5
    assert model.training  # as it was before
    model.eval()
    for image, one in zip(images, found, strict=True):
        (alone,) = model(image[None])
        assert all(torch.equal(one[key], alone[key]) for key in alone)


def test_boxes_of_mirror_images_are_one_from_the_overlap_that_the_model_says(monkeypatch):
    class Nothing(nn.Module):
        size_multiple, nms_iou, anchors = 8, 0.37, ()

        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            empty = torch.zeros(0)
            return [{"boxes": torch.zeros(0, 4), "scores": empty, "labels": empty.long()}]

    asked = []
    monkeypatch.setattr(detection, "cluster", lambda *a: asked.append(a) or a[:3])
    detect_in_crop(Nothing(), torch.zeros(3, 8, 8), flips=True)
    assert asked[0][4] == 0.37 and asked[0][3].tolist() == [0, 0, 0, 0]
