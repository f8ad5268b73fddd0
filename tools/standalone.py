"""What a notebook needs to be read alone, in Colab, JupyterLab or on GitHub.

`furnish` writes it into the notebook, as part of the normal form: badges at the top, an install of
the release that the notebook belongs to, links that lead to the published book, captions as text
below what they describe. The book leaves these cells out and makes the links its own
(`book/_ext/numbering.py`). Authors write links as before, `[Losses](03_losses.ipynb)`, and
`[Fig. ?](#name-of-the-figure)` for a number that is filled in.
"""

import copy
import posixpath
import re
from pathlib import Path
from string import ascii_uppercase

import nbformat
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
SETUP = """try:
    import retina_course  # noqa: F401
except ImportError:
    %pip install -q git+{repository}@v{version}
%config InlineBackend.figure_format = "retina\""""
BADGES = """[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})
[![View on GitHub](https://img.shields.io/badge/view_on-GitHub-24292f?logo=github)]({github})
[Read this chapter in the book]({page})"""
GENERATED = {"badges", "caption"}
APPENDIX = re.compile(r"notebooks/(appendix_\w+)")
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
NUMBERED = re.compile(r"\[(?:Fig\.|Table) [^\]]*\]\(#([\w-]+)\)")


class Place:
    """Where a notebook lies: name of its file, number, the repository's address and the book's."""

    def __init__(self, path: Path) -> None:
        root = path.resolve().parents[1]
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        appendices = APPENDIX.findall((ROOT / "_toc.yml").read_text(encoding="utf-8"))
        letters = dict(zip(appendices, ascii_uppercase, strict=False))
        self.name = path.name
        self.number = letters.get(path.stem) or path.stem.partition("_")[0].lstrip("0")
        self.repository: str = config["repository"]["url"]
        self.base: str = config["sphinx"]["config"]["html_baseurl"]

    def published(self, link: str) -> str:
        """The address in the published book of what a link in the notebook leads to."""
        path, mark, anchor = link.partition("#")
        page = posixpath.normpath(posixpath.join("notebooks", path or self.name))
        return self.base + posixpath.splitext(page)[0] + ".html" + mark + anchor

    def whole(self, text: str) -> str:
        """A text with links that work everywhere."""
        return LINK.sub(lambda match: f"]({self.published(match[1])})", text)

    def written(self, text: str) -> str:
        """A text with the links that an author writes: the inverse of `whole`."""
        base = re.escape(self.base)
        own = re.escape(self.name.removesuffix(".ipynb"))
        text = re.sub(rf"\]\({base}notebooks/{own}\.html#", "](#", text)
        text = re.sub(rf"\]\({base}notebooks/(\w+)\.html", r"](\1.ipynb", text)
        return re.sub(rf"\]\({base}book/([\w/]+)\.html", r"](../book/\1.md", text)

    def badges(self) -> str:
        """Links to this notebook in Colab, on GitHub and in the book."""
        file = f"{self.repository.removeprefix('https://github.com/')}/blob/main/notebooks/"
        return BADGES.format(
            colab=f"https://colab.research.google.com/github/{file}{self.name}",
            github=f"https://github.com/{file}{self.name}",
            page=self.published(self.name),
        )


def version() -> str:
    """The release that the notebooks belong to."""
    init = (ROOT / "retina_course" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', init)[1]


def is_table(cell: NotebookNode) -> bool:
    """Whether what a cell shows is a table and no picture, as in the book."""
    shown = [output.get("data", {}) for output in cell.outputs]
    pictures = any(kind.startswith("image/") for data in shown for kind in data)
    return not pictures and any("<table" in data.get("text/html", "") for data in shown)


def numbers(notebook: NotebookNode, chapter: str) -> dict[str, str]:
    """What the text calls each captioned output, as in "Table 6.1"."""
    count = {"Fig.": 0, "Table": 0}
    found = {}
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if cell.cell_type == "code" and figure.get("caption"):
            kind = "Table" if is_table(cell) else "Fig."
            count[kind] += 1
            found[figure["name"]] = f"{kind} {chapter}.{count[kind]}"
    return found


def generated(tag: str, source: str) -> NotebookNode:
    """A cell that `furnish` makes, and that the book leaves out."""
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": [tag, "remove-cell"]})


def furnish(notebook: NotebookNode, path: Path) -> NotebookNode:
    """The notebook of this file with all that it needs alone."""
    notebook = copy.deepcopy(notebook)
    place = Place(path)
    called = numbers(notebook, place.number)
    cells = [generated("badges", place.badges())]
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & GENERATED:
            continue
        cells.append(cell)
        if cell.cell_type == "markdown":
            source = NUMBERED.sub(
                lambda match: f"[{called.get(match[1], 'Fig. ?')}](#{match[1]})",
                place.written(cell.source),
            )
            cell.source = place.whole(source)
        elif "remove-cell" in tags and "import retina_course  # noqa" in cell.source:
            cell.source = SETUP.format(repository=place.repository, version=version())
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if figure.get("name") in called:
            caption = place.whole(place.written(figure["caption"]))
            cells.append(generated("caption", f"**{called[figure['name']]}.** {caption}"))
    notebook.cells = cells
    return notebook
