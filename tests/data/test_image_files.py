"""Image files of many kinds: pages, depths, modes, DICOM, damage, size."""

import gzip
import io
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from png16 import png16

from retina_course.data import image_files
from retina_course.data.image_files import ImageWarning, is_photograph, read_pixels
from retina_course.data.images import read_image
from retina_course.data.pil_images import apply_orientation

RGB = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def tensor(array):
    return torch.from_numpy(array.transpose(2, 0, 1) / 255).float()


# --- pages ---------------------------------------------------------------------------------------


def test_the_largest_page_of_a_tiff_file_is_read_and_named(tmp_path):
    pages = [Image.new("RGB", size, "red") for size in ((10, 8), (39, 30), (20, 20))]
    pages.insert(1, Image.fromarray(RGB))
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.warns(ImageWarning, match=r"pages.tif: page 2 of 4 is used, the largest \(40x30"):
        image = read_image(path)
    torch.testing.assert_close(image, tensor(RGB))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_picture_of_an_animation_is_read(form, tmp_path):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime")]
    path = tmp_path / "moving"
    options = {"lossless": True} if form == "WEBP" else {}
    frames[0].save(path, form, save_all=True, append_images=frames[1:], duration=100, **options)
    with pytest.warns(ImageWarning, match="the first of its 2 pictures is used"):
        image = read_image(path)
    assert image[:, 0, 0].round(decimals=1).tolist() == [1, 0, 0]


def test_one_picture_gives_no_warning(tmp_path):
    for form in ("TIFF", "GIF", "PNG", "JPEG", "WEBP"):
        Image.fromarray(RGB).save(tmp_path / "one", form)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(tmp_path / "one").shape == (3, 30, 40)


# --- depths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "array", "tensor"])
def test_the_range_of_16_bit_images_is_read_from_the_data(bits, form, tmp_path):
    white = 2**bits - 1
    grey = np.linspace(0, 0.9 * white, 12 * 9).astype(np.uint16).reshape(12, 9)
    source = grey
    if form == "tensor":
        source = torch.from_numpy(grey).expand(3, -1, -1)
    elif form != "array":
        source = tmp_path / "grey"
        Image.fromarray(grey).save(source, form)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        image = read_image(source)
    torch.testing.assert_close(image, torch.from_numpy(grey / white).float().expand(3, -1, -1))
    said = [str(w.message) for w in found if w.category is ImageWarning]
    assert len(said) == (bits < 16)
    assert bits == 16 or f"image of {bits} bits, white is {white}" in said[0]


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_both_bytes_of_16_bit_colours_are_read(bits, channels, tmp_path):
    colours = np.random.default_rng(1).integers(0, 2**bits, (7, 9, channels)).astype(np.uint16)
    colours[0, 0], colours[..., 3:] = 2**bits - 1, 65535
    (tmp_path / "deep.png").write_bytes(png16(colours))
    assert np.array_equal(read_pixels(tmp_path / "deep.png"), colours[..., :3])
    if bits == 12:
        with pytest.warns(ImageWarning, match="12 bits"):
            assert read_image(tmp_path / "deep.png").max() == 1


def test_transparent_16_bit_colours_become_black(tmp_path):
    colours = np.full((2, 2, 4), 65535, np.uint16)
    colours[0, 0, 3] = 0
    (tmp_path / "cut.png").write_bytes(png16(colours))
    assert read_pixels(tmp_path / "cut.png")[..., 0].tolist() == [[0, 65535], [65535, 65535]]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_16_bit_colours_of_tiff_files(order, compression, planes, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    colours = np.random.default_rng(1).integers(0, 65536, (30, 40, 3)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "deep.tif",
        colours if planes == "contig" else colours.transpose(2, 0, 1),
        photometric="rgb",
        planarconfig=planes,
        byteorder=order,
        compression=compression,
    )
    if planes == "contig":
        assert np.array_equal(read_pixels(tmp_path / "deep.tif"), colours)
    elif compression:
        assert np.array_equal(read_pixels(tmp_path / "deep.tif"), colours >> 8)
    else:  # Pillow would take half of the bytes for all
        with pytest.raises(ValueError, match="deep.tif has colours of 16 bits in separate planes"):
            read_pixels(tmp_path / "deep.tif")


# --- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode, form",
    [("P", "PNG"), ("P", "TIFF"), ("CMYK", "TIFF"), ("LA", "PNG"), ("1", "PNG"), ("1", "TIFF"),
     ("RGBA", "TIFF"), ("L", "JPEG2000"), ("YCbCr", "TIFF"), ("PA", "PNG")],
)  # fmt: skip
def test_modes_are_read_as_pillow_shows_them(mode, form, tmp_path):
    image = Image.fromarray(RGB).convert("P" if mode == "PA" else mode)
    path = tmp_path / "image"
    image.save(path, form)
    with Image.open(path) as stored:
        expected = np.asarray(stored.convert("RGB"))
    torch.testing.assert_close(read_image(path), tensor(expected))


def test_floats_of_tiff_files(tmp_path):
    grey = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "floats.tif")
    torch.testing.assert_close(read_image(tmp_path / "floats.tif")[0], torch.from_numpy(grey))
    Image.fromarray(grey * 300).save(tmp_path / "large.tif")
    with pytest.raises(ValueError, match="from 0 to 300"):
        read_image(tmp_path / "large.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_colours_are_turned_upright(orientation, tmp_path):
    colours = np.arange(6 * 4 * 3, dtype=np.uint16).reshape(6, 4, 3) * 900
    (tmp_path / "deep.png").write_bytes(png16(colours, orientation))
    eight = Image.fromarray((colours >> 8).astype(np.uint8))
    eight.getexif()[0x0112] = orientation
    upright = np.asarray(apply_orientation(eight))
    assert np.array_equal(read_pixels(tmp_path / "deep.png") >> 8, upright)


# --- damage and size -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "JPEG2000", "PPM"])
def test_a_file_that_is_cut_off_is_an_error_with_its_name(form, tmp_path):
    path = tmp_path / "cut"
    Image.fromarray(RGB).save(path, form)
    content = path.read_bytes()
    for share in (0, 0.02, 0.3, 0.6, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"cut .*(not an image|damaged or cut off)"):
            read_pixels(path)


def test_large_images_have_a_limit_of_their_own(tmp_path, monkeypatch):
    Image.new("L", (9500, 9500)).save(tmp_path / "large.png")  # Pillow warns from 89 million on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_pixels(tmp_path / "large.png").shape == (9500, 9500)
    monkeypatch.setattr(image_files, "MAX_PIXELS", 10**6)
    with pytest.raises(ValueError, match=r"more than 1 million pixels \(9500x9500\).* Reduce it"):
        read_pixels(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(ValueError, match=r"large.png has more than 1 million pixels"):
        read_pixels(tmp_path / "large.png")


# --- what is a photograph ------------------------------------------------------------------------


def test_a_photograph_is_known_by_its_ending_or_its_content(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "image", "PNG")
    Image.fromarray(RGB).save(tmp_path / "image.backup", "JPEG")
    (tmp_path / "damaged.jpg").write_text("")
    (tmp_path / "dicom").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "table.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    (tmp_path / "film").write_bytes(b"\x00\x00\x01\xb3" + bytes(99))
    (tmp_path / "text").write_text("some text")
    found = {path.name for path in tmp_path.iterdir() if is_photograph(path)}
    assert found == {"image", "image.backup", "damaged.jpg", "dicom"}


# --- DICOM ---------------------------------------------------------------------------------------


@pytest.fixture
def dicom(monkeypatch):
    """A module in the place of `pydicom`; returns what its next file holds."""
    data = types.SimpleNamespace(PhotometricInterpretation="RGB", pixel_array=RGB, BitsStored=8)
    module = types.ModuleType("pydicom")

    def dcmread(file):
        assert isinstance(file, io.BytesIO)
        return data

    module.dcmread = dcmread
    monkeypatch.setitem(sys.modules, "pydicom", module)
    return data


@pytest.mark.parametrize("name", ["eye.dcm", "EYE.DCM", "1.2.840.1", "eye.dcm.gz"])
def test_a_dicom_file_is_known_by_its_name_or_its_first_bytes(name, dicom, tmp_path):
    content = bytes(128) + b"DICM..."
    if name.endswith("gz"):
        content = gzip.compress(content)
    (tmp_path / name).write_bytes(content)
    assert np.array_equal(read_pixels(tmp_path / name), RGB)


def test_dicom_depths_and_frames(dicom, tmp_path):
    path = tmp_path / "eye.dcm"
    path.write_bytes(b"DICM")
    dicom.PhotometricInterpretation, dicom.BitsStored = "MONOCHROME2", 12
    dicom.pixel_array = np.array([[0, 1000], [2000, 4095]], np.uint16)
    expected = torch.tensor([[0, 1000], [2000, 4095]]) / 4095
    torch.testing.assert_close(read_image(path)[0], expected, atol=2e-5, rtol=0)
    dicom.pixel_array = np.stack([dicom.pixel_array, 0 * dicom.pixel_array])
    dicom.NumberOfFrames = "2"
    with pytest.warns(ImageWarning, match="the first of its 2 pictures"):
        torch.testing.assert_close(read_image(path)[0], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "what, value, message",
    [
        ("PhotometricInterpretation", "MONOCHROME1", "colours as MONOCHROME1"),
        ("PhotometricInterpretation", "PALETTE COLOR", "colours as PALETTE COLOR"),
        ("pixel_array", np.array([[-5, 3]], np.int16), "int16, from -5"),
    ],
)
def test_a_dicom_file_that_is_not_read(what, value, message, dicom, tmp_path):
    (tmp_path / "eye.dcm").write_bytes(b"")
    setattr(dicom, what, value)
    with pytest.raises(ValueError, match=f"eye.dcm is a DICOM file .*{message}.* Export it"):
        read_pixels(tmp_path / "eye.dcm")


def test_without_pydicom_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (tmp_path / "eye.dcm").write_bytes(b"")
    with pytest.raises(ValueError, match="eye.dcm is a DICOM file.*pip install pydicom"):
        read_image(tmp_path / "eye.dcm")
