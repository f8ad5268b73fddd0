"""Where a crop lies in its image, read off an image whose colours are its coordinates."""

import math

import pytest
import torch

from retina_course.data import appearance
from retina_course.data.cameras import RandomCameras, Scaled

SIDE, SIZE, CROPS = 512, 16, 600
LOW, HIGH, OWN = 10.0, 40.0, 40.0  # pixels per degree


@pytest.fixture(scope="module")
def maps():
    """Per crop the image's pixel at its centre, and how it moves per pixel right and down."""
    places = (torch.arange(SIDE) + 0.5) / SIDE
    y, x = torch.meshgrid(places, places, indexing="ij")
    source = Scaled(torch.stack([x, y, 0 * x])[None], x[None, None], OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(appearance, "change", lambda images, *_: images)
        cameras = RandomCameras(
            [source], size=SIZE, batch_size=CROPS, pixels_per_degree=(LOW, HIGH)
        )
        crops, targets = cameras(torch.Generator().manual_seed(0))
    assert torch.equal(crops[:, :1], targets)  # the ground truth is moved with the image
    middle = slice(SIZE // 2 - 2, SIZE // 2 + 2)  # always inside the image
    crops = crops[:, :2, middle, middle] * SIDE
    right = (crops[..., :, -1] - crops[..., :, 0]).mean(-1) / 3
    down = (crops[..., -1, :] - crops[..., 0, :]).mean(-1) / 3
    return crops.mean((2, 3)), torch.stack([right, down], 2).double()


def test_the_logarithm_of_the_scale_is_uniform(maps):
    step = torch.linalg.det(maps[1]).abs().sqrt()  # pixels of the image per pixel of the crop
    part = (OWN / step / LOW).log() / math.log(HIGH / LOW)
    assert part.min() > -0.01 and part.max() < 1.01
    shares = torch.histc(part, 4, 0, 1) / CROPS
    assert (shares - 0.25).abs().max() < 0.06


def test_pixels_are_stretched_by_at_most_a_tenth(maps):
    stretch = torch.linalg.svdvals(maps[1])
    ratio = stretch[:, 0] / stretch[:, 1]
    assert 1.2 < ratio.max() < 1.25 and ratio.min() < 1.01  # 1.1 by 0.9 is 1.22


def test_all_angles_and_both_mirror_images_occur_alike(maps):
    right, down = maps[1].unbind(2)
    mirrored = torch.linalg.det(maps[1]) < 0
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.07)
    angle = torch.atan2(down[:, 0], down[:, 1])
    for kind in (mirrored, ~mirrored):
        shares = torch.histc(angle[kind], 4, -math.pi, math.pi) / kind.sum()
        assert (shares - 0.25).abs().max() < 0.08
    assert (right * down).sum(1).abs().max() < 0.2 * OWN / LOW * OWN / LOW  # right angles stay


def test_places_are_independent_and_keep_most_of_the_crop_inside(maps):
    centre, matrix = maps
    step = torch.linalg.det(matrix).abs().sqrt()
    assert torch.corrcoef(centre.T)[0, 1].abs() < 0.12
    margin = 0.35 * SIZE * step[:, None]
    assert (centre > margin - 3).all() and (centre < SIDE - margin + 3).all()
    assert centre.min() < 40 and centre.max() > SIDE - 40
    assert centre[0].tolist() == pytest.approx([251.32, 443.27], abs=0.02)  # to a part of a pixel


@pytest.mark.parametrize("highest, share", [(2.0, 1.0), (8.0, 0.5)])
def test_no_pixel_of_the_image_is_skipped(highest, share):
    """At half the scale and below, a checkerboard of single pixels is grey, not black or white."""
    board = (torch.arange(256)[:, None] + torch.arange(256)).remainder(2).float()
    source = Scaled(board.expand(1, 3, 256, 256), board[None, None], 8.0)
    cameras = RandomCameras([source], size=16, batch_size=80, pixels_per_degree=(2.0, highest))
    _, targets = cameras(torch.Generator().manual_seed(0))
    grey = (targets[:, :, 4:12, 4:12] - 0.5).abs().amax((1, 2, 3)) < 0.02
    assert grey.float().mean().item() == pytest.approx(share, abs=0.12)
