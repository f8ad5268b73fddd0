"""The built pages: every link leads somewhere, nothing comes from the network, all can be read.

The pages are in `_build/html`; `make test` builds them first.
"""

import functools
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from run_notebooks import ROOT
from set_address import current

SITE = ROOT / "_build" / "html"
PAGES = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
# Pages that only lead to another one, without the book's frame.
BARE = {SITE / "index.html", SITE / "404.html"}
# What a browser fetches by itself. A link (<a href>) is followed by the reader only.
LOADED = dict.fromkeys(["script", "img", "source", "iframe", "video"], "src") | {"link": "href"}

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
every_page = pytest.mark.parametrize(
    "page", PAGES, ids=[path.relative_to(SITE).as_posix() for path in PAGES]
)


class Tags(HTMLParser):
    """The tags of a page in order: name, attributes, text of a script, whether in the article."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[SimpleNamespace] = []
        self.articles = 0  # that are open
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.articles += name == "article"
        attributes = {key: value or "" for key, value in attributes}
        tag = SimpleNamespace(name=name, text="", in_article=self.articles > 0, at=attributes)
        self.found.append(tag)

    def handle_endtag(self, name):
        self.articles -= name == "article"

    def handle_data(self, data):
        if self.found and self.found[-1].name in ("script", "style", "title"):
            self.found[-1].text += data


@functools.cache
def config() -> dict:
    """What `_config.yml` sets in Sphinx."""
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["sphinx"]["config"]


@functools.cache
def tags(page: Path) -> list[SimpleNamespace]:
    return Tags(page.read_text(encoding="utf-8")).found


def named(page: Path, *names: str) -> list[SimpleNamespace]:
    return [tag for tag in tags(page) if tag.name in names]


@functools.cache
def anchors(page: Path) -> set[str]:
    return {tag.at["id"] for tag in tags(page) if "id" in tag.at}


def links(page: Path) -> list[str]:
    return [tag.at["href"] for tag in named(page, "a") if "href" in tag.at]


def loaded(page: Path) -> list[str]:
    found = [(tag, LOADED[tag.name]) for tag in named(page, *LOADED)]
    named_only = ("canonical",)  # the page's own address, which no browser loads
    return [tag.at[k] for tag, k in found if k in tag.at and tag.at.get("rel") not in named_only]


def broken(page: Path, address: str) -> str | None:
    """What is wrong with an internal address on a page; None where it leads somewhere."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return f"{address}: no such file"
    if parts.fragment and target.suffix == ".html":
        if unquote(parts.fragment) not in anchors(target):
            return f"{address}: no such anchor"
    return None


@every_page
def test_every_internal_link_and_anchor_leads_somewhere(page):
    every = {*links(page), *loaded(page)} - {"#"}  # "#" alone: the top of the page
    base = config()["html_baseurl"]
    every = {link.replace(base, "./") if page in BARE else link for link in every}
    assert list(filter(None, (broken(page, link) for link in every))) == []


@every_page
def test_page_loads_nothing_from_the_network(page):
    assert [address for address in loaded(page) if urlsplit(address).netloc] == []
    for block in named(page, "style"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", block.text)


def test_stylesheets_load_nothing_from_the_network_and_no_missing_file():
    for sheet in SITE.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.S)
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", text):
            parts = urlsplit(address)
            if parts.scheme != "data" and not address.startswith(("%23", "#")):
                assert not parts.netloc, sheet
                assert (sheet.parent / parts.path).is_file(), (sheet, address)


def test_scripts_of_the_extensions_name_no_other_server():
    for page in PAGES:
        for script in named(page, "script"):
            text = script.text + script.at.get("src", "")
            for name in ("unpkg.com", "cdn.jsdelivr.net", "cdnjs.cloudflare.com", "googleapis.com"):
                assert name not in text, (page, name)


@every_page
def test_page_has_a_title_an_icon_and_the_logo(page):
    if page in BARE:
        return
    assert named(page, "title")[0].text.strip()
    assert any("icon" in tag.at.get("rel", "").split() for tag in named(page, "link"))
    assert any("logo__image" in tag.at.get("class", "").split() for tag in named(page, "img"))


@every_page
def test_every_figure_has_a_text_in_its_place(page):
    for image in named(page, "img"):
        if image.in_article:
            alt = image.at.get("alt", "")
            # A card's thumbnail says nothing that the title beside it does not.
            assert alt.strip() or image.at.get("class") == "thumbnail", image
            # Sphinx writes the file's name where the author wrote nothing.
            assert Path(urlsplit(image.at["src"]).path).name not in alt, image


def test_the_site_has_the_pages_of_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?:root|file): (\S+)", toc))
    built = {page.relative_to(SITE).with_suffix("").as_posix() for page in PAGES}
    assert built - {"index", "404", "search", "genindex", "py-modindex"} == listed


def test_each_notebook_page_opens_its_notebook_in_colab():
    owner_and_name = urlsplit(current()).path.strip("/")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        page = SITE / "notebooks" / f"{notebook.stem}.html"
        colab = [address for address in links(page) if "colab" in address]
        expected = f"/github/{owner_and_name}/blob/main/notebooks/{notebook.name}"
        assert {urlsplit(address).path for address in colab} == {expected}


def test_search_finds_a_word_of_the_book():
    assert "vessel" in (SITE / "searchindex.js").read_text(encoding="utf-8")
