"""The built site in Chromium: no request, no error, readable on phones and by keyboard.

One browser opens each page once.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
from chromium import CHROMIUM, Page
from test_book import PAGES, SITE
from test_site import READ

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not PAGES, reason="the book is not built: make book"),
]
needs_axe = pytest.mark.skipif(
    find_spec("axe_core_python") is None, reason="axe-core-python is not installed"
)
DARK = {"name": "prefers-color-scheme", "value": "dark"}
# How far the text of the search field begins behind the end of the icon.
SEARCH_TEXT = """(() => {
  const [icon, field] = document.querySelectorAll("main .bd-search :is(i, svg, input)");
  const text = field.getBoundingClientRect().left + parseFloat(getComputedStyle(field).paddingLeft);
  return text - icon.getBoundingClientRect().right;
})()"""
# How far the widest entry of the list of headings sticks out of it.
HEADINGS_CUT = """(() => {
  const list = document.querySelector(".bd-sidebar-secondary").getBoundingClientRect();
  const names = [...document.querySelectorAll(".bd-sidebar-secondary .toc-entry code")];
  return Math.max(...names.map((name) => name.getBoundingClientRect().right)) - list.right;
})()"""
WIDE_FORMULA = SITE / "notebooks" / "03_losses.html"
WIDE_TABLE = SITE / "notebooks" / "14_benchmark.html"
# What sticks out of the screen, and does not scroll in a box of its own.
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"
# Titles of the page before and after that are cut off at the end of their link.
CUT_TITLES = """[...document.querySelectorAll(".prev-next-title")].filter((title) =>
  title.getBoundingClientRect().right > title.closest("a").getBoundingClientRect().right).length"""
# The first column of the widest table, when the table is scrolled to its end.
FIRST_COLUMN = """((kind) => {
  const boxes = [...document.querySelectorAll(kind)];
  const excess = (box) => box.scrollWidth - box.clientWidth;
  const box = boxes.sort((a, b) => excess(b) - excess(a))[0];
  box.scrollLeft = 1e6;
  const cell = box.querySelector("tbody tr > :first-child").getBoundingClientRect();
  const frame = box.getBoundingClientRect();
  return {
    scrolled: box.scrollLeft, seen: cell.left >= frame.left - 1 && cell.right <= frame.right,
    role: box.getAttribute("role"), name: box.getAttribute("aria-label"), stop: box.tabIndex,
  };
})"""
# The widest formula: how far it goes beyond its box, and where its first symbol stands.
FORMULA = """(() => {
  const boxes = [...document.querySelectorAll("div.math")];
  const beyond = (box) => box.scrollWidth - box.clientWidth;
  const box = boxes.sort((a, b) => beyond(b) - beyond(a))[0];
  const first = box.querySelector("mi").getBoundingClientRect();
  return {
    beyond: beyond(box), start: first.left - box.getBoundingClientRect().left,
    name: box.getAttribute("aria-label"), stop: box.tabIndex,
    overflow: getComputedStyle(box).overflowX,
    font: [...document.fonts].some((f) => f.family.includes("Formulas") && f.status == "loaded"),
  };
})()"""
# The stored error maps with the points of their titles, at 110 dots per inch.
ERROR_MAPS = {
    "06_unet_small": 12,
    "07_unet_large": 12,
    "12_retina_segmentor": 12,
    "13_linknet": 12,
    "14_benchmark": 10,
}
# How large such a picture is against its file, and how far its box scrolls.
ERROR_MAP = """(() => {
  document.querySelectorAll("details").forEach((part) => (part.open = true));
  const [image] = document.querySelectorAll("figure[id$='-errors'] img");
  const box = image.parentElement;
  box.scrollLeft = 1e6;
  return { scale: image.clientWidth / image.getAttribute("width"), scrolled: box.scrollLeft };
})()"""
# Buttons of the header, lists of pages and headings, focused by keyboard: is there a ring?
RINGS = """[...document.querySelectorAll(
  ".bd-header-article :is(a, button), nav.bd-links :is(a, summary), .toc-entry a, main a")]
  .filter((button) => button.checkVisibility() && button.tabIndex >= 0)
  .map((button) => {
    button.focus({ focusVisible: true });
    const style = getComputedStyle(button);
    return style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2;
  })"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("browser"))
    yield page
    page.close()


def resize(page: Page, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    page.call("Emulation.setDeviceMetricsOverride", **size)


def test_no_page_asks_for_anything_complains_or_is_wider_than_a_phone(page):
    wide = []
    for path in [*READ, SITE / "404.html", SITE / "search.html"]:
        resize(page, 390)
        page.open(path.as_uri())
        for width in (390, 320):
            resize(page, width)
            if page.evaluate(TOO_WIDE) > 0 or page.evaluate(CUT_TITLES):
                wide.append((path.relative_to(SITE).as_posix(), width))
    assert wide == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.errors == []


def test_a_wide_table_keeps_its_first_column_and_has_a_name(page):
    resize(page, 390)
    page.open(WIDE_TABLE.as_uri())
    found = page.evaluate(f"{FIRST_COLUMN}('.cell_output .text_html')")
    assert found["scrolled"] > 0 and found["seen"], found
    assert found["role"] == "group" and found["name"].startswith("Table 14."), found
    assert found["stop"] == 0


def test_a_wide_table_of_the_text_keeps_its_first_column(page):
    resize(page, 390)
    page.open((SITE / "book" / "instructors.html").as_uri())
    found = page.evaluate(f"{FIRST_COLUMN}('.pst-scrollable-table-container')")
    assert found["scrolled"] > 0 and found["seen"] and found["stop"] == 0, found


def test_a_wide_formula_scrolls_in_its_own_box_from_its_beginning(page):
    resize(page, 390)
    page.open(WIDE_FORMULA.as_uri())
    found = page.evaluate(FORMULA)
    assert found["beyond"] > 50 and found["start"] >= 0, found
    assert found["overflow"] == "auto", found
    assert found["name"] == "Formula, scrolls sideways" and found["stop"] == 0, found
    assert found["font"], "the font of the formulas has not loaded"


@pytest.mark.parametrize("name", ERROR_MAPS)
def test_titles_of_error_maps_can_be_read_on_a_phone(page, name):
    found = {}
    page.open((SITE / "notebooks" / f"{name}.html").as_uri())
    for width in (390, 1280):
        resize(page, width)
        found[width] = page.evaluate(ERROR_MAP)
        assert page.evaluate(TOO_WIDE) <= 0
    assert found[390]["scale"] * ERROR_MAPS[name] / 72 * 110 >= 11
    assert found[390]["scrolled"] > 200 and found[1280]["scrolled"] == 0


def test_who_moves_by_keyboard_sees_where(page):
    resize(page, 1280)
    page.open((SITE / "book" / "intro.html").as_uri())
    rings = page.evaluate(RINGS)
    assert len(rings) >= 40 and all(rings), rings


def axe(page: Page) -> list:
    """What axe finds on the open page."""
    script = Path(find_spec("axe_core_python").origin).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8") + "; 0")
    return page.evaluate("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html]))")


@needs_axe
def test_axe_finds_nothing(page):
    """On small pages: a chapter takes half a minute."""
    resize(page, 1280)
    found = {}
    for name in ("book/intro", "book/threshold", "search"):
        page.open((SITE / f"{name}.html").as_uri())
        found[name] = axe(page)
    assert found == dict.fromkeys(found, [])


@needs_axe
def test_axe_finds_nothing_in_what_a_search_found_in_the_dark(page):
    resize(page, 390)
    page.call("Emulation.setEmulatedMedia", features=[DARK])
    page.open((SITE / "search.html").as_uri() + "?q=vessel")
    page.wait("document.querySelectorAll('ul.search a .highlighted').length > 5")
    assert axe(page) == []
    page.call("Emulation.setEmulatedMedia", features=[])
    assert page.evaluate(SEARCH_TEXT) > 0


def test_long_names_in_the_list_of_headings_are_not_cut_off(page):
    resize(page, 1440)
    page.open((SITE / "book" / "api" / "evaluation.html").as_uri())
    assert page.evaluate(HEADINGS_CUT) <= 0


def test_toggles_are_named_as_they_read(page):
    page.open(WIDE_TABLE.as_uri())  # stays open for the next test
    named = "[...document.querySelectorAll('details.hide > summary')].map(s => s.ariaLabel)"
    labels = page.evaluate(named)
    assert labels and not any(labels)


def test_print_opens_what_is_folded_in_light_colours_and_closes_it_again(page):
    state = """JSON.stringify([document.documentElement.dataset.theme,
      document.querySelectorAll('.bd-article details:not([open])').length])"""
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    before = page.evaluate(state)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(state) == '["light",0]'
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(state) == before


def test_the_widest_tables_fit_on_paper(page):
    """A4 less the margins of print.css has 688 pixels; for wider ones browsers shrink all pages."""
    resize(page, 688)
    page.call("Emulation.setEmulatedMedia", media="print")
    page.open(WIDE_TABLE.as_uri())
    tables = "[...document.querySelectorAll('.bd-article table')]"
    widths = page.evaluate(f"{tables}.map((table) => table.getBoundingClientRect().right)")
    page.call("Emulation.setEmulatedMedia", media="")
    assert len(widths) > 10 and max(widths) <= 689, widths


def test_on_paper_figures_leave_room_and_keep_their_shape_and_long_tables_break(page):
    """What is kept whole leaves a gap at the end of the page before, of up to its own height."""
    resize(page, 688)
    page.call("Emulation.setEmulatedMedia", media="print")
    page.open((SITE / "notebooks" / "06_unet_small.html").as_uri())
    images = page.evaluate("""[...document.querySelectorAll('.bd-article figure img')].map((i) => {
      const box = i.getBoundingClientRect(), fit = getComputedStyle(i).objectFit;
      return [box.height, fit === "contain"
        || Math.abs(box.width / box.height / (i.naturalWidth / i.naturalHeight) - 1) < 0.02];
    })""")
    tables = page.evaluate("""[...document.querySelectorAll('figure:has(table)')].map(
      (f) => [f.querySelectorAll('tbody > tr').length, getComputedStyle(f).breakInside])""")
    page.call("Emulation.setEmulatedMedia", media="")
    assert len(images) > 5 and max(height for height, _ in images) <= 416  # 11 cm
    assert all(in_shape for _, in_shape in images), images
    assert {(rows > 8, how) for rows, how in tables} == {(True, "auto"), (False, "avoid")}


def test_nothing_moves_when_the_threshold_page_gets_its_numbers(page):
    shift = """new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) sum += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => resolve(sum), 300);
    })"""
    page.open((SITE / "book" / "threshold.html").as_uri())
    page.wait("document.getElementById('threshold-found').textContent")
    assert page.evaluate(shift) < 0.1
