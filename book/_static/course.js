// A table or formula that scrolls sideways can be reached with the keyboard and has a name.
const WIDE = ".cell_output .output, .pst-scrollable-table-container, .math";

function kindOf(box) {
  if (box.matches(".math")) return "Formula";
  return box.querySelector("table") ? "Table" : "Output";
}

function nameWideBoxes() {
  for (const box of document.querySelectorAll(WIDE)) {
    if (box.scrollWidth <= box.clientWidth + 1) continue;
    box.tabIndex = 0;
    box.setAttribute("role", "group"); // not a region: a page would have many landmarks of one name
    const figure = box.closest("figure") ?? box;
    const caption = figure.querySelector(":is(figcaption, caption) :is(.caption-number, .caption-text)");
    const name = caption?.textContent.trim().split(". ")[0] ?? kindOf(box);
    box.setAttribute("aria-label", `${name}, scrolls sideways`);
  }
}

window.addEventListener("resize", nameWideBoxes);
window.addEventListener("load", nameWideBoxes);

// Search results have excerpts where the browser lets a page read other pages: not under file://.
if (location.protocol.startsWith("http")) DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = true;

// Paper gets the light colours and what is folded; print.css leaves out code that only draws.
const FOLDED = ".bd-article details:not([open])";
let opened = [];

window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll(FOLDED)];
  for (const box of opened) box.open = true;
  for (const image of document.querySelectorAll("img[loading=lazy]")) image.loading = "eager";
  document.documentElement.dataset.screenTheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
window.addEventListener("afterprint", () => {
  for (const box of opened) box.open = false;
  document.documentElement.dataset.theme = document.documentElement.dataset.screenTheme;
});

// The section "Going further" is collapsed: a link into it opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target; box; box = box.parentElement) {
    if (box.tagName === "DETAILS") box.open = true;
  }
  if (target?.closest("details.going-further")) target.scrollIntoView();
}

window.addEventListener("hashchange", openTarget);
window.addEventListener("load", openTarget);
