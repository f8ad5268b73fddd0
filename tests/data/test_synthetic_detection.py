"""Synthetic images with boxes: lesions of fundus images, discs and rings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from retina_course.data.detection import LESION_CLASSES, boxes_from_masks, check_target
from retina_course.data.synthetic import detection, make_fundus_images
from retina_course.data.synthetic.detection import synthetic_detection, synthetic_toys


def test_synthetic_fundus_images_have_the_boxes_of_their_layers():
    images, targets = synthetic_detection(3, 96, seed=4)
    assert images.shape == (3, 3, 96, 96) and images.dtype == torch.float32
    kinds = set()
    for image, one, fundus in zip(images, targets, make_fundus_images(3, 96, seed=4), strict=True):
        assert torch.equal(image, fundus.image)
        classes = one["segmentation"]
        assert classes.dtype == torch.int64
        assert torch.equal(classes == 2, fundus.exudate)
        assert torch.equal(classes == 3, fundus.haemorrhage & ~fundus.exudate)
        assert torch.equal(classes == 1, fundus.disc & ~fundus.lesion)
        boxes, labels = boxes_from_masks(classes)
        assert torch.equal(boxes, one["boxes"]) and torch.equal(labels, one["labels"])
        check_target(one, (96, 96), len(LESION_CLASSES))
        kinds |= set(labels.tolist())
    assert kinds == {1, 2, 3} and len(LESION_CLASSES) == 3


def test_exudates_lie_over_haemorrhages_and_both_over_the_disc(monkeypatch):
    def layer(first, last):
        return (torch.arange(10) >= first).expand(4, 10) & (torch.arange(10) < last)

    fundus = SimpleNamespace(
        image=torch.zeros(3, 4, 10),
        fov=layer(0, 10),
        disc=layer(0, 6),
        haemorrhage=layer(2, 8),
        exudate=layer(4, 10),
    )
    monkeypatch.setattr(detection, "make_fundus_images", lambda n, size, seed: [fundus])
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
