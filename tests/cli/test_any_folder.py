"""Random folders through `segment`, `evaluate` and `train`: nothing lost, changed or unsaid.

For longer: `FUZZ=500 pytest tests/cli/test_any_folder.py` tries so many folders with each command.
"""

import contextlib
import csv
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from retina_course import weights
from retina_course.cli.own_files import mark_of
from retina_course.data.reading import printable
from retina_course.models import create_model

FUZZ = int(os.environ.get("FUZZ", 0))
SIZE = 48
TINY = ("--steps", "1", "--crop", "32", "--batch-size", "2", "--fov-diameter", "40")
NAMES = (
    "eye1",
    "eye2",
    "EYE1",
    "eye 3",
    "-o",
    "eye[1]",
    "a.b",
    ".hidden",
    "gr\u00fcn",
    "gru\u0308n",
)
NAMES += (
    "\U0001f441",
    "x\ny",
    os.fsdecode(b"Gr\xfcn"),
    "1.2.840.5",
    "eye1_mask",
    "e" * 180,
    "~",
    "%d",
)
ENDINGS = (".png", ".PNG", ".jpg", ".tif", ".webp", ".jp2", ".bmp", ".gif", "", ".txt", ".png.gz")
KINDS = ("good",) * 6 + ("grey", "rgba", "palette", "16 bit", "black", "cut", "text", "empty")
KINDS += ("folder", "link to nowhere", "one pixel", "other size")


def photograph(seed):
    """A disc with a vessel that is a seventh of it."""
    y, x = np.ogrid[:SIZE, :SIZE]
    inside = (y - SIZE / 2) ** 2 + (x - SIZE / 2) ** 2 < (0.44 * SIZE) ** 2
    vessels = inside & (abs(x - SIZE / 2 + seed % 5) < 3)
    rgb = np.where(inside[..., None], np.array([150, 80, 20]), 0) - 40 * vessels[..., None]
    return rgb.clip(0).astype(np.uint8), vessels


def content(pixels, kind, ending):
    """The bytes of a file, in the format of its ending, or PNG."""
    image = Image.fromarray(pixels)
    if kind in ("grey", "rgba", "palette"):
        image = image.convert({"grey": "L", "rgba": "RGBA", "palette": "P"}[kind])
    elif kind == "16 bit":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16)
    elif kind in ("one pixel", "other size"):
        image = image.resize((1, 1) if kind == "one pixel" else (SIZE, SIZE // 2))
    elif kind == "black":
        image = image.point(lambda _: 0)
    stream = io.BytesIO()
    form = Image.registered_extensions().get(ending.lower(), "PNG")
    try:
        image.save(stream, form)
    except (OSError, ValueError, KeyError):  # the format lacks this mode
        image.save(stream, "PNG")
    data = stream.getvalue()
    return {"cut": data[: len(data) // 2], "text": b"no picture", "empty": b""}.get(kind, data)


def put(path, pixels, kind, ending):
    """Make a file, or what is none, unless the file system refuses its name or has it."""
    with contextlib.suppress(OSError, UnicodeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            path.mkdir(exist_ok=True)
        elif kind == "link to nowhere":
            path.symlink_to("nowhere")
        elif not os.path.lexists(path):
            path.write_bytes(content(pixels, kind, ending))


@st.composite
def trees(draw, pairs):
    """A function that fills a folder: with photographs, or with images/, masks/ and fov/."""
    one = st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(ENDINGS),
        st.sampled_from(KINDS),
        st.sampled_from(["", "", "", "below", "below/deeper"]),
    )
    # Half of the folders hold nothing but what is usual: else all of them are refused.
    usual = draw(st.booleans())
    photos = draw(st.lists(one, min_size=1, max_size=4, unique_by=lambda p: p[0].casefold()))
    if usual:
        photos = [(f"eye{i}", photo[1] or ".png", "good", "") for i, photo in enumerate(photos)]
        photos = [(n, e if e not in (".txt", ".png.gz") else ".jpg", k, p) for n, e, k, p in photos]
    mask = st.tuples(
        st.sampled_from(["", "", "", "_mask", "_MASK", "x"]),
        st.sampled_from((".png", ".tif", ".gif", ".bmp")),
        st.sampled_from(KINDS[:6] if usual else KINDS),
    )
    masks = [draw(mask) if not usual else ("", ".png", "good") for _ in photos]
    has_fov, drop = draw(st.booleans()), 9 if usual else draw(st.integers(0, 9))

    def fill(folder):
        for i, (photo, (more, mask_ending, mask_kind)) in enumerate(
            zip(photos, masks, strict=True)
        ):
            name, ending, kind, place = photo
            rgb, vessels = photograph(i)
            put(folder / ("images" * pairs) / place / f"{name}{ending}", rgb, kind, ending)
            if pairs and i != drop:
                file = folder / "masks" / place / f"{name}{more}{mask_ending}"
                put(file, (vessels * 255).astype(np.uint8), mask_kind, mask_ending)
            if pairs and has_fov:
                field = ((rgb.max(axis=2) > 20) * 255).astype(np.uint8)
                put(folder / "fov" / place / f"{name}.png", field, "good", ".png")

    return fill


@contextlib.contextmanager
def called(fill):
    """A filled folder, and a function that runs a command on it and checks what always holds."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "in"), Path(name, "out")
        folder.mkdir()
        out.mkdir()
        fill(folder)
        (out / "mine.txt").write_text("not yours")
        (out / "eye1_vessels.jpg").write_bytes(b"\xff\xd8 nor this")

        def call(command, *arguments):
            before, streams = state(Path(name)), (io.StringIO(), io.StringIO())
            with (
                contextlib.redirect_stdout(streams[0]),
                contextlib.redirect_stderr(streams[1]),
            ):
                code = run(command, *arguments)
            stdout, stderr = (stream.getvalue() for stream in streams)
            after = state(Path(name))
            assert before.items() <= after.items(), "a file is gone or changed"
            assert not [path for path in after if path.endswith(".tmp")]
            assert code in (0, 1) and ("retina-course: error: " in stderr) == (code == 1)
            event(f"{command}: exit code {code}")
            return code, stdout, stderr

        yield folder, out, call


def state(folder):
    """The content of all files that the commands did not make, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"none"
        for path in folder.rglob("*")
        if path.name not in ("checkpoint.pt", "segment.csv") and not mark_of(path)
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An untrained network for fields of view of 40 pixels."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    card = {"model": "unet_small", "options": {}, "fov_diameter": 40, "threshold": 0.5}
    weights.save(path, create_model("unet_small"), card)
    return path


def tried(number):
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=FUZZ or number,
        deadline=None,
        derandomize=not FUZZ,
        suppress_health_check=health,
    )


def is_named(path, *texts):
    return any(str(path) in text or printable(str(path)) in text for text in texts)


@tried(25)
@given(trees(pairs=False), st.booleans(), st.booleans())
def test_segment(small, fill, recursive, beside):
    with called(fill) as (folder, out, call):
        out = folder if beside else out  # results beside the photographs
        more = ["--recursive"] if recursive else []
        command = ("segment", folder, "-o", out, "--weights", small, "--no-flips", *more)
        given_paths = sorted(folder.rglob("*"))
        code, stdout, stderr = call(*command)
        table = out / "segment.csv"
        rows = (
            list(csv.DictReader(table.open(encoding="utf-8", newline=""))) if table.exists() else []
        )
        if rows or code == 0:
            used = {row["photograph"] for row in rows}
            for path in given_paths:
                if not path.is_dir() or path.is_symlink():
                    inside = any(is_named(up, stderr) for up in path.parents if up != folder)
                    known = printable(str(path)) in used or is_named(path, stderr)
                    assert known or not recursive and inside, path
        failed = [row for row in rows if row["error"]]
        for row in rows:
            results = [
                out / f"{Path(row['output'])}_{kind}.png" for kind in ("vessels", "probability")
            ]
            if row["output"].isascii() and "\\" not in row["output"]:
                assert all(result.exists() != bool(row["error"]) for result in results)
        assert code == bool(failed) or not rows
        again, stdout, _ = call(*command)  # the rest is done before
        assert again == code and stdout.count("done before") == len(rows) - len(failed)


@tried(20)
@given(trees(pairs=True))
def test_evaluate(small, fill):
    with called(fill) as (folder, out, call):
        scores = out / "scores.json"
        options = ("--weights", small, "--no-flips", "--json", scores)
        code, stdout, stderr = call("evaluate", "--data", folder, *options)
        assert scores.exists() == (code == 0)
        if code == 0:
            used = {row["name"] for row in json.loads(scores.read_text())["per_image"]}
            for path in (folder / "images").iterdir():
                names = {printable(path.name.removesuffix(".gz")), printable(path.stem)}
                names |= {printable(path.with_suffix("").stem)}
                assert names & used or is_named(path.name, stderr), path
            assert f"{len(used)} photographs" in stdout


@tried(10)
@given(trees(pairs=True))
def test_train(fill):
    with called(fill) as (folder, out, call):
        run_folder = out / "run"
        code, stdout, _ = call("train", "--data", folder, "-o", run_folder, *TINY)
        names = {path.name for path in run_folder.iterdir()} if run_folder.exists() else set()
        if code == 0:
            files = {"settings.json", "checkpoint.pt", "history.json"}
            assert names == files | {"unet_small.safetensors", "unet_small.json"}
            _, card = weights.load(run_folder / "unet_small.safetensors")
            assert 0 <= card["threshold"] <= 1 and "threshold" in stdout
        else:
            assert not any(name.endswith(".safetensors") for name in names)
