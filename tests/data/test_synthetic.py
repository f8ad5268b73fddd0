"""Synthetic fundus images: the same everywhere, exact, of any size, and worth learning from."""

import hashlib
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from retina_course.data.synthetic import (
    DISC,
    LESION,
    make_fundus,
    synthetic_batch,
    synthetic_classes,
    vessel_tree,
)
from retina_course.data.synthetic.scene import Scene

LAYERS = ("artery", "vein", "disc", "lesion", "fov")
# Of the layers of seed 0 at 256 pixels: changes only where the rendering itself is changed.
GOLDEN = "eb75ff62ce353f150ca1708e1fe720654fd8842b7962b4cf0d1ac19bb038c457"
GOLDEN_COLOUR = [0.4875, 0.1703, 0.0728]


def digest(fundus) -> str:
    layers = np.stack([getattr(fundus, name).numpy() for name in LAYERS])
    return hashlib.sha256(np.packbits(layers).tobytes()).hexdigest()


def test_the_same_seed_gives_the_same_image():
    one, two = make_fundus(96, 7), make_fundus(96, 7)
    for name in (*LAYERS, "image", "boxes", "labels", "classes"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_another_seed_gives_another_image():
    images = [make_fundus(64, seed) for seed in range(6)]
    assert len({digest(fundus) for fundus in images}) == 6
    assert len({fundus.image.numpy().tobytes() for fundus in images}) == 6


def test_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one = make_fundus(48, 3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    torch.manual_seed(1)
    assert torch.equal(make_fundus(48, 3).image, one.image)


def test_the_layers_are_those_of_every_machine():
    fundus = make_fundus(256, 0)
    assert digest(fundus) == GOLDEN
    # The image may differ by a grey level in single pixels, so not by its digest.
    assert fundus.image.double().mean((1, 2)).tolist() == pytest.approx(GOLDEN_COLOUR, abs=2e-4)


@settings(deadline=None, max_examples=12)
@given(st.integers(32, 150), st.integers(32, 150), st.integers(0, 2**70))
def test_any_size_gives_well_formed_layers_boxes_and_classes(height, width, seed):
    fundus = make_fundus((height, width), seed)
    assert fundus.image.shape == (3, height, width) and fundus.image.dtype == torch.float32
    assert 0 <= fundus.image.min() and fundus.image.max() <= 1
    grey_levels = fundus.image * 255
    assert torch.allclose(grey_levels, grey_levels.round(), atol=1e-4)
    for name in LAYERS:
        layer = getattr(fundus, name)
        assert layer.shape == (height, width) and layer.dtype == torch.bool
        assert not (layer & ~fundus.fov).any(), f"{name} outside the field of view"
    assert fundus.artery.any() and fundus.vein.any() and fundus.disc.any()
    assert (fundus.image[:, ~fundus.fov] == 0).all()
    check_classes(fundus)
    check_boxes(fundus)


def check_classes(fundus):
    expected = np.select([fundus.lesion, fundus.vessel, fundus.disc], [3, 1, 2], 0)
    assert fundus.classes.dtype == torch.int64
    assert np.array_equal(fundus.classes, expected)


def check_boxes(fundus):
    """Each box bounds one component of its layer, and nothing of the layer is without a box."""
    assert fundus.boxes.dtype == torch.float32 and fundus.labels.dtype == torch.int64
    assert fundus.boxes.shape == (len(fundus.labels), 4)
    for label, layer in ((DISC, fundus.disc), (LESION, fundus.lesion)):
        pieces, count = ndimage.label(layer.numpy(), np.ones((3, 3)))
        expected = []
        for piece in range(1, count + 1):
            rows, columns = np.nonzero(pieces == piece)
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            expected.append(tuple(map(float, box)))
        found = [tuple(box) for box in fundus.boxes[fundus.labels == label].tolist()]
        assert sorted(found) == sorted(expected)


def test_lesions_are_in_some_images_and_not_in_all():
    labels = [make_fundus(64, seed).labels for seed in range(16)]
    assert all((one == DISC).sum() == 1 for one in labels)
    assert 4 <= sum(bool((one == LESION).any()) for one in labels) < 16


@pytest.mark.parametrize("size", [128, 512])
def test_the_share_of_vessels_is_that_of_real_photographs(size):
    for seed in range(4):
        fundus = make_fundus(size, seed)
        assert 0.08 < fundus.vessel.sum() / fundus.fov.sum() < 0.14


def test_masks_fit_the_image():
    lesions = []
    for seed in range(6):
        fundus = make_fundus(256, seed)
        green = fundus.image[1].numpy()
        inner = ndimage.binary_erosion(fundus.fov, iterations=6) & ~fundus.disc.numpy()
        plain = inner & ~fundus.lesion.numpy() & ~fundus.vessel.numpy()
        vein = (fundus.vein & ~fundus.artery).numpy()
        artery = (fundus.artery & ~fundus.vein).numpy()
        around = ndimage.gaussian_filter(green * plain, 4) / (
            ndimage.gaussian_filter(plain * 1.0, 4) + 1e-6
        )
        contrast = green / np.maximum(around, 1e-3)
        lesion = fundus.lesion.numpy() & inner
        assert contrast[vein & inner].mean() < contrast[artery & inner].mean() < 0.97
        assert contrast[vein & inner & ~lesion].mean() < 0.93
        assert green[fundus.disc.numpy()].mean() > 1.3 * green[plain].mean()
        lesions.append(contrast[lesion])
    lesions = np.concatenate(lesions)
    assert (lesions < 0.8).mean() > 0.2  # haemorrhages
    assert (lesions > 1.2).mean() > 0.2  # exudates


def test_shifted_masks_fit_worse():
    fundus = make_fundus(256, 1)
    green, vessel = fundus.image[1].numpy(), fundus.vessel.numpy()
    inner = ndimage.binary_erosion(fundus.fov, iterations=8) & ~fundus.disc.numpy()
    darkness = {
        shift: green[np.roll(vessel, shift, (0, 1)) & inner].mean()
        for shift in ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))
    }
    assert min(darkness, key=darkness.get) == (0, 0)


def test_the_macula_is_darker_than_the_rest():
    for seed in range(6):
        scene, fundus = Scene(seed), make_fundus(128, seed)
        if np.hypot(*scene.fovea) > 0.7:
            continue
        column, row = (scene.fovea * scene.fill * 64 + 63.5).round().astype(int)
        plain = (fundus.classes == 0) & fundus.fov
        spot = torch.zeros_like(plain)
        spot[row - 4 : row + 5, column - 4 : column + 5] = True
        assert fundus.image[1][spot & plain].mean() < 0.9 * fundus.image[1][plain].mean()


@pytest.mark.parametrize("seed", [0, 5])
def test_a_scene_scales_with_its_size(seed):
    large, small = make_fundus(512, seed), make_fundus(256, seed)
    for name, least in (("vessel", 0.85), ("disc", 0.98), ("fov", 0.99)):
        shrunk = getattr(large, name).float().reshape(256, 2, 256, 2).mean((1, 3))
        pair = torch.stack([shrunk.flatten(), getattr(small, name).float().flatten()])
        assert torch.corrcoef(pair)[0, 1] > least, name


def test_in_a_rectangle_the_image_of_the_shorter_side_lies_in_the_middle():
    square, wide = make_fundus(64, 2), make_fundus((64, 97), 2)
    for name in (*LAYERS, "image"):
        assert torch.equal(getattr(wide, name)[..., 16:80], getattr(square, name)), name
    shift = torch.tensor([16.0, 0, 16, 0])
    assert torch.equal(wide.boxes, square.boxes + shift)


def test_calibres_follow_murrays_law():
    tree = Scene(0).vein
    cubes = tree.radius**3
    inflow = np.zeros(len(cubes))
    np.add.at(inflow, tree.parent[tree.parent >= 0], cubes[tree.parent >= 0])
    fork = np.bincount(tree.parent[tree.parent >= 0], minlength=len(cubes)) >= 2
    assert fork.sum() > 30
    side_loss = cubes[fork] - inflow[fork]  # the constant share of the capillaries
    assert np.allclose(side_loss, side_loss.mean()) and side_loss.mean() < 0.05 * cubes.min()
    assert (tree.parent < np.arange(len(cubes))).all()


def test_painting_is_exact_for_a_straight_vessel():
    ends = np.array([[-0.5, 0.0], [0.5, 0.0]])
    tree = vessel_tree.Tree(ends, np.array([-1, 0]), np.array([0.05, 0.05]))
    cover, _, _ = vessel_tree.paint(tree, 200, 100.0)
    rows, columns = np.nonzero(cover >= 0.5)
    assert rows.min() == 95 and rows.max() == 104  # 10 pixels: 2 x 0.05 x 100
    assert columns.min() == 45 and columns.max() == 154  # 100 and two round ends of 5
    assert cover.sum() == pytest.approx(1000 + np.pi * 25, rel=0.01)


def test_synthetic_batch_and_classes():
    images, vessels, fovs = synthetic_batch(3, 48, seed=4)
    assert images.shape == (3, 3, 48, 48) and images.dtype == torch.float32
    assert vessels.shape == fovs.shape == (3, 1, 48, 48)
    assert vessels.dtype == torch.float32 and set(vessels.unique().tolist()) == {0, 1}
    assert fovs.dtype == torch.bool
    same, classes = synthetic_classes(3, 48, seed=4)
    assert torch.equal(images, same)
    assert classes.shape == (3, 48, 48) and classes.dtype == torch.int64
    # A longer batch starts with the shorter one; neighbouring seeds share nothing.
    assert torch.equal(synthetic_batch(2, 48, seed=4)[0], images[:2])
    other = synthetic_batch(3, 48, seed=5)[0]
    assert not any(torch.equal(a, b) for a in images for b in other)


def test_512_pixels_take_well_under_a_second():
    make_fundus(64)
    times = []
    for seed in range(3):
        start = time.perf_counter()
        make_fundus(512, seed)
        times.append(time.perf_counter() - start)
    assert min(times) < 2  # about 0.1 s on an idle core; wide, for a busy machine


@pytest.mark.parametrize(
    "size, error, words",
    [
        (31, ValueError, "at least 32.*31"),
        ((64, 16), ValueError, "at least 32.*16"),
        (-64, ValueError, "at least 32"),
        (64.0, TypeError, r"int or \(height, width\)"),
        ((64,), TypeError, r"int or \(height, width\)"),
        ((3, 64, 64), TypeError, r"int or \(height, width\)"),
        ((64.5, 64), TypeError, r"int or \(height, width\)"),
        ("64", TypeError, r"int or \(height, width\)"),
        (True, TypeError, r"int or \(height, width\)"),
        (None, TypeError, r"int or \(height, width\)"),
    ],
)
def test_bad_sizes(size, error, words):
    with pytest.raises(error, match=words):
        make_fundus(size)


@pytest.mark.parametrize(
    "seed, error", [(-1, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)]
)
def test_bad_seeds(seed, error):
    with pytest.raises(error, match="seed must be"):
        make_fundus(64, seed)
    with pytest.raises(error, match="seed must be"):
        synthetic_batch(1, 64, seed)


@pytest.mark.parametrize("n", [0, -2, 1.5, True])
def test_bad_numbers_of_images(n):
    with pytest.raises(ValueError, match="n must be"):
        synthetic_batch(n, 64)
