"""The built site as a whole: what search engines read, numbers of figures, weight."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import FunctionType

import nbformat
import pytest
import torch
from PIL import Image
from run_notebooks import ROOT
from test_book import BARE, PAGES, SITE, anchors, config, links, loaded, named

import retina_course
from book._ext.light_pages import lighten_images
from retina_course import make_fundus

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
READ = [page for page in PAGES if page not in BARE and page.parent != SITE]
every_read_page = pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
CAPTION = re.compile(
    r'<figure[^>]* id="([\w-]+)">.*?class="caption-number">(Fig\.|Table) (\w+\.\d+) ', re.S
)


def meta(page: Path) -> dict[str, str]:
    found = [tag.at for tag in named(page, "meta")]
    return {at.get("name") or at.get("property", ""): at.get("content", "") for at in found}


def captions(page: Path) -> dict[str, str]:
    text = page.read_text(encoding="utf-8")
    return {name: f"{kind} {number}" for name, kind, number in CAPTION.findall(text)}


@every_read_page
def test_a_page_says_what_it_is_to_search_engines(page):
    said = meta(page)
    address = config()["html_baseurl"] + page.relative_to(SITE).as_posix()
    assert 20 <= len(said["description"]) <= 160
    assert said["og:description"] == said["description"]
    assert (SITE / "_static" / Path(said["og:image"]).name).is_file()
    canonical = [t.at["href"] for t in named(page, "link") if t.at.get("rel") == "canonical"]
    assert canonical == [said["og:url"]] == [address]
    assert f"<loc>{address}</loc>" in (SITE / "sitemap.xml").read_text(encoding="utf-8")


def test_titles_differ_and_name_the_course_once():
    titles = [named(page, "title")[0].text for page in READ]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert len(title) <= 80 and title.lower().count("retinal image segmentation") <= 1, title


def test_the_root_has_what_a_host_and_crawlers_look_for():
    base = config()["html_baseurl"]
    assert (SITE / ".nojekyll").is_file()
    assert f"Sitemap: {base}sitemap.xml" in (SITE / "robots.txt").read_text(encoding="utf-8")
    for page in BARE:  # 404.html is served at any address: its links are whole
        text = page.read_text(encoding="utf-8")
        assert '<html lang="en">' in text and named(page, "title")[0].text.strip()
    assert all(link.startswith(base) for link in links(SITE / "404.html"))


def test_figures_and_tables_are_numbered_by_chapter_and_tables_have_the_caption_above():
    for page in (SITE / "notebooks").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        numbers = list(captions(page).values())
        chapter = re.search(r'section-number">(\w+)\. </span>', text)[1]
        for kind in ("Fig.", "Table"):
            mine = [number for number in numbers if number.startswith(kind)]
            assert mine == [f"{kind} {chapter}.{i + 1}" for i in range(len(mine))]
        figures = re.findall(r"<figure[^>]*>(.*?)</figure>", text, re.S)
        for figure in (f for f in figures if "caption-number" in f):
            is_table = "<table" in figure and "<img" not in figure
            assert is_table == figure.lstrip().startswith("<figcaption"), figure[:300]


def test_a_number_in_the_text_is_that_of_the_figure_it_links():
    for page in (SITE / "notebooks").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        numbers = captions(page)
        pattern = r'href="#([\w-]+)"[^>]*>(?:<span[^>]*>)?((?:Fig\.|Table) [^<]*)<'
        for name, number in re.findall(pattern, text):
            assert numbers[name] == number, (page, name)


def test_links_of_notebooks_lead_to_places_of_the_published_book():
    base = config()["html_baseurl"]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for address in re.findall(rf"\]\({re.escape(base)}([^)\s]+)\)", text):
            page, _, anchor = address.partition("#")
            assert (SITE / page).is_file(), (path.name, address)
            assert not anchor or anchor in anchors(SITE / page), (path.name, address)


def test_no_icon_script_and_the_formulas_font_only_where_there_is_a_formula():
    for page in READ:
        text = page.read_text(encoding="utf-8")
        assert "fontawesome" not in " ".join(loaded(page))
        assert ("formulas.css" in text) == ("<math" in text), page


def test_the_first_cell_of_a_row_is_its_header_unless_it_is_empty():
    rows = "".join(page.read_text(encoding="utf-8") for page in READ)
    headers = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', rows, re.S)
    assert len(headers) > 500 and all(headers)


def test_pages_are_light_before_the_first_scroll():
    """Bytes as they lie on disk; a host sends a third of them."""
    for page in READ:
        first = [tag for tag in named(page, "img") if tag.at.get("loading") != "lazy"]
        waits = {tag.at["src"] for tag in named(page, "img")} - {tag.at["src"] for tag in first}
        files = {(page.parent / link.split("?")[0]).resolve() for link in loaded(page)}
        files -= {(page.parent / source).resolve() for source in waits}
        files = {file for file in files if file.is_file() and file.suffix != ".html"}
        weight = page.stat().st_size + sum(file.stat().st_size for file in files)
        limit = 500_000 if page.stem == "intro" else 1_000_000
        assert weight < limit, (page, weight)


def exported() -> dict[object, set[str]]:
    """Functions and classes that the package and its rooms hand out, each with all its names."""
    found = pkgutil.walk_packages(retina_course.__path__, "retina_course.")
    rooms = [m.name for m in found if m.ispkg and m.name != "retina_course.cli"]
    names: dict[object, set[str]] = {}
    for room in [retina_course, *map(import_module, rooms)]:
        for name in getattr(room, "__all__", ()):
            thing = getattr(room, name)
            if isinstance(thing, (type, FunctionType)):
                own = f"{thing.__module__}.{thing.__qualname__}"
                names.setdefault(thing, {own}).add(f"{room.__name__}.{name}")
    return names


def test_the_reference_has_every_function_and_class_that_a_room_exports():
    described = set.union(*(anchors(page) for page in (SITE / "book" / "api").glob("*.html")))
    every = exported().values()
    assert len(every) > 100
    assert [names for names in every if not names & described] == []


def test_photographs_that_notebooks_store_as_png_are_shown_lighter(tmp_path):
    assert max(f.stat().st_size for f in (SITE / "_images").glob("*.png")) < 400_000
    eye = (make_fundus((500, 400), seed=0).image + 0.02 * torch.randn(3, 500, 400)).clamp(0, 1)
    eye = Image.fromarray(eye.permute(1, 2, 0).mul(255).byte().numpy())
    (tmp_path / "_images").mkdir()
    eye.save(tmp_path / "_images" / "eye.png", dpi=(220, 220))
    page = tmp_path / "page.html"
    page.write_text('<a href="_images/eye.png"><img src="_images/eye.png"></a>', encoding="utf-8")
    lighten_images(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.count("_images/eye.webp") == 2 and 'width="200" height="250"' in text
    assert [path.name for path in (tmp_path / "_images").iterdir()] == ["eye.webp"]


def test_images_keep_their_place():
    for page in READ:
        for image in named(page, "img"):
            if image.in_article:
                assert image.at.get("width") and image.at.get("height"), (page, image.at["src"])


def test_diagrams_are_drawings_that_stay_sharp():
    page = SITE / "notebooks" / "06_unet_small.html"
    text = page.read_text(encoding="utf-8")
    figure = re.search(r'<figure[^>]* id="unet-small-architecture">(.*?)</figure>', text, re.S)[1]
    source, width = re.search(r'<img[^>]* width="(\d+)".*?src="([^"]+)"', figure).group(2, 1)
    assert source.endswith(".svg") and int(width) == 704 and 'loading="lazy"' in figure
    assert (page.parent / source).stat().st_size < 100_000
