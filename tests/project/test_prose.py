"""The language of the course: the field's terms, plain word order, British spelling.

`banned_words.csv` lists wordings (regular expressions), what to write instead, and why. They are
looked for in the text, captions and strings of notebooks, in pages, and in the docstrings and
messages of the package.
"""

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from run_notebooks import ROOT

with Path(__file__).with_name("banned_words.csv").open(encoding="utf-8", newline="") as file:
    BANNED = [(re.compile(row["wording"]), row) for row in csv.DictReader(file)]
# Notebooks that are not corrected yet. A notebook leaves this list when it is.
PENDING: set[str] = set()
# These two are written by programs.
GENERATED = {"results_index.md", "notebook_times.md"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [path for path in sorted((ROOT / "book").glob("*.md")) if path.name not in GENERATED]
PAGES += sorted((ROOT / "book" / "_templates").glob("*.jinja"))
PAGES += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SUPPORT.md")]
MODULES = sorted((ROOT / "retina_course").rglob("*.py"))


def strings(code: str) -> Iterator[str]:
    """The docstrings and messages of Python code: its strings of more than one word."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def of_cell(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":  # titles of papers keep their spelling
        yield re.sub(r"^## References\n.*?(?=^## |\Z)", "", cell.source, flags=re.M | re.S)
    else:
        shown = cell.metadata.get("mystnb", {})
        yield shown.get("figure", {}).get("caption", "")
        yield shown.get("image", {}).get("alt", "")
        yield from strings(re.sub(r"^( *)[%!].*", r"\1pass", cell.source, flags=re.M))


def texts(path: Path) -> Iterator[str]:
    if path.suffix == ".ipynb":
        for cell in nbformat.read(path, as_version=4).cells:
            yield from of_cell(cell)
    elif path.suffix == ".py":
        yield from strings(path.read_text(encoding="utf-8"))
    else:
        yield re.sub(r"<[^<>]*>", "", path.read_text(encoding="utf-8"))  # no tags of HTML


def found(path: Path) -> list[str]:
    """What is banned in a file: the wording in its sentence, and what to write instead."""
    hits = []
    for text in texts(path):
        line = re.sub(r"\s+", " ", text)
        for pattern, row in BANNED:
            for match in pattern.finditer(line):
                around = line[max(0, match.start() - 40) : match.end() + 40]
                hits.append(f"{match[0]!r} in '...{around}...': {row['preferred']}")
    return hits


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_no_banned_wording(path):
    hits = found(path)
    if path.stem in PENDING:
        assert hits, f"take {path.stem} out of PENDING"
    else:
        assert hits == [], "\n".join(hits)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_use_no_banned_wording(path):
    hits = found(path)
    assert hits == [], "\n".join(hits)


def test_the_package_uses_no_banned_wording():
    hits = {path.relative_to(ROOT).as_posix(): found(path) for path in MODULES}
    wrong = [f"{name}: {hit}" for name, one in hits.items() for hit in one]
    assert wrong == [], "\n".join(wrong)


def test_each_banned_wording_has_a_preferred_form_and_a_reason():
    for _, row in BANNED:
        assert row["preferred"] and row["reason"], row
