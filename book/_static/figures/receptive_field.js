// Receptive field of a layer over an eye: the page book/interactive.md.
(() => {
  const at = (name) => document.getElementById(`field-${name}`);
  const description = window.retinaShapeDescription;
  if (!at("demo") || !description) return;

  const SIDE = 640; // pixels of the image, as in the training of the networks
  const shapes = retinaShapes(description);
  const point = { y: 0.5, x: 0.5 }; // of the map's height and width
  let steps = [];
  let rows = [];

  function chooseNetwork() {
    const { options } = description.networks[at("network").value];
    const first = ([name, values]) => [name, Array.isArray(values) ? values[0] : values];
    const usual = { in_channels: 3, ...Object.fromEntries(Object.entries(options).map(first)) };
    steps = shapes.stepsOf(at("network").value, usual);
    rows = shapes.table(steps, { channels: 3, height: SIDE, width: SIDE }).rows;
    at("layer").replaceChildren(...rows.map(({ name, type }, i) => new Option(`${name} (${type})`, i)));
    at("layer").value = rows.length - 1;
    show();
  }

  function show() {
    const row = rows[at("layer").value];
    const [y, x] = [Math.floor(point.y * row.height), Math.floor(point.x * row.width)];
    const [field, across] = [y, x].map((pixel) => shapes.receptiveField(steps.slice(0, row.end), pixel));
    const place = (element, [left, top, width, height]) =>
      Object.entries({ x: left, y: top, width, height }).forEach(([key, value]) => element.setAttribute(key, value));
    const length = ([first, last]) => last - first + 1;
    for (const name of ["frame", "shadow"]) place(at(name), [across[0], field[0], length(across), length(field)]);
    const cell = SIDE / row.height;
    place(at("pixel"), [x * cell, y * cell, cell, cell]);
    const inside = ([first, last]) => Math.min(last, SIDE - 1) - Math.max(first, 0) + 1;
    at("text").textContent =
      `${row.name}, ${row.shape.replaceAll("x", " × ")}: the pixel in row ${y}, column ${x} depends on rows ` +
      `${field.join(" to ")} and columns ${across.join(" to ")} of the image. That is ${length(field)} × ${length(across)} ` +
      `pixels, ${((100 * inside(field) * inside(across)) / SIDE ** 2).toFixed(1)} % of this image.`;
  }

  function drag(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = at("eye").getBoundingClientRect();
    const share = (value) => Math.min(0.999, Math.max(0, value));
    at("down").value = point.y = share((event.clientY - box.top) / box.height);
    at("across").value = point.x = share((event.clientX - box.left) / box.width);
    show();
  }

  for (const [name, { title }] of Object.entries(description.networks)) at("network").append(new Option(title, name));
  at("network").addEventListener("change", chooseNetwork);
  at("layer").addEventListener("change", show);
  for (const [name, axis] of [["down", "y"], ["across", "x"]]) {
    at(name).addEventListener("input", () => {
      point[axis] = Number(at(name).value);
      show();
    });
  }
  at("eye").addEventListener("pointerdown", drag);
  at("eye").addEventListener("pointermove", drag);
  chooseNetwork();
})();
