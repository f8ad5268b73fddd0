import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.data.augment import RandomCrops, colour_jitter, flip_and_rotate


def generator(seed):
    return torch.Generator().manual_seed(seed)


def scene(size=64):
    targets = torch.zeros(2, 1, size, size)
    targets[0, :, 20:26] = 1
    targets[1, :, :, 30:36] = 1
    return targets.repeat(1, 3, 1, 1) * 0.6 + 0.2, targets


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 45.0, 180.0]))
def test_images_and_masks_stay_together(seed, rotation):
    images, targets = scene()
    crops = RandomCrops(images, targets, size=32, rotation=rotation, jitter=0)
    x, y = crops(generator(seed))
    assert x.shape == (4, 3, 32, 32) and y.shape == (4, 1, 32, 32)
    assert set(y.unique().tolist()) <= {0.0, 1.0}
    # The image shows its mask: they may differ by half a pixel, along the mask's edges only.
    agree = ((x[:, :1] > 0.5).float() == y).float().mean()
    assert agree > 0.9


def test_the_same_generator_gives_the_same_batch_and_another_another():
    crops = RandomCrops(*scene(), size=32)
    (x1, y1), (x2, y2), (x3, _) = (crops(generator(s)) for s in (1, 1, 2))
    assert torch.equal(x1, x2) and torch.equal(y1, y2) and not torch.equal(x1, x3)


def test_without_turning_and_scaling_crops_are_pieces_of_the_image():
    images = torch.rand(1, 3, 40, 40, generator=generator(0))
    targets = (images[:, :1] > 0.5).float()
    crops = RandomCrops(images, targets, size=40, rotation=0, scale=(1, 1), jitter=0)
    x, y = crops(generator(3))
    orientations = [
        torch.rot90(z, k, (1, 2)) for z in (images[0], images[0].flip(2)) for k in range(4)
    ]
    for item, mask in zip(x, y, strict=True):
        assert any(torch.allclose(item, other, atol=1e-5) for other in orientations)
        assert torch.equal(mask, (item[:1] > 0.5).float())


def test_classes_stay_int64_and_keep_their_numbers():
    images = torch.rand(2, 3, 40, 40)
    classes = torch.randint(4, (2, 40, 40))
    _, y = RandomCrops(images, classes, size=24)(generator(0))
    assert y.dtype == torch.int64 and y.shape == (4, 24, 24)
    assert set(y.unique().tolist()) <= {0, 1, 2, 3}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_flips_and_turns_move_pixels_and_change_none(seed):
    x = torch.rand(3, 2, 8, 8, generator=generator(seed))
    y = x.clone()
    turned, same = flip_and_rotate(x, y, generator(seed))
    assert torch.equal(turned, same)
    assert torch.equal(turned.flatten(1).sort().values, x.flatten(1).sort().values)


def test_all_eight_orientations_occur():
    x = torch.arange(4.0).reshape(1, 1, 2, 2).repeat(200, 1, 1, 1)
    turned, _ = flip_and_rotate(x, x, generator(0))
    assert len({tuple(item.flatten().tolist()) for item in turned}) == 8


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_colours_change_by_as_much_as_asked_and_stay_in_range(seed, strength):
    x = torch.rand(4, 3, 8, 8, generator=generator(seed))
    changed = colour_jitter(x, generator(seed), strength)
    assert changed.min() >= 0 and changed.max() <= 1
    assert (changed - x).abs().max() < 4 * strength + 1e-6


def test_grey_images_stay_grey():
    grey = torch.rand(2, 1, 8, 8).repeat(1, 3, 1, 1)
    changed = colour_jitter(grey, generator(1), 0.3)
    torch.testing.assert_close(changed, changed[:, :1].expand_as(changed))


@pytest.mark.parametrize(
    "images, targets, size, told",
    [
        (torch.rand(2, 1, 40, 40), torch.zeros(2, 1, 40, 40), 32, r"\(M, 3, H, W\)"),
        (torch.rand(2, 3, 40, 40), torch.zeros(2, 1, 40, 39), 32, "need targets"),
        (torch.rand(2, 3, 40, 40), torch.zeros(2, 3, 40, 40), 32, "need targets"),
        (torch.rand(2, 3, 40, 40), torch.zeros(2, 1, 40, 40), 48, "do not fit"),
        (torch.rand(2, 3, 40, 60), torch.zeros(2, 1, 40, 60), 48, "do not fit"),
        (torch.rand(2, 3, 60, 40), torch.zeros(2, 1, 60, 40), 48, "do not fit"),
    ],
)
def test_bad_input_is_named(images, targets, size, told):
    with pytest.raises(ValueError, match=told):
        RandomCrops(images, targets, size=size)


def test_images_that_are_not_square_cannot_be_turned():
    with pytest.raises(ValueError, match=r"square images, got shape \(1, 3, 8, 9\)"):
        flip_and_rotate(torch.rand(1, 3, 8, 9), torch.rand(1, 1, 8, 9), generator(0))
