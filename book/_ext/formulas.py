"""Keep room for formulas in a line until MathJax has drawn them, so that the text does not move.

Without it a page shows TeX first, which is much longer, and lines jump up when it goes.
"""

import re
from html import unescape

FORMULA = re.compile(r'(<span class="math notranslate nohighlight")>(\\\(.*?\\\))', re.DOTALL)
NO_WIDTH = re.compile(r"\\(?:mathrm|text|operatorname|left|right)\b|\\[,;!()]|[{}_^\s]")
COMMAND = re.compile(r"\\[a-zA-Z]+")
SYMBOL = 1.5  # ex, the mean width of a symbol in this book


def with_room(formula: re.Match) -> str:
    """A formula with the width that it will have, roughly; course.css uses it."""
    symbols = COMMAND.sub("x", NO_WIDTH.sub("", unescape(formula[2])))
    return f'{formula[1]} style="--room: {SYMBOL * len(symbols):g}ex">{formula[2]}'


def keep_room(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = FORMULA.sub(with_room, context["body"])


def setup(app):
    app.connect("html-page-context", keep_room)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
