"""Formulas of the built pages: MathML that all browsers draw, with the TeX inside, and its font."""

import base64
import re
import sys
from html import unescape
from io import BytesIO

import pytest
from docutils import nodes
from fontTools.ttLib import TTFont
from run_notebooks import ROOT
from test_book import PAGES, SITE

sys.path.insert(0, str(ROOT / "book" / "_ext"))  # as Sphinx does, see _config.yml
import formulas

built = pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
# MathML Core without the elements that nothing here needs; browsers ignore what is not in Core.
CORE = """math semantics annotation mrow mi mn mo mtext mspace mstyle mpadded mphantom mfrac msqrt
mroot msub msup msubsup munder mover munderover mtable mtr mtd""".split()


def test_a_formula_keeps_its_tex_and_what_cannot_be_converted_is_a_warning(caplog):
    text = formulas.mathml(nodes.math("", r"\frac{a}{b} < 1"), display=False)
    assert "<mfrac><mi>a</mi><mi>b</mi></mfrac>" in text
    assert re.search(r"<annotation[^>]*>\\frac\{a\}\{b\} &lt; 1</annotation>", text)
    warnings = []
    with pytest.MonkeyPatch.context() as patch:
        logger = type("Logger", (), {"warning": lambda self, *text, **where: warnings.append(text)})
        patch.setattr(formulas.logging, "getLogger", lambda name: logger())
        assert formulas.mathml(nodes.math("", r"\nosuchcommand"), display=False) == ""
    assert r"\nosuchcommand" in str(warnings[0][2])


@built
def test_no_page_shows_tex_and_formulas_are_mathml_core():
    elements = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'class="math[^>]*>\s*\\[(\[]', text), page
        for formula in formulas.FORMULA.findall(text):
            elements |= set(re.findall(r"<(\w+)", formula))
            assert "<annotation" in formula
    assert {"mfrac", "msqrt", "munder", "mtable"} <= elements <= set(CORE)


@built
def test_the_font_has_every_character_of_the_formulas_and_letters_that_grow():
    style = (SITE / "_static" / "formulas.css").read_text(encoding="utf-8")
    data = re.search(r"base64,([\w+/=]+)", style)[1]
    font = TTFont(BytesIO(base64.b64decode(data)))
    shown = set()
    for page in PAGES:
        for formula in formulas.FORMULA.findall(page.read_text(encoding="utf-8")):
            shown |= set(unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", formula)))
    assert shown - {chr(c) for c in font.getBestCmap()} <= {"\n"}
    assert "\U0001d465" in map(chr, font.getBestCmap())  # the italic x
    assert font["MATH"].table.MathVariants.VertGlyphCoverage.glyphs
    assert len(style) < 60_000
    assert "Open Font License" in font["name"].getDebugName(13)
