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
