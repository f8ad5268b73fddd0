"""A chapter is short enough to be finished, and says how long it takes."""

import nbformat
import pytest
from chapter_minutes import HEAD, MAX_LINES, MAX_WORDS, PAGES, lines, minutes, with_minutes, words
from run_notebooks import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Chapters above the limits. A chapter leaves this list when it meets them; none is added.
TOO_LONG: set[str] = set()
every_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_chapter
def test_the_main_path_is_short(path):
    notebook = nbformat.read(path, as_version=4)
    counts = f"{words(notebook)} of {MAX_WORDS} words, {lines(notebook)} of {MAX_LINES} lines"
    short = words(notebook) <= MAX_WORDS and lines(notebook) <= MAX_LINES
    if path.stem in TOO_LONG:
        assert not short, f"{counts}: take {path.stem} out of TOO_LONG"
    else:
        assert short, f"{counts}: move what can wait behind the heading 'Going further'"


@every_chapter
def test_the_minutes_are_the_counted_ones(path):
    notebook = nbformat.read(path, as_version=4)
    head = next(cell.source for cell in notebook.cells if cell.source.startswith("# "))
    stated = [int(number) for number in HEAD.findall(head)]
    assert stated == [minutes(notebook)], f"run tools/chapter_minutes.py notebooks/{path.name}"


@every_chapter
def test_other_pages_have_the_same_minutes(path):
    number = minutes(nbformat.read(path, as_version=4))
    for at in PAGES:
        page = at.read_text(encoding="utf-8")
        assert with_minutes(page, path.stem, number) == page, "run tools/chapter_minutes.py"


def test_what_is_counted():
    cells = [
        nbformat.v4.new_markdown_cell("# Two words\n\n<details>\nnot\ncounted\n</details>"),
        nbformat.v4.new_markdown_cell("[a link](to/some_file.md) – of 4 words."),
        nbformat.v4.new_code_cell("a = 1\n\nb = 2"),
        nbformat.v4.new_code_cell("hidden = 3", metadata={"tags": ["hide-cell"]}),
        nbformat.v4.new_code_cell("ran = 4", metadata={"tags": ["nbval-ignore-output"]}),
        nbformat.v4.new_markdown_cell("## Going further\n\nwords that can wait"),
        nbformat.v4.new_code_cell("c = 5"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert (words(notebook), lines(notebook), minutes(notebook)) == (7, 3, 5)
