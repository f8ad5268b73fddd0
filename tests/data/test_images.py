"""`read_image`: any type, orientation and depth becomes one RGB tensor."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from retina_course.data.images import read_image
from retina_course.data.reading import read_rgb


def test_all_types_read_the_same_image(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (7, 9), dtype=np.uint8)
    rgb = np.stack([grey, 255 - grey, grey // 2], axis=-1)
    expected = torch.from_numpy(rgb.transpose(2, 0, 1) / 255).float()
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    alpha = np.dstack([rgb, np.full_like(grey, 255)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    sources = [
        rgb,
        rgb.astype(np.uint16) * 257,
        rgb / 255,
        (rgb / 255).astype(np.float32),
        alpha,
        Image.fromarray(rgb),
        Image.fromarray(alpha),
        tmp_path / "rgb.png",
        str(tmp_path / "alpha.png"),
        torch.from_numpy(rgb).permute(2, 0, 1),
        expected,
        expected.double()[None],
    ]
    for source in sources:
        image = read_image(source)
        assert image.dtype == torch.float32 and image.shape == (3, 7, 9)
        torch.testing.assert_close(image, expected)


def test_grey_images_of_8_and_16_bits(tmp_path):
    grey = np.random.default_rng(0).integers(0, 65536, (7, 9), dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    expected = torch.from_numpy(grey / 65535).float().expand(3, 7, 9)
    for source in (grey, grey[..., None], grey / 65535, tmp_path / "grey16.png"):
        torch.testing.assert_close(read_image(source), expected)
        assert read_image(source).is_contiguous()  # no channel is a view of another
    eight = (grey >> 8).astype(np.uint8)
    torch.testing.assert_close(
        read_image(Image.fromarray(eight)), torch.from_numpy(eight / 255).float().expand(3, 7, 9)
    )


def test_exif_orientation_is_honoured(tmp_path):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:, :8] = 255  # bright left edge
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a rotation by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "turned.jpg")
    assert image.shape == (3, 16, 24)
    assert image[:, :, :6].min() > 0.9 and image[:, :, 10:].max() < 0.1


@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tag, tmp_path):
    pixels = np.random.default_rng(tag).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    expected = torch.from_numpy(shown.transpose(2, 0, 1) / 255).float()
    torch.testing.assert_close(read_image(tmp_path / "turned.png"), expected)


def test_exif_is_not_written_again(monkeypatch):
    def odd_tag(*arguments, **options):  # what Pillow does where a tag is of another type
        raise struct.error("required argument is not an integer")

    image = Image.fromarray(np.zeros((6, 9, 3), np.uint8))
    image.getexif()[0x0112] = 6
    monkeypatch.setattr(Image.Exif, "tobytes", odd_tag)
    assert read_image(image).shape == (3, 9, 6)


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.full((6, 9, 4), 255, np.uint8)
    pixels[:, :4, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    image = read_image(tmp_path / "cut.png")
    assert image[:, :, :4].max() == 0 and image[:, :, 4:].min() == 1
    assert np.array_equal(image.permute(1, 2, 0) * 255, read_rgb(tmp_path / "cut.png"))


def test_reading_does_not_change_or_share_the_source():
    array = np.full((8, 8, 3), 0.5, np.float32)
    tensor = torch.full((3, 8, 8), 0.5)
    for source in (array, tensor):
        read_image(source)[:] = 0
    assert array.min() == 0.5 and tensor.min() == 0.5


@pytest.mark.parametrize(
    "source, error, message",
    [
        (np.full((4, 4, 3), np.nan), ValueError, "NaN"),
        (np.full((4, 4, 3), np.inf), ValueError, "infinite"),
        (np.full((4, 4, 3), 200.0), ValueError, "Divide by 255"),
        (np.full((4, 4, 3), -0.5), ValueError, "-0.5"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"\(4, 4, 2\)"),
        (np.zeros((3, 40, 40), np.uint8), ValueError, "transpose"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "empty"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "int64"),
        (np.zeros((4, 4), bool), TypeError, "bool"),
        (torch.zeros(2, 3, 8, 8), ValueError, "one RGB image"),
        (torch.zeros(1, 8, 8), ValueError, "one RGB image"),
        (torch.zeros(3, 0, 8), ValueError, "empty"),
        ([[0, 1]], TypeError, "list"),
    ],
)
def test_what_is_no_image_gives_a_clear_error(source, error, message):
    with pytest.raises(error, match=message):
        read_image(source)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.png"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="text.png is not an image"):
        read_image(tmp_path / "text.png")
    with pytest.raises(ValueError, match="folder|Cannot read"):  # Windows: permission denied
        read_image(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="Cannot read the image .*cut.png"):
        read_image(tmp_path / "cut.png")
