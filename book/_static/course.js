// What scrolls sideways can be reached with the keyboard.
function addTabStops() {
  for (const box of document.querySelectorAll(".cell_output .output, div.math, mjx-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

window.addEventListener("resize", addTabStops);
window.addEventListener("load", () => {
  addTabStops();
  window.MathJax?.startup?.promise.then(addTabStops);
});

// The section "Going further" is collapsed: a link into it and printing open it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target; box; box = box.parentElement) {
    if (box.tagName === "DETAILS") box.open = true;
  }
  if (target?.closest("details.going-further")) target.scrollIntoView();
}

function openAll() {
  for (const box of document.querySelectorAll("details.going-further")) box.open = true;
}

window.addEventListener("hashchange", openTarget);
window.addEventListener("load", openTarget);
window.addEventListener("beforeprint", openAll);
