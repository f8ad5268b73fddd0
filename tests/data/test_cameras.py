"""Crops as other cameras show them: scale, place, light, focus, noise, file, each by its effect."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retina_course.data import appearance
from retina_course.data.cameras import RandomCameras, Scaled
from retina_course.data.jpeg import jpeg
from retina_course.data.synthetic import make_fundus

# Mean and standard deviation of the difference that a change makes, and of that between red and
# blue, over 80 images: any other order, range or sign gives other numbers.
DIFFERENCES = {
    "lesions": (0.00001, 0.00564, 0.00687),
    "light": (0.00563, 0.04992, 0.06231),
    "field_edge": (-0.01409, 0.08483, 0.11663),
    "focus": (0.00010, 0.02971, 0.03716),
    "sensor": (0.00172, 0.02797, 0.03557),
    "tones": (0.00246, 0.12824, 0.21872),
    "compression": (0.00194, 0.02235, 0.03190),
    "change": (-0.00516, 0.13573, 0.21083),
}
CHANGES = ("lesions", "light", "field_edge", "focus", "tones", "compression")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def eyes(n=2, size=128):
    return torch.stack([make_fundus(size, seed).image for seed in range(n)])


def wedge(size=256):
    """An image whose value tells the column, and whose target is a disc of radius 20 pixels."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disc = ((x - size / 2) ** 2 + (y - size / 2) ** 2 < 20**2).float()
    return Scaled(torch.ones(1, 3, size, size) * 0.5, disc[None, None], 8.0)


def test_a_crop_shows_the_disc_as_large_as_its_scale_says():
    """The area of the disc, in pixels of the crop, is that of its degrees at the drawn scale."""
    source = wedge()
    cameras = RandomCameras(
        [source], size=256, batch_size=48, pixels_per_degree=(2.0, 8.0), strength=0.0
    )
    _, targets = cameras(generator(1))
    whole = targets.flatten(1).sum(1)[(targets[:, :, [0, -1]].sum((1, 2, 3)) == 0)]
    found = (whole[whole > 0] / (math.pi * 20**2)).sqrt() * 8  # pixels per degree of each crop
    assert found.min() < 2.6 and found.max() > 6.5
    assert (found > 1.9).all() and (found < 8.1).all()
    assert found.log().mean().item() == pytest.approx(math.log(4), abs=0.25)  # log-uniform


def test_one_scale_and_no_change_of_appearance_gives_the_image_itself_somewhere():
    image = eyes(1)
    cameras = RandomCameras(
        [Scaled(image, image[:, :1], 4.0)],
        size=64,
        batch_size=8,
        pixels_per_degree=(4.0, 4.0),
        strength=0.0,
    )
    x, y = cameras(generator())
    # With strength 0 only the file's rounding is left: half of the crops, below one level.
    assert (x[:, :1] - y).abs().mean() < 0.01
    assert x.min() >= 0 and x.max() <= 1


def test_targets_are_parts_of_pixels_not_broken_lines():
    line = torch.zeros(1, 1, 256, 256)
    line[..., 126:129] = 1  # three pixels wide: less than one at a quarter of the scale
    source = Scaled(torch.zeros(1, 3, 256, 256), line, 8.0)
    cameras = RandomCameras([source], size=32, batch_size=16, pixels_per_degree=(2.0, 2.0))
    _, targets = cameras(generator())
    assert ((targets > 0.05) & (targets < 0.95)).any()
    # Length times width: about 32 pixels of length with 0.75 of width, whatever the angle.
    through = targets[targets.amax((1, 2, 3)) > 0].sum((1, 2, 3))
    assert through.median().item() == pytest.approx(32 * 0.75, rel=0.3)


def test_crops_are_turned_by_any_angle_and_mirrored():
    image = torch.zeros(1, 3, 256, 256)
    image[:, 0, :128] = 1  # red above
    image[:, 1, :, :128] = 1  # green on the left
    source = Scaled(image, image[:, :1], 8.0)
    cameras = RandomCameras(
        [source], size=64, batch_size=300, pixels_per_degree=(8.0, 8.0), strength=0.0
    )
    x, _ = cameras(generator())
    ramp = torch.linspace(-1, 1, 64)
    up, left = (
        torch.stack([(x[:, c] * ramp).sum((1, 2)), (x[:, c] * ramp[:, None]).sum((1, 2))], 1)
        for c in (0, 1)
    )
    both = (up.norm(dim=1) > 50) & (left.norm(dim=1) > 50)
    angles = torch.atan2(up[both, 1], up[both, 0])
    assert torch.histc(angles, 4, -math.pi, math.pi).min() > 0.1 * both.sum()
    cross = up[both, 0] * left[both, 1] - up[both, 1] * left[both, 0]
    assert 0.3 < (cross > 0).float().mean() < 0.7


def test_sources_are_used_by_their_shares():
    values = [Scaled(torch.full((1, 3, 64, 64), v), torch.zeros(1, 1, 64, 64), 4.0) for v in (0, 1)]
    cameras = RandomCameras(
        values, (1, 3), size=8, batch_size=400, pixels_per_degree=(8.0, 8.0), strength=0.0
    )
    x, _ = cameras(generator())
    assert (x.mean((1, 2, 3)) > 0.5).float().mean().item() == pytest.approx(0.75, abs=0.07)
    by_default = RandomCameras(
        [values[0], Scaled(torch.ones(3, 3, 64, 64), torch.zeros(3, 1, 64, 64), 4.0)]
    )
    assert by_default.shares == [0.25, 0.75]


def test_the_same_generator_gives_the_same_batch_and_another_another():
    source = Scaled(eyes(), eyes()[:, :1], 4.0)
    cameras = RandomCameras([source], size=64, batch_size=2, pixels_per_degree=(2.0, 4.0))
    one, same, other = (cameras(generator(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("name", [*CHANGES, "sensor"])
def test_every_change_changes_images_one_by_one_and_moves_nothing(name):
    images = eyes(1, 96).repeat(24, 1, 1, 1)
    extra = (appearance.noise_bank(96),) if name == "sensor" else ()
    change = getattr(appearance, name)
    changed = change(images, *extra, generator(3))
    assert changed.shape == images.shape and changed.min() >= 0 and changed.max() <= 1
    difference = (changed - images).abs().mean((1, 2, 3))
    assert difference.max() > 0.002 and len(difference.unique()) > 2
    still = change(images, *extra, generator(3), 0.0)
    assert (still - images).abs().max() < (0.02 if name == "compression" else 1e-3)
    # Outside the field of view it stays dark: no change paints the surround.
    outside = ~make_fundus(96, 0).fov
    assert changed[..., outside].mean() < 0.02


@pytest.mark.parametrize("name", DIFFERENCES)
def test_changes_are_as_large_as_they_were(name):
    images = eyes(2, 64).repeat(40, 1, 1, 1)
    extra = (appearance.noise_bank(64),) if name in ("sensor", "change") else ()
    moved = getattr(appearance, name)(images, *extra, generator(5)) - images
    found = moved.mean(), moved.std(), (moved[:, 0] - moved[:, 2]).std()
    assert [value.item() for value in found] == pytest.approx(DIFFERENCES[name], abs=2e-5)


def test_light_is_smooth_and_the_same_for_all_colours():
    grey = torch.full((50, 3, 64, 64), 0.4)
    lit = appearance.light(grey, generator())
    assert torch.equal(lit[:, 0], lit[:, 2])
    assert (lit.diff(dim=-1).abs().max() < 0.06) and lit.std() > 0.02


def test_the_edge_is_a_straight_line_in_a_fifth_of_the_images():
    cut = appearance.field_edge(torch.ones(500, 3, 32, 32), generator())
    touched = (cut == 0).any(-1).any(-1).any(-1)
    assert 0.12 < touched.float().mean() < 0.28
    assert cut[touched].mean((1, 2, 3)).min() > 0.4 and set(cut.unique().tolist()) == {0, 1}


def test_focus_blurs_half_of_the_images_up_to_1_6_pixels():
    point = torch.zeros(400, 1, 33, 33)
    point[..., 16, 16] = 1
    blurred = appearance.focus(point.expand(-1, 3, -1, -1), generator())[:, 0]
    offset = torch.arange(33.0) - 16
    spread = (blurred.sum(1) * offset**2).sum(1).sqrt()
    assert 0.32 < (spread > 0.3).float().mean() < 0.5 and 1.3 < spread.max() < 1.65
    assert torch.allclose(blurred.sum((1, 2)), torch.ones(400), atol=1e-4)


def test_noise_is_rarely_strong_and_never_in_the_black():
    images = torch.full((300, 3, 64, 64), 0.5)
    images[..., :16] = 0
    noisy = appearance.sensor(images, appearance.noise_bank(64), generator())
    spread = noisy[..., 24:].std((1, 2, 3))
    assert spread.median() < 0.03 and 0.03 < spread.max() < 0.3
    assert noisy[..., :8].abs().max() == 0


def test_tones_make_some_images_grey():
    x = (
        torch.rand(600, 3, 8, 8, generator=generator())
        * torch.tensor([0.9, 0.5, 0.2])[:, None, None]
    )
    toned = appearance.tones(x, generator(1))
    grey = (toned[:, 0] == toned[:, 2]).all(-1).all(-1)
    assert 0.07 < grey.float().mean() < 0.18
    gains = toned[~grey].mean((2, 3)) / x[~grey].mean((2, 3))
    assert gains.max() > 1.3 and gains.min() < 0.7


@given(seed=st.integers(0, 10**6), quality=st.integers(20, 95))
@settings(max_examples=12, deadline=None)
def test_jpeg_loses_what_pillows_files_lose(seed, quality):
    image = make_fundus(64, seed % 50).image
    ours = jpeg(image[None], torch.tensor(float(quality)).view(1, 1, 1, 1))[0]
    array, buffer = (255 * image).round().byte().permute(1, 2, 0).numpy(), io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality, subsampling=0)
    theirs = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1) / 255
    # The file also rounds brightness and colour to whole levels.
    loss, distance = (theirs - image).abs().mean(), (ours - theirs).abs().mean()
    assert distance < 0.5 * loss + 0.003


def test_jpeg_needs_blocks_of_8():
    with pytest.raises(ValueError, match="multiples of 8, got 12x16"):
        jpeg(torch.zeros(1, 3, 12, 16), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sources": []}, "at least one source"),
        ({"pixels_per_degree": (0, 3)}, "two positive numbers, the lower first, got 0, 3"),
        ({"pixels_per_degree": (4, 3)}, "the lower first"),
        ({"shares": (1, 2)}, "1 positive numbers, one for each source"),
        ({"shares": (0,)}, "positive numbers"),
        ({"shares": (float("nan"),)}, "positive numbers"),
        ({"shares": (float("inf"),)}, "positive numbers"),
    ],
)
def test_wrong_settings_are_refused(change, message):
    source = Scaled(eyes(1), eyes(1)[:, :1], 4.0)
    with pytest.raises(ValueError, match=message):
        RandomCameras(**({"sources": [source]} | change))


def test_wrong_sources_are_refused():
    with pytest.raises(ValueError, match=r"targets \(M, C, H, W\), got \(1, 3, 8, 8\)"):
        Scaled(torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8), 4.0)
    with pytest.raises(ValueError, match="must be positive, got -1"):
        Scaled(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), -1)


def test_two_targets_move_with_the_image_and_stay_apart():
    eye = make_fundus(256, 0)
    targets = torch.stack([eye.artery, eye.vein])[None].float()
    pictured = Scaled(targets[:, [0, 1, 1]], targets, 8.0)
    cameras = RandomCameras([pictured], size=64, pixels_per_degree=(6.0, 8.0), strength=0.0)
    x, y = cameras(generator())
    assert y.shape == (4, 2, 64, 64)
    assert torch.allclose(x[:, :2], y, atol=0.05)
    assert (y[:, 0] - y[:, 1]).abs().max() > 0.5
