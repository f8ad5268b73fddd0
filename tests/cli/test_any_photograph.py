"""Random images through `segment`: never a traceback, never a lost or foreign file."""

import contextlib
import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from retina_course import weights

ENDINGS = ("vessels.png", "probability.png", "overlay.jpg")
FORMATS = {
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "TIFF": ("RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16", "I", "F"),
    "BMP": ("RGB", "L", "P", "1"),
    "GIF": ("RGB", "L", "P"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("RGB", "L", "1", "I"),
    "JPEG2000": ("RGB", "RGBA", "L", "LA"),
}
WITH_ORIENTATION = ("PNG", "JPEG", "TIFF", "WEBP")


@st.composite
def pictures(draw):
    """A PIL image in the mode of a format, with that format."""
    form = draw(st.sampled_from(sorted(FORMATS)))
    mode = draw(st.sampled_from(FORMATS[form]))
    side = st.one_of(st.integers(1, 40), st.integers(1, 600))
    height, width, seed = draw(side), draw(side), draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["noise", "disc", "disc", "black", "white", "one colour"]))
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "disc":
        y, x = np.ogrid[:height, :width]
        radius = draw(st.floats(0.05, 0.6)) * max(height, width)
        inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < radius**2
        rgb = np.where(inside[..., None], rgb // 4 + np.array([140, 60, 10], np.uint8), rgb // 32)
    elif kind != "noise":
        rgb[:] = {"black": 0, "white": 255}.get(kind, rng.integers(0, 256, 3))
    image = Image.fromarray(rgb.astype(np.uint8))
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(image.convert("L")).astype(np.float32)
        top = {"I;16": draw(st.sampled_from([1, 4, 16, 64, 257])), "I": 257, "F": 1 / 255}[mode]
        numbers = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return form, Image.fromarray((grey * top).astype(numbers))
    return form, image.convert(mode)


@pytest.fixture(scope="module")
def small_scale(tmp_path_factory):
    """The small network of the package, for fields of view of 64 pixels: 100 times as fast."""
    model, card = weights.load("unet_small")
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    weights.save(
        path, model, card | {"pixels_per_degree": 64 / 45, "pixels_per_degree_range": [1, 2]}
    )
    return path


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(pictures(), st.integers(1, 8), st.one_of(st.none(), st.none(), st.floats(0, 0.999)))
def test_a_file_of_any_kind(small_scale, picture, orientation, cut):
    form, image = picture
    with tempfile.TemporaryDirectory() as folder:
        photo, out = Path(folder, f"eye.{form.lower()}"), Path(folder, "out")
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(photo, form, **({"exif": exif} if form in WITH_ORIENTATION else {}))
        if cut is not None:
            photo.write_bytes(photo.read_bytes()[: int(cut * photo.stat().st_size)])
        before = photo.read_bytes()
        out.mkdir()
        (out / "mine.txt").write_text("not yours")

        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = run("segment", photo, "-o", out, "--weights", small_scale, "--no-flips")
        event(f"exit code {code}, cut {cut is not None}")

        assert photo.read_bytes() == before and (out / "mine.txt").read_text() == "not yours"
        results = [out / f"eye_{ending}" for ending in ENDINGS]
        expected = {"mine.txt", "segment.csv"} | {path.name for path in results if code == 0}
        assert {path.name for path in out.iterdir()} == expected
        with (out / "segment.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        if code == 0:
            turned = orientation > 4 and form in WITH_ORIENTATION
            size = image.size[::-1] if turned else image.size
            for path in results:
                with Image.open(path) as result:
                    assert result.size == size
            assert (int(row["width"]), int(row["height"])) == size and row["error"] == ""
            assert "eye" in stdout.getvalue() and "error" not in stderr.getvalue()
        else:
            assert code == 1 and stdout.getvalue() == ""
            first = stderr.getvalue().splitlines()[0]
            assert first.startswith("retina-course: error: ") and str(photo) in first
            assert row["error"] and (cut is not None or "image is black" in first)
