// Is the field angle right? A circle as wide as an optic disc is at this angle, which the reader
// lays on the photograph's disc, as in inference/disc_angle.py.
const retinaDiscWidth = (diameter, angle, discDegrees) => (discDegrees * diameter) / angle;

// `angleField` is the page's field for the angle; a change of it begins a new run.
function retinaDisc({ degrees, angles }, angleField) {
  const at = (name) => document.getElementById(`live-disc-${name}`);
  const [view, circle, slider] = [at("view"), at("circle"), at("angle")];
  let photo = null; // its size and the box of its field of view
  let middle = null; // of the circle, in the photograph's pixels

  function draw() {
    const angle = Number(angleField.value);
    const shown = Boolean(photo) && at("on").checked && angle > 0;
    at("aid").hidden = !shown;
    view.toggleAttribute("hidden", !shown);
    if (!shown) return;
    const width = retinaDiscWidth(photo.box.diameter, angle, degrees);
    for (const part of circle.children) {
      part.setAttribute("cx", middle.x);
      part.setAttribute("cy", middle.y);
      part.setAttribute("r", width / 2);
    }
    slider.value = angle;
    at("size").textContent = `${angle} degrees: a disc is about ${Math.round(width)} pixels wide`;
    const [x, y] = [middle.x, middle.y].map(Math.round);
    circle.setAttribute("aria-valuenow", Math.round((100 * x) / photo.width));
    circle.setAttribute("aria-valuetext", `${x} pixels from the left, ${y} from the top`);
  }

  function move(x, y) {
    middle = {
      x: Math.min(photo.width, Math.max(0, x)),
      y: Math.min(photo.height, Math.max(0, y)),
    };
    draw();
  }

  function place({ clientX, clientY }) {
    return new DOMPoint(clientX, clientY).matrixTransform(view.getScreenCTM().inverse());
  }

  // A new result of the same photograph leaves the circle where it is.
  function open(result) {
    at("check").hidden = false;
    if (photo) return;
    const { width, height, box } = result;
    photo = { width, height, box };
    view.setAttribute("viewBox", `0 0 ${width} ${height}`);
    move((box.left + box.right) / 2, (box.top + box.bottom) / 2);
  }

  function close() {
    photo = null;
    at("check").hidden = true;
    draw();
  }

  [slider.min, slider.max] = angles;
  at("on").addEventListener("change", draw);
  angleField.addEventListener("input", draw);
  slider.addEventListener("input", () => {
    angleField.value = slider.value;
    draw();
  });
  slider.addEventListener("change", () => angleField.dispatchEvent(new Event("change")));

  circle.addEventListener("keydown", (event) => {
    const step = photo.box.diameter / 100;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault(); // the page does not scroll
    move(middle.x + step * way[0], middle.y + step * way[1]);
  });
  // A finger on the circle moves it and not the page; `touch-action` does nothing inside an SVG.
  circle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  let grip = null; // from the pointer to the circle's middle
  circle.addEventListener("pointerdown", (event) => {
    const { x, y } = place(event);
    grip = { x: middle.x - x, y: middle.y - y };
    circle.setPointerCapture(event.pointerId);
  });
  circle.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const { x, y } = place(event);
    move(x + grip.x, y + grip.y);
  });
  circle.addEventListener("lostpointercapture", () => (grip = null));
  // Without dragging: a click beside the circle brings it there.
  view.addEventListener("click", (event) => {
    if (circle.contains(event.target)) return;
    const { x, y } = place(event);
    move(x, y);
  });

  return { open, close };
}
