"""The live page in Chromium: what a reader sees, saves and sends, which is nothing."""

import re
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from chromium import CHROMIUM, Page
from PIL import Image, ImageCms

from retina_course import WNet, make_fundus, segment, weights
from retina_course.inference import DEFAULT_FIELD_ANGLE
from retina_course.inference.disc_angle import DISC_DEGREES

BUILT = Path(__file__).parents[2] / "_build" / "html" / "book" / "live.html"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not BUILT.is_file(), reason="the book is not built: make book"),
]
STATUS = "document.getElementById('live-status').textContent"
DONE = f"/seconds|not work|cannot/.test({STATUS}) && {STATUS}"
# A worker of the page's kind tries to reach a server; the page's policy must refuse.
TRY_TO_SEND = """new Promise((resolve) => {
  const text = `
    addEventListener("securitypolicyviolation", (event) => postMessage(event.effectiveDirective));
    fetch("https://example.org/").catch(() => {});`;
  const worker = new Worker(URL.createObjectURL(new Blob([text])));
  worker.onmessage = ({ data }) => resolve(data);
  setTimeout(resolve, 5000, "nothing refused it");
})"""


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path)
    page.open(BUILT.as_uri())
    yield page
    page.close()


def photograph(folder: Path) -> Path:
    """A photograph as cameras write it: turned by its orientation, with a colour profile."""
    image = make_fundus((300, 260), seed=0).image.permute(1, 2, 0).mul(255).byte().numpy()
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = folder / "my eye.jpg"
    Image.fromarray(image).save(file, quality=95, exif=exif, icc_profile=profile)
    return file


def saved(folder: Path, name: str) -> np.ndarray:
    file = folder / name
    for _ in range(200):
        if file.is_file() and file.stat().st_size:
            return np.asarray(Image.open(BytesIO(file.read_bytes())))
        time.sleep(0.05)
    raise AssertionError(f"{name} was not saved")


def say_angle(page: Page, degrees: float) -> None:
    field = "document.getElementById('live-angle')"
    page.evaluate(f"{field}.value = {degrees}; {field}.dispatchEvent(new Event('change'))")


def test_a_photograph_gets_the_map_of_the_package_and_nothing_is_sent(page, tmp_path):
    file = photograph(tmp_path)
    network, card = weights.load("unet_small_any_camera")
    expected = segment(network, file, card, flips=True, field_angle=15)
    say_angle(page, 15)
    page.evaluate("document.getElementById('live-flips').checked = true")
    page.choose("#live-file", file)
    vessels = (expected.probability >= card["threshold"]).numpy()
    assert f"{vessels.sum():,} of {expected.fov.sum():,} pixels" in page.wait(DONE)
    page.evaluate("document.getElementById('live-save-mask').click()")
    mask = saved(tmp_path, "my eye_vessels.png")
    assert mask.dtype == np.uint8 and ((mask == 255) == vessels).all()
    page.evaluate("document.getElementById('live-save-probability').click()")
    probability = saved(tmp_path, "my eye_probability.png") / 65535
    np.testing.assert_allclose(probability, expected.probability.numpy(), atol=1e-4)
    assert [url for url in page.requests if not re.match("file:|blob:|data:", url)] == []
    assert page.errors == []
    assert page.evaluate(TRY_TO_SEND) == "connect-src"


def drop(page: Page, *files: Path) -> None:
    """Drop files on the page's box, as a hand with a mouse does."""
    page.evaluate("document.getElementById('live-demo').scrollIntoView()")
    box = page.evaluate("document.querySelector('.live-drop').getBoundingClientRect().toJSON()")
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, data=data, **place)


def test_a_photograph_can_be_dropped(page, tmp_path):
    drop(page, photograph(tmp_path))
    assert "of the field of view is vessel" in page.wait(DONE)
    assert page.evaluate("location.href") == BUILT.as_uri()


def test_an_angle_that_was_just_typed_counts_for_a_dropped_photograph(page, tmp_path):
    """The field has not lost the focus yet: so far it has told of no change."""
    page.evaluate("document.getElementById('live-angle').select()")
    page.call("Input.insertText", text="15")
    drop(page, photograph(tmp_path))
    assert "and 15 degrees wide. " in page.wait(DONE)


def test_the_readers_own_weights_replace_the_network(page, tmp_path):
    file = photograph(tmp_path)
    network, card = weights.load("unet_small_any_camera")
    torch.nn.init.normal_(network.conv.bias, generator=torch.manual_seed(0))
    card |= {"threshold": 0.25, "pixels_per_degree": 19.0}
    weights.save(tmp_path / "mine.safetensors", network, card)
    weights.save(tmp_path / "w.safetensors", WNet(), {"model": "w_net", "options": {}})
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "mine.safetensors").read_bytes()[:-50])
    say_angle(page, 15)
    page.choose("#live-file", file)
    first = page.wait(DONE)
    for name, reason in (("w", "another network"), ("cut", "it is damaged")):
        page.choose("#live-own", tmp_path / f"{name}.safetensors")
        page.wait(f"/{name}.safetensors does not fit: .*{reason}/.test({STATUS})")
    assert (
        page.evaluate("document.getElementById('live-network').selectedOptions[0].text[0]") == "U"
    )
    page.choose("#live-own", tmp_path / "mine.json")
    page.wait(f"/Choose a .safetensors file/.test({STATUS})")
    expected = segment(network, file, card, flips=False, field_angle=15)
    for give in (lambda *files: page.choose("#live-own", *files), lambda *f: drop(page, *f)):
        page.evaluate(f"{STATUS} = ''")
        give(tmp_path / "mine.safetensors", tmp_path / "mine.json")
        said = page.wait(DONE)
        assert "UNetSmall with the weights mine.safetensors" in said and said != first
        vessels = (expected.probability >= 0.25)[expected.fov].sum()
        assert f"{vessels:,} of {expected.fov.sum():,} pixels at threshold 0.25" in said
    told = page.evaluate("document.getElementById('live-trained').textContent")
    assert told == "Your own weights, mine.safetensors. Threshold 0.25, of its card."


def test_the_exact_threshold_holds_until_the_slider_is_moved(page, tmp_path):
    page.choose("#live-file", photograph(tmp_path))
    first = page.wait(DONE)
    slider = "document.getElementById('live-threshold')"
    move = f"{slider}.value = VALUE; {slider}.dispatchEvent(new Event('input')); {STATUS}"
    found = [page.evaluate(move.replace("VALUE", value)) for value in ("0.2", "0.9")]
    counts = [int(re.search("([\\d,]+) of", text)[1].replace(",", "")) for text in found]
    assert counts[0] > counts[1] > 0
    page.evaluate("document.getElementById('live-reset').click()")
    assert page.evaluate(STATUS) == first


def test_a_run_can_be_stopped_and_the_next_one_is_answered(page, tmp_path):
    change = "document.getElementById('live-network').dispatchEvent(new Event('change'))"
    page.choose("#live-file", photograph(tmp_path))
    page.wait(DONE)
    page.evaluate(f"document.getElementById('live-network').value = 'retina_segmentor'; {change}")
    page.evaluate("document.getElementById('live-stop').click()")
    assert page.evaluate(STATUS) == "Stopped."
    assert page.evaluate("document.getElementById('live-busy').hidden")
    page.evaluate(f"document.getElementById('live-network').value = 'unet_large'; {change}")
    assert "UNetLarge saw" in page.wait(DONE)


def test_what_is_no_photograph_of_a_retina_gets_a_warning_or_an_error(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cat.png")
    page.choose("#live-file", tmp_path / "cat.png")
    assert "seconds" in page.wait(DONE)
    warning = page.evaluate("document.getElementById('live-warnings').textContent")
    assert "may not be a usual fundus photograph" in warning and "no dark border" in warning
    (tmp_path / "text.png").write_text("no picture")
    page.choose("#live-file", tmp_path / "text.png")
    assert "cannot read this file" in page.wait(f"/cannot/.test({STATUS}) && {STATUS}")


def test_the_page_says_which_angle_it_took_and_whether_that_is_assumed(page, tmp_path):
    assumed = "degrees wide (assumed, because you gave no field angle)"
    page.choose("#live-file", photograph(tmp_path))
    assert f"{DEFAULT_FIELD_ANGLE:g} {assumed}" in page.wait(DONE)
    page.evaluate("document.querySelector('[data-live-example]').click()")
    assert " 30 degrees wide. " in page.wait(f"/665,972/.test({STATUS}) && {DONE}")
    page.choose("#live-file", tmp_path / "my eye.jpg")  # an example's angle is not that of others
    assert assumed in page.wait(f"!/665,972/.test({STATUS}) && {DONE}")
    say_angle(page, 60)
    assert " 60 degrees wide. " in page.wait(f"/ 60 degrees wide/.test({STATUS}) && {DONE}")


CIRCLE = "document.getElementById('live-disc-circle')"
PLACE = f"{CIRCLE}.firstElementChild.getBoundingClientRect().toJSON()"
CANVAS = "document.getElementById('live-picture').getBoundingClientRect().toJSON()"


def test_the_circle_is_as_wide_as_a_disc_at_the_angle_and_can_be_moved(page):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=2,
        mobile=True,
    )
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    page.evaluate("document.querySelector('[data-live-example]').click()")
    field = int(re.search(r"The field is ([\d,]+) pixels", page.wait(DONE))[1].replace(",", ""))
    assert page.evaluate(f"{PLACE}.width") == 0  # hidden until asked for
    page.evaluate("document.getElementById('live-disc-on').click()")

    def width() -> float:
        """Of the circle, in the photograph's pixels, of which 960 are the picture's height."""
        return page.evaluate(f"{PLACE}.width * 960 / {CANVAS}.height")

    assert width() == pytest.approx(DISC_DEGREES * field / 30, rel=0.01)
    page.evaluate(
        "for (const name of ['input', 'change']) { const slider = document.getElementById"
        "('live-disc-angle'); slider.value = 60; slider.dispatchEvent(new Event(name)); }"
    )
    assert width() == pytest.approx(DISC_DEGREES * field / 60, rel=0.01)
    assert " 60 degrees wide. " in page.wait(f"/ 60 degrees wide/.test({STATUS}) && {DONE}")
    told = page.evaluate("document.getElementById('live-disc-size').textContent")
    assert told == f"60 degrees: a disc is about {DISC_DEGREES * field / 60:.0f} pixels wide"

    page.evaluate(f"{CIRCLE}.scrollIntoView({{block: 'center'}}); {CIRCLE}.focus()")
    before, said = page.evaluate(PLACE), page.evaluate(f"{CIRCLE}.ariaValueText")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key)
    after = page.evaluate(PLACE)
    step = field / 100 * page.evaluate(f"{CANVAS}.height") / 960
    assert after["x"] - before["x"] == pytest.approx(2 * step, abs=0.1)
    assert before["y"] - after["y"] == pytest.approx(step, abs=0.1)
    assert page.evaluate(f"{CIRCLE}.ariaValueText") != said

    middle = {"x": after["x"] + after["width"] / 2, "y": after["y"] + after["height"] / 2}
    there = {"x": middle["x"] - 40, "y": middle["y"] + 30}
    mouse = {"button": "left", "clickCount": 1}
    page.call("Input.dispatchMouseEvent", type="mousePressed", **middle, **mouse)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **there, **mouse)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", **there, **mouse)
    dragged = page.evaluate(PLACE)
    assert dragged["x"] == pytest.approx(after["x"] - 40, abs=1)
    assert dragged["y"] == pytest.approx(after["y"] + 30, abs=1)
    finger = {"x": there["x"], "y": there["y"]}
    page.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[finger])
    for step in range(1, 7):
        points = [{"x": finger["x"] + 5 * step, "y": finger["y"] - 5 * step}]
        page.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=points)
        page.evaluate("new Promise(requestAnimationFrame)")
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    touched = page.evaluate(PLACE)
    assert touched["x"] == pytest.approx(dragged["x"] + 30, abs=1)
    assert touched["y"] == pytest.approx(dragged["y"] - 30, abs=1)
    there, dragged = {"x": there["x"] + 30, "y": there["y"] - 30}, touched
    for kind in ("mousePressed", "mouseReleased"):  # a click beside it
        page.call("Input.dispatchMouseEvent", type=kind, **{**there, "y": there["y"] + 90}, **mouse)
    assert page.evaluate(PLACE)["y"] == pytest.approx(dragged["y"] + 90, abs=1)
    assert page.errors == []


def test_without_script_the_stored_example_stands_there(page):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(BUILT.as_uri())
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = "getComputedStyle(document.getElementById('ID')).display != 'none'"
    assert page.evaluate(shown.replace("ID", "live-stored"))
    assert not page.evaluate(shown.replace("ID", "live-demo"))
