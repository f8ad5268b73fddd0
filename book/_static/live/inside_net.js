// UNetSmall as a U of buttons, for "Look into the network": layers to choose, skip connections to
// cut. `asked` holds what is chosen, { layer, cuts }; `changed` is called after each click.
function retinaInsideNet(shapes, box, asked, changed) {
  const steps = shapes.stepsOf("unet_small", { in_channels: 3, num_classes: 1 });

  // Batch norm and ReLU belong to the convolution that they follow: one button for all three.
  const layers = [];
  steps.forEach((step, i) => {
    if (["Conv", "Transposed", "MaxPool"].includes(step.kind)) {
      layers.push({ name: step.name, kind: step.kind, parts: [step.name], end: i + 1 });
    } else if (["Norm", "ReLU"].includes(step.kind)) {
      layers.at(-1).parts.push(step.name);
      layers.at(-1).end = i + 1;
    }
  });

  // Parameters and shape of each layer, for an image of this size.
  function measure(height, width) {
    const { rows } = shapes.table(steps, { channels: 3, height, width });
    for (const layer of layers) {
      const parts = rows.filter(({ name }) => layer.parts.includes(name));
      layer.parameters = parts.reduce((sum, row) => sum + row.parameters, 0);
      layer.row = parts[0];
    }
  }

  function button(text, small, pressed, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.append(text, document.createElement("br"), Object.assign(document.createElement("small"), { textContent: small }));
    made.setAttribute("aria-pressed", pressed);
    made.addEventListener("click", action);
    return made;
  }

  const WORDS = { Conv: "conv", Transposed: "transposed", MaxPool: "pool" };

  function layerButton(layer) {
    const made = button(layer.name, `${WORDS[layer.kind]} ${layer.row.shape.replaceAll("x", "×")}`,
      layer.name === asked.layer, () => {
        asked.layer = layer.name;
        press();
        changed(true);
      });
    made.dataset.layer = layer.name;
    return made;
  }

  function linkButton(name) {
    const made = button("cut the skip connection", `of ${name}`, false, () => {
      const cut = asked.cuts.includes(name);
      asked.cuts = cut ? asked.cuts.filter((one) => one !== name) : [...asked.cuts, name];
      press();
      changed(false);
    });
    made.dataset.link = name;
    return made;
  }

  function press() {
    for (const made of box.querySelectorAll("button")) {
      const { layer, link } = made.dataset;
      made.setAttribute("aria-pressed", layer ? layer === asked.layer : asked.cuts.includes(link));
    }
  }

  // A row for each level: the encoder left, the decoder right. It is drawn again where the image has
  // another size; else the buttons stay, and with them the keyboard's focus.
  function draw(height, width) {
    if (layers[0].row?.height === height && layers[0].row.width === width) return;
    measure(height, width);
    const first = layers.findIndex(({ kind }) => kind === "Transposed");
    const heights = [...new Set(layers.map(({ row }) => row.height))].sort((a, b) => b - a);
    box.replaceChildren(...heights.map((rows) => {
      const level = layers.filter(({ row }) => row.height === rows);
      const [down, up] = [level.filter((one) => layers.indexOf(one) < first), level.filter((one) => layers.indexOf(one) >= first)];
      const line = document.createElement("div");
      line.className = "inside-level";
      line.append(...down.map(layerButton));
      if (up.length) line.append(linkButton(down.at(-1).name));
      line.append(...up.map(layerButton));
      return line;
    }));
    press();
  }

  return { steps, layer: () => layers.find(({ name }) => name === asked.layer), draw, press };
}
