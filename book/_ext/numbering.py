"""Numbers of chapters, figures and tables, and the links of notebooks inside the book.

A chapter's number is that of its file: `notebooks/06_unet_small` is chapter 6, its figures are
Fig. 6.1 and so on; appendices are A, B and so on in the order of `_toc.yml`. A cell output that is
a table is numbered as one, and has its caption above it.
"""

import re
from pathlib import Path
from string import ascii_uppercase

from docutils import nodes
from sphinx.environment.collectors.toctree import TocTreeCollector
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

CHAPTER = re.compile(r"notebooks/0*(\d+)_")
APPENDIX = re.compile(r"notebooks/appendix_\w+")


def chapter_number(docname: str, source: str) -> str | None:
    """The number of a chapter, the letter of an appendix, None for any other page."""
    if match := CHAPTER.match(docname):
        return match[1]
    appendices = APPENDIX.findall(Path(source, "_toc.yml").read_text(encoding="utf-8"))
    return ascii_uppercase[appendices.index(docname)] if docname in appendices else None


class table_figure(nodes.figure):
    """A cell output with a caption that is a table."""


class CaptionsAboveTables(SphinxTransform):
    """Make figures that hold a table and no picture table figures."""

    default_priority = 400  # before the domains note what each label names

    def apply(self, **options):
        for figure in list(self.document.findall(nodes.figure)):
            html = [n.astext() for n in figure.findall(nodes.raw) if n.get("format") == "html"]
            caption = next(iter(figure.findall(nodes.caption)), None)
            is_table = any("<table" in text for text in html)
            if not is_table or caption is None or any(figure.findall(nodes.image)):
                continue
            rest = [child for child in figure.children if child is not caption]
            table = table_figure("", caption, *rest, **figure.attributes)
            figure.replace_self(table)
            for name in table["ids"]:
                self.document.ids[name] = table


def assign(app, env):
    """Give chapters their numbers, and count their figures and tables anew."""
    for docname, toc in env.tocs.items():
        number = chapter_number(docname, app.srcdir)
        if number is None:
            continue
        env.toc_secnumbers[docname] = numbers = {}
        for reference in toc.findall(nodes.reference):
            anchor = reference["anchorname"]  # empty: the title
            numbers[anchor] = () if anchor else (number,)
            reference["secnumber"] = numbers[anchor]
    before = dict(env.toc_fignumbers)
    TocTreeCollector().assign_figure_numbers(env)
    for docname in list(env.toc_fignumbers):
        if (
            chapter_number(docname, app.srcdir) is None
        ):  # a page of few figures, which need no number
            del env.toc_fignumbers[docname]
    return [name for name in env.tocs if env.toc_fignumbers.get(name) != before.get(name)]


def links_inside(app, docname, source):
    """Turn links to the published book, which work everywhere, into links inside of it."""
    if not docname.startswith("notebooks/"):
        return
    base = re.escape(app.config.html_baseurl)

    def inside(match: re.Match) -> str:
        folder, name, anchor = match.groups()
        if f"{folder}/{name}" == docname and anchor:
            return f"]({anchor})"
        page = f"{name}.ipynb" if folder == "notebooks" else f"../book/{name}.md"
        return f"]({page}{anchor or ''})"

    source[0] = re.sub(rf"\]\({base}(\w+)/([\w/]+)\.html(#[^)\s]+)?\)", inside, source[0])


def add_anchors(app, doctree):
    """Give headings the anchors that links are written with, where Sphinx makes other ones."""
    slugs = app.env.metadata[app.env.docname].get("myst_slugs", {})
    by_id = {name: slug for slug, (_, name, _) in slugs.items()}
    for section in doctree.findall(nodes.section):
        slug = by_id.get(section["ids"][0])
        if slug and slug not in section["ids"]:
            section["ids"].append(slug)


def setup(app):
    app.add_enumerable_node(
        table_figure,
        "table",
        html=(HTML5Translator.visit_figure, HTML5Translator.depart_figure),
    )
    app.add_transform(CaptionsAboveTables)
    app.connect("source-read", links_inside)
    app.connect("doctree-read", add_anchors)
    app.connect("env-get-updated", assign, priority=600)  # after Sphinx's own numbers
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
