"""Count a chapter's main path and write the minutes that it takes into its head.

    python tools/chapter_minutes.py                      all of notebooks/
    python tools/chapter_minutes.py notebooks/06_*.ipynb

The main path is everything before the heading "Going further". A reader is taken to read 150 words
or 10 lines of code per minute. Two pages repeat the minutes; they are changed, too.
"""

import math
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from run_notebooks import ROOT, text, write
from standalone import GENERATED, furnish

WORDS_PER_MINUTE, LINES_PER_MINUTE = 150, 10
MAX_WORDS, MAX_LINES = 3500, 300
HIDDEN = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
GOING_FURTHER = re.compile(r"^## Going further\b", re.M)
HEAD = re.compile(r"(?<=^\| Time \| )\d+(?= minutes)", re.M)
PAGES = [ROOT / "book" / name for name in ("instructors.md", "paths.md")]


def main_path(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells before the heading "Going further"."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and GOING_FURTHER.search(cell.source):
            break
        if not GENERATED & set(cell.metadata.get("tags", [])):
            cells.append(cell)
    return cells


def words(notebook: NotebookNode) -> int:
    """Words of Markdown on the main path; answers in <details> and addresses are not counted."""
    source = "\n".join(c.source for c in main_path(notebook) if c.cell_type == "markdown")
    source = re.sub(r"<details>.*?</details>", "", source, flags=re.S)
    source = re.sub(r"\]\([^)]*\)", "]", source)
    return sum(1 for word in source.split() if re.search(r"\w", word))


def lines(notebook: NotebookNode) -> int:
    """Lines of visible code on the main path, without empty ones."""
    code = [cell for cell in main_path(notebook) if cell.cell_type == "code"]
    shown = [cell for cell in code if not set(cell.metadata.get("tags", [])) & HIDDEN]
    return sum(1 for cell in shown for line in cell.source.splitlines() if line.strip())


def minutes(notebook: NotebookNode) -> int:
    """Minutes for the main path, rounded up to 5."""
    exact = words(notebook) / WORDS_PER_MINUTE + lines(notebook) / LINES_PER_MINUTE
    return 5 * math.ceil(exact / 5)


def with_minutes(page: str, name: str, number: int) -> str:
    """A page with this number in all places that name this chapter."""
    row = rf"(\(#sheet-{name[:2]}\) \| )\d+( \|)"
    sheet = rf"(\(\.\./notebooks/{name}\.ipynb\), )\d+( minutes\.)"
    return re.sub(sheet, rf"\g<1>{number}\2", re.sub(row, rf"\g<1>{number}\2", page))


def main(arguments: list[str]) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in PAGES}
    for path in [Path(a) for a in arguments] or sorted(ROOT.glob("notebooks/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        number = minutes(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = HEAD.sub(str(number), cell.source)
        write(path, text(furnish(notebook, path)))
        pages = {at: with_minutes(page, path.stem, number) for at, page in pages.items()}
        print(f"{path.stem}: {words(notebook)} words, {lines(notebook)} lines, {number} minutes")
    for at, page in pages.items():
        write(at, page)


if __name__ == "__main__":
    main(sys.argv[1:])
