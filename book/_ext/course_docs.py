"""What this book needs beyond the published Sphinx extensions."""

import re

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

# Types of NumPy that Sphinx writes out in full; the second holds the type of the numbers.
ARRAY_LIKE = stringify_annotation(ArrayLike, "smart")
ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([~\w.]+)\]\]")
EMPTY_HEADER = re.compile(
    r"<thead>\s*<tr[^>]*>(?:\s*<th[^>]*>(?:<p></p>)?</th>)+\s*</tr>\s*</thead>"
)
# An empty cell names no row.
FIRST_CELL = re.compile(r"(<tr[^>]*>\s*)<td([^>]*)>((?!</td>).*?)</td>", re.S)
CELL_TABLE = re.compile(r'<div class="output text_html">.*?</table>', re.S)
CHAPTER_LINKS = """</h1>
<p class="chapter-links">
<a href="https://colab.research.google.com/github/{place}">Open in Colab</a>
<a href="https://github.com/{place}">View on GitHub</a>
<a href="{source}" download>Download the notebook</a></p>"""


def mend_for_screen_readers(app, pagename, templatename, context, doctree):
    """Take out of a page's body what breaks the rules of accessibility."""
    body = context.get("body", "")
    if "citation-list" in body:  # one role is deprecated, the other forbids the content
        body = re.sub(r' role="(list|doc-biblioentry)"', "", body)
    # Markdown has no table without a header; notebooks leave its cells empty.
    body = EMPTY_HEADER.sub("", body)
    # The name of a toggle is what it reads, "Show code cell source".
    body = body.replace(' aria-label="Toggle hidden content"', "")
    # What a row is about stands in its first cell.
    body = CELL_TABLE.sub(
        lambda table: FIRST_CELL.sub(r'\1<th scope="row"\2>\3</th>', table[0]), body
    )
    # A heading's own link is a second one beside that in the contents: no tab stop of its own.
    body = body.replace('<a class="headerlink" ', '<a class="headerlink" tabindex="-1" ')
    context["body"] = body


def add_chapter_links(app, pagename, templatename, context, doctree):
    """Links to Colab, GitHub and the file, below a chapter's title."""
    if not pagename.startswith("notebooks/"):
        return
    repository = app.config.html_theme_options["repository_url"]
    place = f"{repository.removeprefix('https://github.com/')}/blob/main/{pagename}.ipynb"
    links = CHAPTER_LINKS.format(
        place=place, source=context["pathto"](f"_sources/{pagename}.ipynb", 1)
    )
    context["body"] = context["body"].replace("</h1>", links, 1)


def name_types(app, what, name, thing, options, *signature):
    """Arguments and result of a function with NumPy's types named as in the source."""
    named = (part and part.replace(ARRAY_LIKE, "~numpy.typing.ArrayLike") for part in signature)
    return tuple(part and ARRAY.sub(r"~numpy.typing.NDArray[\1]", part) for part in named)


def skip_fields(app, what, name, thing, skip, options):
    """Fields of a named tuple: its class lists them, and they say nothing of their own."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-process-signature", name_types)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("html-page-context", mend_for_screen_readers)
    app.connect("html-page-context", add_chapter_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
