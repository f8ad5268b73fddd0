"""Picture files of unusual kinds, as the live page reads them and as the package does."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, Page
from PIL import Image, ImageCms
from scipy import ndimage
from test_live_browser import BUILT, DONE

from retina_course import make_fundus, segment, weights
from retina_course.data.datasets import ChaseDB1
from retina_course.data.image_files import read_pixels

needs_page = pytest.mark.skipif(
    CHROMIUM is None or not BUILT.is_file(), reason="needs Chromium and the book: make book"
)
DATA = os.environ.get("RETINA_COURSE_DATA", "")
RGB = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
# An input of files that decodes what is chosen; the pixels come as base64.
READER = """
  const input = Object.assign(document.createElement("input"), { type: "file", id: "reader" });
  document.body.append(input);
  input.addEventListener("change", async () => {
    const { width, height, pixels } = await retinaPicture().decode(input.files[0]);
    const text = Array.from(pixels, (value) => String.fromCharCode(value)).join("");
    window.decoded = [height, width, btoa(text)];
  });"""


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path)
    page.open(BUILT.as_uri())
    page.evaluate(READER)
    yield page
    page.close()


def decoded(page: Page, file: Path) -> np.ndarray:
    page.evaluate("window.decoded = null")
    page.choose("#reader", file)
    height, width, pixels = page.wait("window.decoded")
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3]


@needs_page
def test_a_picture_is_turned_as_its_orientation_says(page, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("WEBP", "PNG"):
        for orientation in range(10):  # 0 and 9 mean nothing
            exif = Image.Exif()
            exif[0x0112] = orientation
            file = tmp_path / f"{orientation}.{kind}"
            Image.fromarray(RGB).save(file, kind, lossless=True, exif=exif, icc_profile=profile)
            np.testing.assert_array_equal(decoded(page, file), read_pixels(file), str(file))
    file = tmp_path / "cut.webp"
    Image.fromarray(RGB).save(file, "WEBP", lossless=True, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(decoded(page, file), RGB)  # its list of tags is cut off


@needs_page
def test_of_16_bits_the_page_has_the_upper_8_and_says_so(page, tmp_path):
    file = tmp_path / "ramp.png"
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(ramp).save(file)
    np.testing.assert_array_equal(decoded(page, file)[..., 0], ramp >> 8)
    eye = (make_fundus((120, 130), seed=0).image[1].numpy() * 65535).astype(np.uint16)
    warnings = "document.getElementById('live-warnings').textContent"
    for pixels, said in ((eye, True), ((eye >> 8).astype(np.uint8), False)):
        Image.fromarray(pixels).save(file)
        page.evaluate("document.getElementById('live-status').textContent = ''")
        page.choose("#live-file", file)
        page.wait(DONE)
        assert ("16 bits for each colour" in page.evaluate(warnings)) == said


@pytest.mark.skipif(
    not Path(DATA, "CHASE_DB1").is_dir(), reason="RETINA_COURSE_DATA does not hold CHASE_DB1"
)
def test_the_lower_8_bits_change_at_most_one_pixel_of_the_map_in_1000():
    """As book/live.md says; a smoothed photograph has numbers between those of 8 bits."""
    photograph = ChaseDB1(Path(DATA, "CHASE_DB1"), "test")[19].image.astype(float)
    deep = (257 * ndimage.gaussian_filter(photograph, (0.7, 0.7, 0))).round().astype(np.uint16)
    deep[0, 0] = 65535
    network, card = weights.load("unet_small_any_camera")
    all_bits, upper = (
        segment(network, image, card, flips=False, field_angle=30).probability >= card["threshold"]
        for image in (deep, (deep >> 8).astype(np.uint8))
    )
    assert 0 < (all_bits != upper).float().mean() < 1e-3
