"""A disc on white or grey, as in scans and exports, has the field of view of the disc on black."""

import io

import numpy as np
import pytest
from PIL import Image

from retina_course.data.reading import field_of_view


def disc(side=200, radius=80, value=(150, 70, 20)):
    y, x = np.ogrid[:side, :side]
    inside = (y - side / 2) ** 2 + (x - side / 2) ** 2 < radius**2
    return np.where(inside[..., None], np.array(value, np.uint8), np.uint8(0)), inside


def on_white(image, inside):
    return np.where(inside[..., None], image, np.uint8(255))


@pytest.mark.parametrize("quality", [None, 95, 75])
def test_a_disc_on_white(quality):
    image = on_white(*disc())
    if quality:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        image = np.asarray(Image.open(buffer))
    found, inside = field_of_view(image), disc()[1]
    assert not (found & ~inside).any()
    assert (found & inside).sum() > 0.9 * inside.sum()  # less its soft border


def test_white_inside_the_disc_belongs_to_it():
    image, inside = disc()
    image = on_white(image, inside)
    image[90:110, 90:110] = 255  # an overexposed optic disc
    assert field_of_view(image)[90:110, 90:110].all()


def test_a_little_white_at_the_edge_is_part_of_the_picture():
    image, inside = disc(radius=130)  # cut off on four sides
    image[0, 90:110] = 255
    assert np.array_equal(field_of_view(image), inside)


def test_an_image_that_is_white_all_over_is_its_own_field():
    assert field_of_view(np.full((20, 30, 3), 255, np.uint8)).all()


@pytest.mark.parametrize(("level", "noise"), [(25, 0), (60, 0), (20, 8), (40, 8)])
def test_a_disc_on_grey(level, noise):
    image, inside = disc(radius=95)
    around = np.random.default_rng(0).normal(level, noise, image.shape).clip(0, 255)
    found = field_of_view(np.where(inside[..., None], image, around.astype(np.uint8)))
    assert (found & inside).sum() > 0.97 * (found | inside).sum()


def test_a_picture_without_a_border_is_its_own_field():
    y, x = np.ogrid[:200, :300]
    light = np.exp(-((y - 100) ** 2 + (x - 105) ** 2) / 2 / 120**2)  # darker outwards: no step
    image = (light[..., None] * [200, 120, 60]).astype(np.uint8)
    assert field_of_view(image).all()


def test_a_small_bright_thing_is_no_field():
    image = np.full((200, 200, 3), 60, np.uint8)
    image[80:120, 20:180] = 200  # a strip
    image[20:50, 20:50] = disc(30, 14, (250, 240, 230))[0]
    assert field_of_view(image).all()
