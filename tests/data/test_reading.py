"""Files as photographs, masks and fields of view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from published_layouts import SIZE, rgb, save, vessels
from skimage.draw import disk

from retina_course.data.datasets import DatasetError, field_of_view
from retina_course.data.reading import read_mask, read_rgb

ENDINGS = ("jpg", "png", "tif", "gif", "ppm", "ppm.gz", "bmp")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.6])
def test_truncated_images_are_refused_with_their_name(ending, keep, tmp_path):
    path = tmp_path / f"photo.{ending}"
    save(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    assert read_rgb(path).shape == (64, 64, 3)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DatasetError, match=rf"photo\.{ending}"):
        read_rgb(path)


def test_masks_with_lossy_edges_are_refused(tmp_path):
    save(tmp_path / "mask.jpg", vessels(), quality=50)
    with pytest.raises(DatasetError, match="not as JPEG"):
        read_mask(tmp_path / "mask.jpg")


@given(levels=st.sets(st.integers(0, 65535), min_size=1, max_size=4), wide=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_mask_is_accepted_only_with_0_and_one_bright_level(levels, wide, tmp_path_factory):
    levels = sorted(levels) if wide else sorted({level % 256 for level in levels})
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    pixels = np.resize(np.array(levels, np.uint16 if wide else np.uint8), SIZE)
    save(path, pixels)
    if len(levels) == 1 or (len(levels) == 2 and levels[0] == 0):
        assert np.array_equal(read_mask(path), pixels > 0)
    else:
        with pytest.raises(DatasetError):
            read_mask(path)


@pytest.mark.parametrize(
    ("high", "form"),
    [(65535, "L"), *((high, form) for high in (1, 128, 255) for form in ("L", "RGB", "P"))],
)
def test_masks_are_read_in_each_usual_form(high, form, tmp_path):
    pixels = (vessels() > 0) * np.array(high, np.uint16 if high > 255 else np.uint8)
    save(tmp_path / "mask.png", rgb(pixels) if form == "RGB" else pixels)
    if form == "P":
        Image.open(tmp_path / "mask.png").convert("P").save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.dtype == bool and np.array_equal(mask, vessels() > 0)


def test_photographs_become_rgb_from_any_form(tmp_path):
    grey = np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE) // 2
    save(tmp_path / "grey.png", grey)
    assert np.array_equal(read_rgb(tmp_path / "grey.png"), rgb(grey))
    save(tmp_path / "wide.png", grey.astype(np.uint16) * 257)  # 16 bits: scaled, not clipped
    assert np.array_equal(read_rgb(tmp_path / "wide.png"), rgb(grey))
    save(tmp_path / "wide.tif", grey.astype(np.uint16) * 257)
    assert np.array_equal(read_rgb(tmp_path / "wide.tif"), rgb(grey))
    alpha = np.dstack([rgb(grey), np.where(grey > 50, 255, 0).astype(np.uint8)])
    save(tmp_path / "alpha.png", alpha)  # transparent is black
    assert np.array_equal(read_rgb(tmp_path / "alpha.png"), rgb(np.where(grey > 50, grey, 0)))
    save(tmp_path / "float.tif", grey.astype(np.float32))
    with pytest.raises(DatasetError, match="float.tif: Expected floats in .0, 1., got"):
        read_rgb(tmp_path / "float.tif")
    save(tmp_path / "float.tif", grey.astype(np.float32) / 255)
    assert np.array_equal(read_rgb(tmp_path / "float.tif"), rgb(grey))


@given(
    radius=st.integers(12, 28),
    centre=st.tuples(st.integers(30, 50), st.integers(30, 60)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=30)
def test_field_of_view_is_the_disc_whatever_lies_in_and_around_it(radius, centre, seed):
    random = np.random.default_rng(seed)
    expected = np.zeros((80, 90), bool)
    expected[disk(centre, radius, shape=expected.shape)] = True
    image = random.integers(0, 21, (80, 90, 3)).astype(np.uint8)  # sensor noise up to 20
    image[expected, random.integers(3)] = 21
    dark = tuple(np.array(centre) + random.integers(-3, 4, 2))
    image[disk(dark, 5)] = 0  # a macula darker than the threshold
    image[:4, :9] = 255  # the camera's printed date
    assert np.array_equal(field_of_view(image), expected)
