"""What this book needs beyond the published Sphinx extensions."""

import re
import shutil
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

# The component that pages load, assistive MathML for screen readers, and the TeX packages that
# MathJax fetches when a formula needs them: 2 MB of the wheel's 24.
MATHJAX_FILES = ["tex-svg.js", "a11y/assistive-mml.js", "input/tex/extensions/*.js"]
FIELDS = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises", "Returns": "returns"}
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


def sections_to_fields(app, what, name, obj, options, lines):
    """Turn the sections of the package's docstrings into Sphinx's fields.

    An entry is `name : description`, further lines indented: numpy's style without the types,
    which stand in the signature. (sphinx.ext.napoleon would read the description as a type.)
    """
    result = []
    field = None
    for line, following in pairwise([*lines, ""]):
        if line in FIELDS and re.fullmatch("-{3,}", following):
            field, first = FIELDS[line], True
            result.append("")
        elif field is None:
            result.append(line)
        elif re.fullmatch("-{3,}", line):
            continue
        elif field == "returns":
            result.append(f":returns: {line}" if first else f"    {line}")
            first = False
        elif entry := re.fullmatch(r"(\S.*?) : (.+)", line):
            names = entry[1].replace("*", r"\*").split(", ")
            result += [f":{field} {each}: {entry[2]}" for each in names]
        else:
            result.append(line)
    lines[:] = result


def mend_for_screen_readers(app, pagename, templatename, context, doctree):
    """Take out of a page's body what breaks the rules of accessibility."""
    body = context.get("body", "")
    if "citation-list" in body:  # one role is deprecated, the other forbids the content
        body = re.sub(r' role="(list|doc-biblioentry)"', "", body)
    # Markdown has no table without a header; notebooks leave its cells empty.
    context["body"] = EMPTY_HEADER.sub("", body)


def setup(app):
    app.connect("autodoc-process-docstring", sections_to_fields)
    app.connect("html-page-context", mend_for_screen_readers)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
