"""Show the section "Going further" of a chapter collapsed, in a <details> that needs no script."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

TITLE = "Going further"


class details(nodes.General, nodes.Element):
    """The part of a section that is hidden until the reader opens it."""


def begin(translator: Any, node: details) -> None:
    translator.body.append(
        '<details class="going-further"><summary>Show this section: more depth, for a second '
        "reading</summary>\n"
    )


def end(translator: Any, node: details) -> None:
    translator.body.append("</details>\n")


class Collapse(SphinxPostTransform):
    """Put what follows the title into <details>; after the table of contents was made."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for section in list(self.document.findall(nodes.section)):
            title, *rest = section.children
            if isinstance(title, nodes.title) and title.astext() == TITLE:
                section.children = [title]
                section += details("", *rest)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(details, html=(begin, end))
    app.add_post_transform(Collapse)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
