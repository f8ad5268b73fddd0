"""The glossary: in order, linked from each chapter, and no link to a term that it lacks."""

import re

import nbformat
import pytest
from glossary_links import GLOSSARY, anchor, terms, unlinked, uses
from run_notebooks import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [*sorted((ROOT / "book").glob("*.md")), *NOTEBOOKS, ROOT / "README.md"]
# Chapters whose terms are not linked yet. A chapter leaves this list when they are.
PENDING: set[str] = set()


def test_the_entries_are_sorted_and_no_name_stands_twice():
    page = GLOSSARY.read_text(encoding="utf-8")
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        names = re.findall(r"^### (.*)$", section, re.M)
        assert names == sorted(names, key=str.lower)
    anchors = [anchor(title) for title in re.findall(r"^##+ (.*)$", page, re.M)]
    assert len(anchors) == len(set(anchors))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_to_the_glossary_name_a_term(path):
    source = path.read_text(encoding="utf-8")
    linked = set(re.findall(r"glossary\.md#([\w-]+)\)", source))
    if path == GLOSSARY:
        linked = set(re.findall(r"\]\(#([\w-]+)\)", source))
    assert linked <= set(terms().values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_chapter_links_a_term_at_its_first_use(path):
    missing = [where for *_, where in unlinked(nbformat.read(path, as_version=4))]
    if path.stem in PENDING:
        assert missing, f"take {path.stem} out of PENDING"
    else:
        assert missing == [], f"run tools/glossary_links.py notebooks/{path.name}"


def test_what_counts_as_a_use():
    known = {"feature map": "feature-map", "map": "map", "F1": "dice", "matching": "matching"}
    source = (
        "## A map\n\n| a map |\n|---|\n`map` $map$ [map](x.md) Feature\nmaps, f1, matching; "
        "[maps](../book/glossary.md#map), F1"
    )
    found = [(where, link) for _, _, where, link in uses(source, known)]
    assert found == [("feature-map", False), ("map", True), ("dice", False)]
