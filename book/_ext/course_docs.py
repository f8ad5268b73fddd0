"""What this book needs beyond the published Sphinx extensions."""

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

# The component that pages load, assistive MathML for screen readers, and the TeX packages that
# MathJax fetches when a formula needs them: 2 MB of the wheel's 24.
MATHJAX_FILES = ["tex-svg.js", "a11y/assistive-mml.js", "input/tex/extensions/*.js"]
FIELDS = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises", "Returns": "returns"}


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
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
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


def drop_citation_roles(app, pagename, templatename, context, doctree):
    """Take bibliographies' ARIA roles away: one is deprecated, the other forbids the content."""
    if "citation-list" in context.get("body", ""):
        context["body"] = re.sub(r' role="(list|doc-biblioentry)"', "", context["body"])


def setup(app):
    app.connect("autodoc-process-docstring", sections_to_fields)
    app.connect("html-page-context", drop_citation_roles)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
