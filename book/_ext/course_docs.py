"""What this book needs beyond the published Sphinx extensions."""

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

# The component that pages load, assistive MathML for screen readers, and the TeX packages that
# MathJax fetches when a formula needs them: 2 MB of the wheel's 24.
MATHJAX_FILES = ["tex-svg.js", "a11y/assistive-mml.js", "input/tex/extensions/*.js"]
EMPTY_HEADER = re.compile(
    r"<thead>\s*<tr[^>]*>(?:\s*<th[^>]*>(?:<p></p>)?</th>)+\s*</tr>\s*</thead>"
)


def copy_mathjax(app, error):
    """Copy MathJax from the wheel sphinx-mathjax-offline, so that pages work without a network."""
    if error or app.builder.format != "html":
        return
    wheel = distribution("sphinx-mathjax-offline")
    source = Path(wheel.locate_file("sphinx-mathjax-offline/static/mathjax"))
    target = Path(app.outdir, "_static", "mathjax")
    for pattern in MATHJAX_FILES:
        for file in source.glob(pattern):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def mend_for_screen_readers(app, pagename, templatename, context, doctree):
    """Take out of a page's body what breaks the rules of accessibility."""
    body = context.get("body", "")
    if "citation-list" in body:  # one role is deprecated, the other forbids the content
        body = re.sub(r' role="(list|doc-biblioentry)"', "", body)
    # Markdown has no table without a header; notebooks leave its cells empty.
    context["body"] = EMPTY_HEADER.sub("", body)


def setup(app):
    app.connect("html-page-context", mend_for_screen_readers)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
