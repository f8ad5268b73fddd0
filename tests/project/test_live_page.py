"""The live page computes what the package computes: its scripts in node, beside PyTorch."""

import base64
import json
import os
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from build_kernel import digest
from PIL import Image, ImageCms

from benchmarks.common.files import RESULTS, read_json
from book._ext.live_page import NETWORKS, about, bounds, model, scripts, settings
from retina_course import make_fundus, segment, weights
from retina_course.data.datasets import ChaseDB1
from retina_course.inference import disc_angle, doubt_warnings, expected_f1

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "book" / "_static" / "live"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
DATA = os.environ.get("RETINA_COURSE_DATA", "")
THRESHOLDS = [0.25, 0.5]


def run(folder: Path, jobs: list[dict]) -> list[dict]:
    """Run jobs in one process of node; what they log."""
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [NODE, HERE / "live_page.js", SCRIPTS, folder / "jobs.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def segment_job(folder: Path, name: str, rgb: np.ndarray, **options) -> dict:
    """The job that segments a photograph `(H, W, 3)`."""
    file = folder / f"{len(list(folder.iterdir()))}.rgba"
    np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]).tofile(file)
    out = str(file.with_suffix(".out"))
    Path(out).touch()
    size = {"height": rgb.shape[0], "width": rgb.shape[1]}
    given = {"angle": 30, "flips": False, "memoryLimit": 6e8, "thresholds": THRESHOLDS} | options
    job = {"kind": "segment", "network": model(name), "bounds": bounds(), "image": str(file)}
    return job | size | given | {"out": out}


def assert_equal(job: dict, log: dict, name: str, rgb: np.ndarray) -> None:
    """The page's result is that of `segment`: within 1e-4, and one mask pixel in 100,000."""
    network, card = weights.load(name)
    expected = segment(network, rgb, card, flips=job["flips"], field_angle=job["angle"])
    field = np.fromfile(job["out"] + ".field", np.uint8).reshape(rgb.shape[:2])
    assert (field == expected.fov.numpy()).all()
    found = np.fromfile(job["out"], np.float32).reshape(rgb.shape[:2])
    probability = expected.probability.numpy()
    assert np.abs(found - probability).max() < 1e-4
    cut = np.float32(card["threshold"])
    assert ((found >= cut) != (probability >= cut)).sum() <= max(1, found.size / 100_000)
    inside = found[field == 1]
    assert log["counts"] == [int((inside >= cut).sum()) for cut in THRESHOLDS]
    sure = expected_f1(*expected.seen, card["threshold"])
    assert log["expected"] == pytest.approx(sure, abs=1e-4)
    assert ("unsure of this map" in " ".join(log["said"])) == bool(doubt_warnings(sure, card))


def synthetic(height: int, width: int, seed: int) -> np.ndarray:
    image = make_fundus((height, width), seed=seed).image
    return np.ascontiguousarray((image * 255).round().byte().permute(1, 2, 0).numpy())


@needs_node
@pytest.mark.parametrize(
    "name", ["unet_small", "unet_large", "retina_segmentor_any_camera", "w_net_any_camera"]
)
def test_both_forward_passes_compute_the_logits_of_torch(tmp_path, name):
    network, _ = weights.load(name)
    side = network.size_multiple
    image = torch.rand(1, 3, 2 * side, 3 * side, generator=torch.manual_seed(0))
    image.numpy().tofile(tmp_path / "image")
    job = {"kind": "forward", "network": model(name), "image": str(tmp_path / "image")}
    job |= {"height": 2 * side, "width": 3 * side}
    outs = [str(tmp_path / way) for way in ("kernel", "plain")]
    run(tmp_path, [job | {"plain": out.endswith("plain"), "out": out} for out in outs])
    kernel, plain = (np.fromfile(out, np.float32) for out in outs)
    assert (kernel == plain).all()
    with torch.inference_mode():
        expected = network(image).flatten().numpy()
    np.testing.assert_allclose(kernel, expected, atol=1e-4)


@needs_node
def test_the_memory_is_as_small_as_the_page_says(tmp_path):
    # Maps write over those that no later step reads.
    job = {"kind": "layout", "network": model("retina_segmentor_any_camera")}
    [[needed, all_maps]] = run(tmp_path, [job | {"height": 1024, "width": 1024}])
    page = " ".join((SCRIPTS.parents[1] / "live.md").read_text(encoding="utf-8").split())
    assert f"have {all_maps:,.0f} MB; with the weights it needs {needed:.0f} MB at once." in page
    wasm = re.search('wasm: "(.*)"', (SCRIPTS / "kernel.js").read_text(encoding="utf-8"))[1]
    assert (
        f"in the same folder; compiled, it has {len(base64.b64decode(wasm)) / 1000:.0f} kB)" in page
    )


@needs_node
def test_a_photograph_of_45_degrees_fits_into_a_phone_as_page_js_says(tmp_path):
    text = (SCRIPTS / "page.js").read_text(encoding="utf-8")
    allowed = int(re.search(r"phone \? (\d+)e6", text)[1])
    cases = {
        ("unet_small_any_camera", 1120): 122,
        ("w_net_any_camera", 1120): 157,
        ("retina_segmentor_any_camera", 1120): 251,
        ("retina_segmentor_any_camera", 688): 158,  # one of two bands
    }
    jobs = [
        {"kind": "layout", "network": model(name), "height": rows, "width": 1120}
        for name, rows in cases
    ]
    needed = [round(megabytes) for megabytes, _ in run(tmp_path, jobs)]
    assert needed == list(cases.values()) and sorted(needed)[2] <= allowed
    for megabytes in needed:
        assert f"{megabytes} MB" in text


@needs_node
def test_bands_are_few_and_no_higher_than_they_must_be(tmp_path):
    cases = [
        (1352, 2000, [1416]),  # with the border of 32 pixels on both sides
        (1352, 1160, [840] * 2),
        (1056, 1112, [688] * 2),
        (1352, 576, [552] * 4),
        (1352, 0, [264] * 145),  # no room: still a band that gives a few rows
        (192, 0, [256]),
    ]
    jobs = [
        {"kind": "bands", "height": height, "most": most, "multiple": 8, "reach": 128}
        for height, most, _ in cases
    ]
    assert run(tmp_path, jobs) == [rows for *_, rows in cases]


@needs_node
def test_photographs_get_the_map_of_the_package(tmp_path):
    eye = synthetic(240, 256, seed=1)
    white = np.where(eye.max(axis=2, keepdims=True) <= 20, 255, eye).astype(np.uint8)
    grey = np.repeat(eye.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    hole = eye.copy()
    hole[100:110, 120:135] = 0
    hole[np.arange(90, 130), np.arange(40)] = 0  # from outside, but only over corners
    cases = [
        ("unet_small", eye, {"angle": 12}),  # nothing resampled
        ("unet_small", hole[:200], {"angle": 9.5, "flips": True}),  # reduced, cut off, mirrored
        ("unet_small", white[:, :200], {"angle": 12}),  # enlarged
        ("unet_large", grey, {"angle": 10}),
        ("unet_small_any_camera", grey[60:180], {"angle": 12}),  # no colours to tint it
        ("w_net_any_camera", eye[:230], {"angle": 9.5, "flips": True}),
        ("retina_segmentor", synthetic(101, 150, seed=2), {"angle": 8.05}),
        (
            "unet_small",
            synthetic(400, 400, seed=3),
            {"angle": 18.7, "memoryLimit": 18e6},
        ),  # in bands
        ("w_net_any_camera", synthetic(400, 400, seed=3), {"angle": 18.7, "memoryLimit": 18e6}),
    ]
    jobs = [segment_job(tmp_path, name, rgb, **options) for name, rgb, options in cases]
    for job, log, (name, rgb, _) in zip(jobs, run(tmp_path, jobs), cases, strict=True):
        assert_equal(job, log, name, rgb)


@needs_node
@pytest.mark.skipif(
    not Path(DATA, "CHASE_DB1").is_dir(), reason="RETINA_COURSE_DATA does not hold CHASE_DB1"
)
def test_real_photographs_get_the_map_of_the_package(tmp_path):
    photographs = ChaseDB1(Path(DATA, "CHASE_DB1"), "test")
    names = ["unet_small", "unet_small_any_camera", "w_net_any_camera"]
    images = [photographs[i].image for i in (0, 9, 19)]
    jobs = [segment_job(tmp_path, name, image) for name, image in zip(names, images, strict=True)]
    for job, log, name, image in zip(jobs, run(tmp_path, jobs), names, images, strict=True):
        assert_equal(job, log, name, image)
        assert log["unusual"] == []


def test_the_page_says_where_the_thresholds_come_from():
    page = " ".join((SCRIPTS.parents[1] / "live.md").read_text(encoding="utf-8").split())
    held_out = [n for n in NETWORKS if "held-out" in weights.load(n)[1].get("threshold_from", "")]
    assert held_out == ["unet_small_any_camera"]
    assert (
        "For UNetSmall *for any camera* it was chosen on photographs that a second network" in page
    )


@needs_node
def test_the_circle_of_an_optic_disc_follows_from_field_and_angle(tmp_path):
    told = settings(SCRIPTS)["disc"]
    cases = [(921, 30), (921, 60), (2848, 45)]
    jobs = [
        {"kind": "disc", "diameter": diameter, "angle": angle, "degrees": told["degrees"]}
        for diameter, angle in cases
    ]
    expected = [disc_angle.DISC_DEGREES * diameter / angle for diameter, angle in cases]
    assert run(tmp_path, jobs) == pytest.approx(expected)
    assert told["angles"] == disc_angle.PLAUSIBLE
    page = " ".join((SCRIPTS.parents[1] / "live.md").read_text(encoding="utf-8").split())
    measured = read_json(RESULTS / "disc_angle.json")["summary"]["train"]
    width = {
        name: disc_angle.DISC_DEGREES / one["ratio"]["median"] for name, one in measured.items()
    }
    told = ", ".join(f"{width[name]:.1f} for {name}" for name in ("CHASE_DB1", "IDRiD", "HRF"))
    assert f"{disc_angle.DISC_DEGREES:g} degrees of the retina wide on average" in page
    assert f"over three cameras: {told}." in page
    assert f"more than a factor of {disc_angle.DIFFERS:g} is" in page


@needs_node
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colour_profiles_are_taken_out_and_the_pixels_stay(tmp_path, kind):
    file = tmp_path / "eye"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(synthetic(64, 64, seed=5)).save(file, kind, icc_profile=profile, **lossless)
    run(tmp_path, [{"kind": "profile", "image": str(file), "out": str(tmp_path / "out")}])
    before, after = (Image.open(path) for path in (file, tmp_path / "out"))
    assert "icc_profile" in before.info and "icc_profile" not in after.info
    assert (np.asarray(before) == np.asarray(after)).all()


@needs_node
@pytest.mark.parametrize(("bits", "step"), [(8, 7), (16, 1031)])
def test_saved_pictures_are_png_files(tmp_path, bits, step):
    job = {"kind": "png", "width": 7, "height": 5, "bits": bits, "out": str(tmp_path / "out.png")}
    run(tmp_path, [job])
    saved = Image.open(BytesIO((tmp_path / "out.png").read_bytes()))
    assert (np.asarray(saved) == step * np.arange(35).reshape(5, 7)).all()


def test_the_kernel_was_compiled_from_its_source():
    text = (SCRIPTS / "kernel.js").read_text(encoding="utf-8")
    assert f'source: "{digest()}"' in text, "kernel.c has changed: python tools/build_kernel.py"


def test_no_script_of_the_page_can_open_a_connection():
    opens = r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|RTCPeer\w*)\b"
    for path in SCRIPTS.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(opens, text), path.name
        assert "http" not in text, path.name
    page = (SCRIPTS.parents[1] / "live.md").read_text(encoding="utf-8")
    assert """"http-equiv=Content-Security-Policy": "connect-src 'none'\"""" in page


def test_every_network_that_the_page_offers_is_written():
    assert {f"{name}.js" for name in NETWORKS} | {"settings.js"} == set(scripts(SCRIPTS))


def test_what_a_reader_is_told_of_a_network_is_in_its_card():
    told = about("unet_small_any_camera")
    assert told["title"] == "UNetSmall" and told["scores"] == [
        "0.80 on HRF, last 30 images, inside the field of view",
        "0.78 on CHASE_DB1, last 20 images",
    ]
    assert "HRF" in told["trained"] and about("unet_large")["title"] == "UNetLarge"
