"""The notebooks as files: executed from top to bottom, comparable, readable in book and Colab.

`pytest --nbval` runs them; these tests see to it that there is something to compare.
"""

import functools
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from pybtex.database import parse_file
from run_notebooks import ROOT, in_normal_form
from set_address import current
from standalone import GENERATED, Place, numbers

import retina_course

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TAGS = {
    "badges",
    "caption",
    "hide-cell",
    "hide-input",
    "hide-output",
    "nbval-ignore-output",
    "remove-cell",
    "remove-input",
    "small-output",
}
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|tmp|work|usr|opt|var)/\w|[A-Z]:\\\w")
CITED = re.compile(r"doi\.org/(10\.[^\s)\"'>\]]+)|arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", re.I)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path: Path) -> str:
    """The text as its author wrote it: without badges and captions."""
    cells = [cell for cell in read(path).cells if cell.cell_type == "markdown"]
    return "\n\n".join(c.source for c in cells if not GENERATED & set(c.metadata.get("tags", [])))


@functools.cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def data(cell: NotebookNode) -> dict[str, str]:
    """What a cell shows, by media type; streams under the key "stream"."""
    shown: dict[str, str] = {}
    for output in cell.outputs:
        items = output.get("data") or {"stream": output.get("text", "")}
        for kind, content in items.items():
            shown[kind] = shown.get(kind, "") + str(content)
    return shown


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_normal_form(path):
    assert in_normal_form(path), "run `make notebooks`"


@every_notebook
def test_every_code_cell_has_run_in_order(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@every_notebook
def test_no_cell_failed(path):
    assert [o.evalue for c in code_cells(path) for o in c.outputs if o.output_type == "error"] == []


@every_notebook
def test_only_known_tags(path):
    used = {tag for cell in read(path).cells for tag in cell.metadata.get("tags", [])}
    assert used <= TAGS


@every_notebook
def test_at_most_a_fifth_of_the_cells_is_not_compared(path):
    cells = code_cells(path)
    ignored = [c for c in cells if "nbval-ignore-output" in c.metadata.get("tags", [])]
    assert len(ignored) * 5 <= len(cells)


@every_notebook
def test_first_cell_installs_the_package_where_it_is_missing(path):
    first = code_cells(path)[0]
    assert first.metadata.get("tags") == ["remove-cell"]
    assert "import retina_course" in first.source
    assert f"git+{current()}@v{retina_course.__version__}" in first.source


@every_notebook
def test_no_path_of_one_machine(path):
    texts = [markdown(path)]
    for cell in code_cells(path):
        shown = data(cell)
        texts += [cell.source, *(shown[kind] for kind in shown if not kind.startswith("image/"))]
    assert [match.group() for text in texts for match in MACHINE_PATH.finditer(text)] == []


@every_notebook
def test_every_figure_has_a_text_in_its_place(path):
    for cell in code_cells(path):
        shown = data(cell)
        if any(kind.startswith("image/") for kind in shown):
            assert cell.metadata.get("mystnb", {}).get("image", {}).get("alt"), cell.source
        html = shown.get("text/html", "")
        for tag in re.findall(r"<img\b[^>]*>", html):
            assert re.search(r'\balt="[^"]', tag), cell.source
        for tag in re.findall(r"<svg\b[^>]*>", html):
            assert "aria-label" in tag or "aria-hidden" in tag, cell.source


@every_notebook
def test_no_output_restyles_the_page(path):
    for cell in code_cells(path):
        for kind in ("text/html", "image/svg+xml"):
            assert not re.search(r"<style(?! scoped)", data(cell).get(kind, "")), cell.source


@every_notebook
def test_plots_of_lines_are_drawings_and_lighter_than_pixels(path):
    """Figures with a picture in them (`imshow`, and chapter 03's `panel` of it) stay pixels."""
    plots = 0
    for cell in code_cells(path):
        shown = data(cell)
        if "plt.subplots(" in cell.source and not re.search(r"imshow|\bpanel\(", cell.source):
            plots += 1
            assert len(shown["image/svg+xml"]) < len(shown["image/png"]) * 0.9, cell.source
    assert (plots == 0) == (path.stem in ("01_fundus_images", "appendix_network_language"))


@every_notebook
def test_markdown_is_plain(path):
    """Colab shows neither MyST directives and roles nor images that lie in the repository."""
    text = markdown(path)
    assert re.findall(r"^\s*(?:`{3,}|:{3,})\{.*", text, re.M) == []
    assert re.findall(r"\{[\w:-]+\}`", text) == []
    assert re.findall(r"!\[[^\]]*\]\((?!https?:)[^)]*\)", text) == []
    assert re.findall(r"<img\b[^>]*>", text) == []


@every_notebook
def test_each_cited_paper_is_in_the_bibliography(path):
    known = set()
    for entry in parse_file(ROOT / "book" / "references.bib").entries.values():
        known |= {entry.fields.get(field, "").lower() for field in ("doi", "eprint")}
    shown = "".join(data(cell).get("text/html", "") for cell in code_cells(path))
    cited = {
        (doi or arxiv).rstrip(".,").lower() for doi, arxiv in CITED.findall(markdown(path) + shown)
    }
    assert cited <= known


@every_notebook
def test_a_notebook_can_be_read_alone(path):
    """Badges first, no link that needs the repository beside it, captions as text."""
    cells, place = read(path).cells, Place(path)
    assert cells[0].source == place.badges() and "colab-badge.svg" in cells[0].source
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.findall(r"\]\((?!https?://)[^)]*\)", text) == []
    assert "[Fig. ?]" not in text
    for name, number in numbers(read(path), place.number).items():
        (cell,) = [
            c for c in cells if c.metadata.get("mystnb", {}).get("figure", {}).get("name") == name
        ]
        assert cells[cells.index(cell) + 1].source.startswith(f"**{number}.** ")


@every_notebook
def test_what_the_book_hides_is_closed_in_jupyterlab_and_colab(path):
    for cell in code_cells(path):
        tags = set(cell.metadata.get("tags", []))
        hidden = bool(tags & {"hide-input", "hide-cell", "remove-cell", "remove-input"})
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == hidden
        assert (cell.metadata.get("cellView") == "form") == hidden
