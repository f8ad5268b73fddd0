"""Formulas as MathML, which browsers draw without a script.

The TeX that they were written in stays inside as an annotation, for tools that read it. Phones have
no font whose roots and brackets grow, so the pages bring one: the characters that they need.
"""

import re
from html import unescape
from importlib.metadata import distribution
from pathlib import Path
from unicodedata import normalize

from docutils import nodes
from fontTools.ttLib import TTFont
from light_pages import embedded_font
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

FORMULA = re.compile(r"<math.*?</math>", re.S)
TAG = re.compile(r"<[^>]+>")
DRAWN = {"\u221a", "\u210e"}  # the root, which is an element, and the italic h
ITALIC = [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C)]  # Latin, Greek
CONVERTER = LatexToMathML(annotation=True, fancy_error=False)


def mathml(node: nodes.Node, display: bool) -> str:
    """A formula's MathML; one that cannot be converted is a warning, which fails the build."""
    try:
        return CONVERTER.convert_with_local_state(node.astext(), displaystyle=display)
    except LatexError as error:
        logging.getLogger(__name__).warning("%s in %s", error, node.astext(), location=node)
        return ""


def visit_inline(translator, node):
    translator.body.append(f'<span class="math">{mathml(node, display=False)}</span>')
    raise nodes.SkipNode


def visit_display(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(mathml(node, display=True) + "</div>\n")
    raise nodes.SkipNode


def formula_font() -> TTFont:
    """STIX Two Math (SIL Open Font License), out of the wheel of ziamath."""
    font = TTFont(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf"))
    variants = font["MATH"].table.MathVariants
    root = variants.VertGlyphCoverage.glyphs.index(font.getBestCmap()[ord("\u221a")])
    # Browsers keep the room of the widest root behind each: a gap, so the tall ones go.
    sizes = variants.VertGlyphConstruction[root]
    sizes.MathGlyphVariantRecord = sizes.MathGlyphVariantRecord[:2]
    sizes.VariantCount = 2
    sizes.GlyphAssembly = None
    return font


def characters(pages: list[Path]) -> set[int]:
    """What the formulas of pages are drawn with; a variable `x` is drawn as an italic x."""
    drawn = set(DRAWN)
    for page in pages:
        for formula in FORMULA.findall(page.read_text(encoding="utf-8")):
            drawn |= set(unescape(TAG.sub("", formula)))
    return {ord(c) for c in drawn} | {c for c in ITALIC if normalize("NFKC", chr(c)) in drawn}


def add_style(app, pagename, templatename, context, doctree):
    if "<math" in context.get("body", ""):
        app.add_css_file("formulas.css")


def write_style(app, error):
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    source = embedded_font(formula_font(), characters(list(site.rglob("*.html"))))
    face = f'@font-face{{font-family:"Formulas";{source}}}math{{font-family:Formulas,math}}'
    (site / "_static" / "formulas.css").write_text(face, encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    app.connect("html-page-context", add_style)
    app.connect("build-finished", write_style)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
