"""What the augmentation draws, measured in its results: ranges, directions, one draw per image."""

import pytest
import torch

from retina_course.data import augment
from retina_course.data.augment import RandomCrops, colour_jitter, flip_and_rotate
from retina_course.data.detection import RandomAffine

N, HEIGHT, WIDTH, SIZE = 1500, 100, 200, 8


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def reaches(values, low, high, share=0.02):
    """All values lie in the range, and come close to both of its ends."""
    near, slack = share * (high - low), 1e-3 * (high - low)
    assert low - slack <= values.min() <= low + near, (values.min(), low)
    assert high - near <= values.max() <= high + slack, (values.max(), high)


@pytest.fixture
def placed(monkeypatch):
    """Where crops lie in their images: the linear map of each, its centre, its image."""
    monkeypatch.setattr(augment, "flip_and_rotate", lambda images, masks, _: (images, masks))
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    images = torch.stack([torch.stack([x / WIDTH, y / HEIGHT, i + 0 * x]) for i in range(3)])
    targets = images[:, :1].clone()

    def place(**options):
        crops = RandomCrops(images, targets, size=SIZE, batch_size=N, jitter=0, **options)
        monkeypatch.setattr(augment, "colour_jitter", lambda images, *_: images)
        found, _ = crops(generator())
        source = found[:, :2].double() * torch.tensor([WIDTH, HEIGHT]).view(1, 2, 1, 1)
        inside = source[:, :, 2:-2, 2:-2]  # bilinear sampling keeps a ramp a ramp
        right = (inside[..., 1:] - inside[..., :-1]).mean(dim=(2, 3))
        down = (inside[..., 1:, :] - inside[..., :-1, :]).mean(dim=(2, 3))
        steps = inside[..., 1:] - inside[..., :-1] - right[:, :, None, None]
        assert steps.abs().max() < 1e-3, "not a linear map: not bilinear, or not the same angle"
        return right, down, inside.mean(dim=(2, 3)), found[:, 2, 4, 4]

    return place


def test_angles_scales_and_places_fill_their_ranges(placed):
    right, down, centre, image = placed(rotation=30, scale=(0.8, 1.25))
    turned = torch.stack([-right[:, 1], right[:, 0]], dim=1)
    torch.testing.assert_close(turned, down, atol=1e-3, rtol=0)  # a turn: no mirror, no shear
    angle = torch.atan2(right[:, 1], right[:, 0]).rad2deg()
    reaches(angle, -30, 30)
    reaches(1 / right.norm(dim=1), 0.8, 1.25)
    reaches(centre[:, 0], SIZE / 2, WIDTH - SIZE / 2)
    reaches(centre[:, 1], SIZE / 2, HEIGHT - SIZE / 2)
    assert abs(angle.mean()) < 3 and abs(centre[:, 0].mean() - WIDTH / 2) < 5
    for drawn in (angle, right.norm(dim=1), centre[:, 0], centre[:, 1]):
        assert len(drawn.unique()) > 0.9 * N  # each crop has its own
    counts = image.round().long().bincount(minlength=3)
    assert (counts > N / 4).all()


def test_without_rotation_and_scale_a_pixel_is_a_pixel(placed):
    right, down, _, _ = placed(rotation=0, scale=(1, 1))
    one = torch.tensor([[1.0, 0.0]]).double()
    torch.testing.assert_close(right, one.expand(N, 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(down, one.flip(1).expand(N, 2), atol=1e-3, rtol=0)


def test_the_defaults_are_those_of_the_recipe():
    crops = RandomCrops(torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    assert (crops.size, crops.batch_size) == (256, 4)
    assert (crops.rotation, crops.scale, crops.jitter) == (45.0, (0.85, 1.2), 0.2)


def test_beyond_the_border_it_is_black_and_background():
    white = torch.ones(1, 3, 64, 64)
    crops = RandomCrops(white, white[:, :1], size=64, batch_size=64, rotation=45, jitter=0)
    images, targets = crops(generator())
    assert (images.amin(dim=(1, 2, 3)) == 0).float().mean() > 0.7
    assert ((images[:, :1] > 0.5) == (targets == 1)).float().mean() > 0.98


def test_the_strength_of_the_colours_is_handed_on():
    images = torch.rand(1, 3, 32, 32, generator=generator())
    crops = RandomCrops(
        images, images[:, :1].round(), size=32, rotation=0, scale=(1, 1), jitter=0.01
    )
    plain = RandomCrops(images, crops.targets, size=32, rotation=0, scale=(1, 1), jitter=0)
    difference = (crops(generator())[0] - plain(generator())[0]).abs().max()
    assert 1e-4 < difference < 0.04


def test_all_orientations_are_about_equally_frequent():
    square = torch.arange(4.0).reshape(1, 1, 2, 2).repeat(1600, 1, 1, 1)
    turned, _ = flip_and_rotate(square, square, generator())
    _, counts = turned.flatten(1).unique(dim=0, return_counts=True)
    assert len(counts) == 8 and counts.min() > 150 and counts.max() < 250


def test_a_change_of_colours_draws_each_of_its_four_factors_for_each_image():
    """Brightness, contrast and saturation by up to a fifth, hue by up to 0.05 radians."""
    pattern = 0.02 * torch.rand(1, 1, 4, 4, generator=generator())
    colour = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    images = (colour + pattern - pattern.mean()).repeat(N, 1, 1, 1).double()
    changed = colour_jitter(images, generator(), 0.2)

    def parts(batch):
        grey = batch.mean(dim=1)
        tint = (batch - grey[:, None]).mean(dim=(2, 3))
        return grey.mean(dim=(1, 2)), grey.flatten(1).std(dim=1), tint

    (mean, spread, tint), (new_mean, new_spread, new_tint) = parts(images), parts(changed)
    brightness, contrast = new_mean / mean, new_spread / spread
    saturation = new_tint.norm(dim=1) / tint.norm(dim=1) / contrast
    across = torch.linalg.cross(tint, new_tint).sum(dim=1) / 3**0.5
    hue = torch.atan2(across, (tint * new_tint).sum(dim=1))
    for factor in (brightness, contrast, saturation):
        reaches(factor, 0.8, 1.2)
    reaches(hue, -0.05, 0.05)
    drawn = torch.stack([brightness, contrast, saturation, hue])
    assert all(len(one.unique()) > 0.9 * N for one in drawn)
    assert (torch.corrcoef(drawn) - torch.eye(4)).abs().max() < 0.1  # of each other independent


def test_crops_occur_in_all_orientations():
    images = torch.rand(1, 3, 8, 8, generator=generator())
    crops = RandomCrops(images, images[:, :1].round(), 8, 200, rotation=0, scale=(1, 1), jitter=0)
    found, _ = crops(generator())
    assert len((found * 1e4).round().flatten(1).unique(dim=0)) == 8


def test_a_seed_gives_the_batch_that_it_gave_when_results_were_stored():
    """Whatever changes what is drawn, or in which order, makes stored runs unrepeatable."""
    y, x = torch.meshgrid(torch.arange(12) / 12, torch.arange(16) / 16, indexing="ij")
    images = torch.stack([0.2 + 0.5 * x, 0.1 + 0.4 * y, 0.3 * x * y])[None]
    crops = RandomCrops(images, (images[:, :1] > 0.4).float(), size=4, batch_size=2)
    found, targets = crops(generator(5))
    expected = torch.tensor([[0.3883, 0.1762, 0.0224], [0.5514, 0.4355, 0.1929]])
    torch.testing.assert_close(found[:, :, 1, 2], expected, atol=1e-3, rtol=0)
    assert targets[0].max() == 0 and targets[1].sum() == 15 and targets[1, 0, 3, 3] == 0
    box = {"boxes": torch.tensor([[2.0, 3, 9, 8]]), "labels": torch.tensor([1])}
    found, boxes = RandomAffine(images, [box], 2)(generator(5))
    expected = torch.tensor([[0.4195, 0.2866, 0.139], [0.4744, 0.2879, 0.0173]])
    torch.testing.assert_close(found[:, :, 5, 7], expected, atol=1e-3, rtol=0)
    expected = torch.tensor([[8.067, 3.505, 14.185, 7.875], [0.983, 2.501, 8.907, 8.162]])
    torch.testing.assert_close(torch.cat([b["boxes"] for b in boxes]), expected, atol=0.01, rtol=0)
