"""Link the first use of each glossary term in a chapter to the glossary.

    python tools/glossary_links.py                      all of notebooks/
    python tools/glossary_links.py notebooks/06_*.ipynb

A term counts as used in running text: not in a heading, a table, code, a formula or another link.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from run_notebooks import ROOT, text, write
from standalone import GENERATED, furnish

GLOSSARY = ROOT / "book" / "glossary.md"
# Words that mostly have another meaning in running text; they are linked by hand.
EVERYDAY = {"matching", "precision", "recall"}
NO_TEXT = re.compile(
    r"^(?:#|\||>)[^\n]*|^\$\$.*?\$\$|^```.*?^```|`[^`]*`|\$[^$]+\$|!?\[[^\]]*\]\([^)]*\)|<[^>]*>",
    re.M | re.S,
)
LINK = re.compile(r"\]\([^)\s]*book/glossary\.(?:md|html)#([\w-]+)\)")


def anchor(name: str) -> str:
    """The anchor of a heading, as GitHub and the book make it."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def terms() -> dict[str, str]:
    """The anchor of each name, synonyms included."""
    found = {}
    for entry in re.split(r"^### ", GLOSSARY.read_text(encoding="utf-8"), flags=re.M)[1:]:
        name, _, body = entry.partition("\n")
        synonyms = re.match(r"\s*Also called: (.*)\.\n", body)
        for each in [name, *(synonyms[1].split(", ") if synonyms else [])]:
            found[each] = anchor(name)
    return found


def pattern(names: list[str]) -> re.Pattern[str]:
    """One of the names, singular or plural, the longest that fits."""

    def form(name: str) -> str:
        plural = f"(?:{name[:-1]}(?:y|ies))" if name.endswith("y") else f"{name}(?:e?s)?"
        words = plural.replace(" ", r"\s+")
        return f"(?i:{words})" if name.islower() else words

    return re.compile(
        rf"(?<![\w-])(?:{'|'.join(map(form, sorted(names, key=len)[::-1]))})(?![\w-])"
    )


def uses(source: str, anchors: dict[str, str]) -> Iterator[tuple[int, int, str, bool]]:
    """Begin, end, anchor and whether it is a link, of each use in a text, in order."""
    plain = NO_TEXT.sub(lambda match: " " * len(match[0]), source)
    names = [name for name in anchors if name not in EVERYDAY]
    found = [(m.start(), m.end(), m[0], False) for m in pattern(names).finditer(plain)]
    lower = {name.lower(): where for name, where in anchors.items()}
    spans = [(a, b, lower[singular(word, lower)], link) for a, b, word, link in found]
    links = [(m.start(), m.end(), m[1], True) for m in LINK.finditer(source)]
    return iter(sorted(spans + links))


def singular(word: str, known: dict[str, str]) -> str:
    word = re.sub(r"\s+", " ", word.lower())
    return next(w for w in (word, word[:-1], word[:-2], word[:-3] + "y") if w in known)


def unlinked(notebook: NotebookNode) -> list[tuple[NotebookNode, int, int, str]]:
    """The first uses that are no links: cell, begin, end, anchor."""
    anchors, seen, found = terms(), set(), []
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or GENERATED & set(cell.metadata.get("tags", [])):
            continue
        for begin, end, where, link in uses(cell.source, anchors):
            if where not in seen and not link:
                found.append((cell, begin, end, where))
            seen.add(where)
    return found


def main(arguments: list[str]) -> None:
    for path in [Path(a) for a in arguments] or sorted(ROOT.glob("notebooks/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        missing = unlinked(notebook)
        for cell, begin, end, where in reversed(missing):
            word = cell.source[begin:end]
            linked = f"[{word}](../book/glossary.md#{where})"
            cell.source = cell.source[:begin] + linked + cell.source[end:]
        write(path, text(furnish(notebook, path)))
        print(f"{path.stem}: {len(missing)} terms linked")


if __name__ == "__main__":
    main(sys.argv[1:])
