"""The landing page's cards: title, minutes and thumbnail come from each chapter's notebook."""

import base64
import re
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from numbering import chapter_number
from PIL import Image
from sphinx.util.docutils import SphinxDirective

SIZE = (320, 180)  # pixels of a thumbnail
# Where a figure's most telling part is: left, upper, right, lower, as shares.
WHOLE = (0, 0, 1, 1)


class chapter_cards(nodes.General, nodes.Element):
    """Cards of chapters; `cards` has a mapping for each: chapter, figure, crop, can."""


class ChapterCards(SphinxDirective):
    """A list in YAML: chapter (the notebook's name), figure (its name), perhaps crop, and can."""

    has_content = True

    def run(self):
        cards = yaml.safe_load("\n".join(self.content))
        for card in cards:
            docname = f"notebooks/{card['chapter']}"
            self.env.note_dependency(f"{docname}.ipynb")
            if docname not in self.env.found_docs:
                raise self.error(f"No chapter {card['chapter']}.")
        return [chapter_cards("", cards=cards)]


@cache
def read(path: Path):
    return nbformat.read(path, as_version=4)


def picture(notebook, name: str) -> Image.Image:
    """The figure of this name, as the notebook stores it."""
    for cell in notebook.cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name:
            for data in (output.get("data", {}) for output in cell.outputs):
                for kind in ("image/png", "image/jpeg"):
                    if kind in data:
                        return Image.open(BytesIO(base64.b64decode(data[kind]))).convert("RGB")
    raise ValueError(f"No picture named {name}.")


def thumbnail(image: Image.Image, crop: list[float]) -> Image.Image:
    """A part of a picture, shrunk until it fits, on white."""
    w, h = image.size
    left, upper, right, lower = crop
    part = image.crop((round(left * w), round(upper * h), round(right * w), round(lower * h)))
    part.thumbnail(SIZE, Image.Resampling.LANCZOS)
    card = Image.new("RGB", SIZE, "white")
    card.paste(part, ((SIZE[0] - part.width) // 2, (SIZE[1] - part.height) // 2))
    return card


def visit(translator, node):
    builder = translator.builder
    folder = Path(builder.outdir, builder.imagedir)
    folder.mkdir(exist_ok=True)
    out = ['<ul class="chapter-cards">']
    for card in node["cards"]:
        docname = f"notebooks/{card['chapter']}"
        notebook = read(Path(builder.srcdir, f"{docname}.ipynb"))
        text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        title = re.search(r"^# (.*)", text, re.M)[1]
        minutes = re.search(r"^\| Time \| (\d+) minutes", text, re.M)[1]
        title = f"{chapter_number(docname, builder.srcdir)}. {escape(title)}"
        file = f"card_{card['chapter']}.webp"
        shrunk = thumbnail(picture(notebook, card["figure"]), card.get("crop", WHOLE))
        shrunk.save(folder / file, quality=70)
        href = builder.get_relative_uri(translator.docnames[0], docname)
        source = f"{builder.imgpath}/{file}"
        out.append(
            f'<li><img src="{source}" alt="" class="thumbnail"'
            f' width="{SIZE[0]}" height="{SIZE[1]}">'
            f'<p class="card-title"><a href="{href}">{title}</a></p>'
            f"<p>{escape(card['can'])}</p>"
            f'<p class="card-minutes">{minutes} minutes</p></li>'
        )
    translator.body.append("\n".join([*out, "</ul>"]))
    raise nodes.SkipNode


def setup(app):
    app.add_node(chapter_cards, html=(visit, None))
    app.add_directive("chapter-cards", ChapterCards)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
