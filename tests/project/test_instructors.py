"""The instructors' page says what the chapters say: minutes, section names, exercises."""

import re
from pathlib import Path

import nbformat
import pytest
from run_notebooks import ROOT

PAGE = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))  # the chapters, no appendix
every_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def markdown(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def sheet(path: Path) -> str:
    """The sheet of one chapter, its lines joined."""
    found = re.search(rf"^### {path.stem[:2]} .*?(?=^\(sheet-|^## )", PAGE, re.M | re.S)
    assert found, f"no sheet of {path.stem}"
    return re.sub(r"\s+", " ", found[0])


@every_chapter
def test_the_minutes_are_those_of_the_chapters_head(path):
    minutes = re.search(r"^\| Time \| (\d+) minutes", markdown(path), re.M)[1]
    assert f"({Path('../notebooks') / path.name}), {minutes} minutes." in sheet(path)


@every_chapter
def test_the_sections_have_the_names_of_the_chapter(path):
    headings = [h.strip() for h in re.findall(r"^#+ (.*)$", markdown(path), re.M)]
    named = re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", sheet(path))
    assert named
    for name in named:
        assert name.rstrip(".") in headings, name


@every_chapter
def test_the_table_has_the_minutes_and_the_number_of_exercises(path):
    number = path.stem[:2]
    row = re.search(rf"^\| {number} \| .*\(#sheet-{number}\) \| (\d+) \| (\d+) \|$", PAGE, re.M)
    assert row, f"the table lacks chapter {number}"
    minutes = re.search(r"^\| Time \| (\d+) minutes", markdown(path), re.M)[1]
    exercises = re.findall(r"^\*\*(\d)\. ", markdown(path), re.M)
    assert row.groups() == (minutes, str(len(exercises)))


@every_chapter
def test_the_exercises_exist(path):
    exercises = re.findall(r"^\*\*(\d)\. ", markdown(path), re.M)
    for number in re.findall(r"Exercises? (\d)", sheet(path)):
        assert number in exercises
