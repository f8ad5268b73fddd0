"""The pages that compute, in Chromium: shape calculator, opened network, figures to try."""

import re
from pathlib import Path

import pytest
import torch
from chromium import CHROMIUM, Page
from PIL import Image

from retina_course import create_model, make_fundus, shapes, weights

BUILT = Path(__file__).parents[2] / "_build" / "html" / "book"
PAGES = ["shape_calculator", "interactive", "live"]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(
        not all((BUILT / f"{name}.html").is_file() for name in PAGES),
        reason="the book is not built: make book",
    ),
]

CARD = {"model": "unet_small", "options": {}, "threshold": 0.25}


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path)
    yield page
    assert [url for url in page.requests if not re.match("file:|blob:|data:", url)] == []
    assert page.errors == []
    page.close()


def set_value(page, name, value, event="input"):
    """Give a field a value, as a reader does."""
    page.evaluate(
        f"(() => {{ const field = document.getElementById('{name}'); field.value = '{value}';"
        f"field.dispatchEvent(new Event('{event}', {{ bubbles: true }})); }})()"
    )


def text(page, name):
    return page.evaluate(f"document.getElementById('{name}').textContent")


def press(page, key):
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)


def test_the_shape_calculator_answers(page):
    page.open((BUILT / "shape_calculator.html").as_uri())
    assert page.evaluate("document.getElementById('shape-stored').hidden")
    assert "63,445 parameters" in text(page, "shape-status")
    set_value(page, "shape-height", 100)
    said = text(page, "shape-status")
    assert "multiples of 8, got 100x256" in said
    assert "Step 20, Concat: cannot join 32x24x64 with 'e3', 32x25x64" in said
    assert page.evaluate("document.getElementById('shape-result').hidden")
    set_value(page, "shape-height", 256)
    set_value(page, "shape-network", "unet_large", "change")
    set_value(page, "shape-option-fold", 4)
    assert text(page, "shape-call") == 'create_model("unet_large", fold=4)'
    total = sum(p.numel() for p in create_model("unet_large", fold=4).parameters())
    assert f"{total:,} parameters" in text(page, "shape-status")
    set_value(page, "shape-option-fold", "")
    assert "fold must be a positive integer, got nothing." in text(page, "shape-status")


class Detection(torch.nn.Module):
    """What the detector of Retina U-Net computes to find boxes."""

    def __init__(self):
        super().__init__()
        self.network = create_model("retina_unet_detector").network

    def forward(self, image):
        return self.network(image, segment=False)


def test_the_shape_calculator_says_what_detection_does_without(page):
    page.open((BUILT / "shape_calculator.html").as_uri())
    set_value(page, "shape-network", "retina_unet_detector", "change")
    size = (1, 3, 256, 256)
    whole = shapes.macs(create_model("retina_unet_detector").network, size)
    less = whole - shapes.macs(Detection(), size)
    said = text(page, "shape-status")
    assert f"{whole:,} multiply-accumulates" in said
    assert f"The last 4 layers, with {less:,} of the MACs, make the segmentation" in said
    set_value(page, "shape-network", "retina_net", "change")
    assert "The heads look" in text(page, "shape-status")
    assert "The last" not in text(page, "shape-status")


def test_figures_answer_to_the_keyboard(page):
    page.open((BUILT / "interactive.html").as_uri())
    first = text(page, "field-text")
    page.evaluate("document.getElementById('field-down').focus()")
    press(page, "ArrowRight")
    press(page, "Home")
    assert text(page, "field-text") != first and "row 0, " in text(page, "field-text")
    for _ in range(8):
        page.evaluate("document.getElementById('unpool-next').click()")
    assert page.evaluate("document.getElementById('unpool-next').disabled")
    shown = page.evaluate(
        "[...document.querySelectorAll('#unpool-result td')].map(c => c.textContent)"
    )
    assert " ".join(shown) == "0 0 0 0 7 0 5 0 0 6 0 0 0 0 0 9"
    set_value(page, "gradient-logit", -4)
    assert "Cross-entropy -0.9820" in text(page, "gradient-text")


def test_the_network_opens_and_takes_a_checkpoint(page, tmp_path):
    eye = make_fundus((200, 200), seed=0).image.mul(255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(eye).save(tmp_path / "eye.png")
    weights.save(tmp_path / "mine.safetensors", create_model("unet_small"), CARD)
    page.open((BUILT / "live.html").as_uri())
    page.evaluate("document.getElementById('live-angle').value = 10")
    page.choose("#live-file", tmp_path / "eye.png")
    page.wait("/seconds/.test(document.getElementById('live-status').textContent)")
    page.evaluate("document.getElementById('inside-open').click()")
    status = "document.getElementById('inside-status').textContent"
    assert "network on the photograph as it is: 1.000" in page.wait(
        f"/Dice/.test({status}) && {status}"
    )
    page.evaluate("document.querySelector('[data-link=\"enc3.1\"]').click()")
    cut = page.wait(f"/without enc3.1/.test({status}) && {status}")
    assert float(re.search(r"is: ([\d.]+)\.", cut)[1]) < 1
    page.evaluate("document.querySelector('[data-layer=\"bneck.1\"]').click()")
    page.wait("/^bneck.1/.test(document.getElementById('inside-map-text').textContent)")
    assert "18,624 parameters" in text(page, "inside-map-text")
    page.choose("#live-own", tmp_path / "mine.safetensors")
    page.wait(f"/Weights: mine.safetensors, threshold 0.50/.test({status})")
    page.choose("#live-own", tmp_path / "mine.safetensors", tmp_path / "mine.json")
    page.wait(f"/Weights: mine.safetensors, threshold 0.25/.test({status})")


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_small_phone(page, name):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=320,
        height=700,
        deviceScaleFactor=1,
        mobile=True,
    )
    page.open((BUILT / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_script_the_tables_stand_there(page):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    for name, table, hidden in (
        ("shape_calculator", "shape-example", "shape-demo"),
        ("interactive", "gradient-example", "gradient-demo"),
        ("interactive", "unpooling-example", "unpool-demo"),
    ):
        page.open((BUILT / f"{name}.html").as_uri())
        page.call("Emulation.setScriptExecutionDisabled", value=False)
        shown = "document.getElementById('ID').getClientRects().length > 0"
        assert page.evaluate(shown.replace("ID", table))
        assert not page.evaluate(shown.replace("ID", hidden))
        page.call("Emulation.setScriptExecutionDisabled", value=True)
