// "Look into the network" on the page book/live.md: what happens when somebody clicks a layer,
// cuts a skip connection or moves a slider.
(() => {
  const at = (name) => document.getElementById(`inside-${name}`);
  const settings = window.retinaSettings;
  const description = window.retinaShapeDescription;
  if (!at("demo") || !settings || !description || !window.OffscreenCanvas) return;

  const LARGEST = matchMedia("(pointer: coarse)").matches ? 400 : 640; // phones have less memory
  const SLIDERS = { noise: 2, blur: 1, scale: 2 }; // digits
  const computer = retinaComputer(document.currentScript.src.replace(/[^/]*$/, ""));
  const picture = retinaPicture();
  const shapes = retinaShapes(description);
  const view = retinaInsideView();
  const steps = shapes.stepsOf("unet_small", { in_channels: 3, num_classes: 1 });
  const number = (value, digits = 0) =>
    value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
  const say = (text) => (at("status").textContent = text);

  let photo = null; // { file, name }
  let own = null; // a reader's checkpoint: { name, bytes, card }
  let worker = null;
  let busy = false;
  let waiting = null; // what the reader has asked for since
  let result = null;
  const asked = { layer: "dec1.0", cuts: [] };
  const point = { y: 0.5, x: 0.5 }; // of the map's height and width

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

  // ---- the network as a U of buttons: a row for each level, the encoder left, the decoder right

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
        at("channel").value = 0;
        press();
        look();
      });
    made.dataset.layer = layer.name;
    return made;
  }

  function linkButton(name) {
    const made = button("skip connection", "cut it", false, () => {
      const cut = asked.cuts.includes(name);
      asked.cuts = cut ? asked.cuts.filter((one) => one !== name) : [...asked.cuts, name];
      press();
      look();
    });
    made.dataset.link = name;
    made.setAttribute("aria-label", `Cut the skip connection from ${name}`);
    return made;
  }

  function press() {
    for (const made of at("net").querySelectorAll("button")) {
      const { layer, link } = made.dataset;
      made.setAttribute("aria-pressed", layer ? layer === asked.layer : asked.cuts.includes(link));
      if (link) made.querySelector("small").textContent = asked.cuts.includes(link) ? "is cut" : "cut it";
    }
  }

  function drawNet() {
    const first = layers.findIndex(({ kind }) => kind === "Transposed");
    const heights = [...new Set(layers.map(({ row }) => row.height))].sort((a, b) => b - a);
    at("net").replaceChildren(...heights.map((height) => {
      const level = layers.filter(({ row }) => row.height === height);
      const [down, up] = [level.filter((one) => layers.indexOf(one) < first), level.filter((one) => layers.indexOf(one) >= first)];
      const line = document.createElement("div");
      line.className = "inside-level";
      line.append(...down.map(layerButton));
      if (up.length) line.append(linkButton(down.at(-1).name));
      line.append(...up.map(layerButton));
      return line;
    }));
  }

  // ---- the worker: one question at a time, and then the newest that has come since

  async function open() {
    if (!photo) return;
    say(`UNetSmall looks at ${photo.name}.`);
    worker?.terminate();
    [worker, busy, waiting] = [null, false, null];
    try {
      const model = await computer.load(at("weights").value);
      const decoded = await picture.decode(photo.file);
      const address = URL.createObjectURL(new Blob([retinaInsideText()], { type: "text/javascript" }));
      worker = new Worker(address);
      URL.revokeObjectURL(address);
      worker.onmessage = ({ data }) => answer(data);
      worker.onerror = (event) => answer({ error: event.message || "the memory does not suffice" });
      const angle = Number(document.getElementById("live-angle").value);
      const card = own?.card.pixels_per_degree ? own.card : model.card; // at which scale it sees
      send({
        photo: decoded,
        angle,
        bounds: settings.bounds,
        model: { ...model, card },
        own: own?.bytes,
        kernel: computer.kernel(),
        largest: LARGEST,
      });
    } catch (error) {
      say(`It did not work: ${error.message}`);
    }
  }

  const sliders = () => Object.fromEntries(Object.keys(SLIDERS).map((name) => [name, Number(at(name).value)]));

  function send(opening) {
    busy = true;
    worker.postMessage({ open: opening, look: { ...asked, ...sliders() } });
  }

  function look() {
    if (!worker) return;
    if (busy) waiting = true;
    else send();
  }

  function answer({ result: found, error }) {
    busy = false;
    if (error) {
      say(own ? `${own.name} does not fit: ${error}` : `It did not work: ${error}`);
      at("stage").hidden = true;
      return;
    }
    result = found;
    const [height, width] = found.image.size.map((side) => 8 * Math.ceil(side / 8));
    const changed = at("stage").hidden || layers[0].row?.height !== height || layers[0].row.width !== width;
    measure(height, width);
    at("stage").hidden = false;
    at("stored").hidden = true;
    if (changed) drawNet();
    show();
    if (waiting) {
      waiting = null;
      send();
    }
  }

  // ---- what is shown

  const threshold = () =>
    own ? own.card.threshold ?? 0.5 : settings.networks[at("weights").value].threshold;

  function show() {
    const { map } = result;
    const layer = layers.find(({ name }) => name === asked.layer);
    at("channel").max = map.channels;
    const channel = Number(at("channel").value);
    const place = { y: Math.floor(point.y * map.height), x: Math.floor(point.x * map.width) };
    const frame = {
      rows: shapes.receptiveField(steps.slice(0, layer.end), place.y),
      columns: shapes.receptiveField(steps.slice(0, layer.end), place.x),
    };
    const ranges = view.drawMap(at("map"), map, channel, place);
    view.drawPhoto(at("photo"), result, Math.fround(threshold()), frame);
    at("channel-value").textContent = channel ? `${channel} of ${map.channels}` : `all ${map.channels}`;
    at("map-text").textContent =
      `${layer.parts.join(", ")}: ${map.channels} × ${map.height} × ${map.width}, ${number(layer.parameters)} parameters. ` +
      `${describeValues(channel, ranges, place)} The pixel in row ${place.y}, column ${place.x} depends on ` +
      `rows ${frame.rows.join(" to ")} and columns ${frame.columns.join(" to ")} of the image: the yellow frame.`;
    const { dice, share } = view.compare(result.probability, result.usual, Math.fround(threshold()));
    const cuts = asked.cuts.length ? `, without ${asked.cuts.join(" and ")}` : "";
    say(`Vessels fill ${number(100 * share, 1)} % of this window${cuts}. Dice with the map of the whole ` +
      `network on the photograph as it is: ${number(dice, 3)}.${own ? ` Weights: ${own.name}, threshold ${number(threshold(), 2)}.` : ""}`);
  }

  function describeValues(channel, ranges, { y, x }) {
    if (!channel) return "Each channel has its own black and white.";
    const { map } = result;
    const value = map.values[((channel - 1) * map.height + y) * map.width + x];
    const [{ low, high }] = ranges;
    return `In channel ${channel} black is ${number(low, 2)} or less, white ${number(high, 2)} or more; the marked pixel has ${number(value, 4)}.`;
  }

  function pick(event) {
    const box = at("map").getBoundingClientRect();
    const [across, down] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const hit = view.pixelAt(result.map, Number(at("channel").value), across, down);
    if (!hit) return;
    at("channel").value = hit.channel;
    at("row").value = point.y = (hit.y + 0.5) / result.map.height;
    at("column").value = point.x = (hit.x + 0.5) / result.map.width;
    show();
  }

  // ---- what the reader does

  document.getElementById("live-demo").addEventListener("live-photo", ({ detail }) => {
    photo = detail;
    if (!at("stage").hidden) open();
  });
  at("open").addEventListener("click", () => {
    if (photo) open();
    else {
      at("stage").hidden = false; // so that the example is opened when it comes
      document.querySelector("[data-live-example]").click();
    }
  });
  at("weights").addEventListener("change", () => {
    own = null;
    open();
  });
  // A checkpoint, and if it was chosen with it, the card that the package writes beside it.
  async function takeCheckpoint(files) {
    const named = (ending) => files.find(({ name }) => name.endsWith(ending));
    const [file, beside] = [named(".safetensors"), named(".json")];
    if (!file) {
      say("Choose a .safetensors file, alone or together with its .json card.");
      return;
    }
    let card = {};
    try {
      if (beside) card = JSON.parse(await beside.text());
    } catch {
      say(`${beside.name} is not a JSON file.`);
      return;
    }
    own = { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()), card };
    if (photo) open();
    else say(`${own.name} is ready. Now choose a photograph above.`);
  }

  at("own").addEventListener("change", async ({ target }) => {
    await takeCheckpoint([...target.files]);
    target.value = "";
  });
  for (const [name, digits] of Object.entries(SLIDERS)) {
    at(name).addEventListener("input", () => {
      at(`${name}-value`).textContent = number(Number(at(name).value), digits);
      look();
    });
  }
  at("channel").addEventListener("input", show);
  for (const [name, axis] of [["row", "y"], ["column", "x"]]) {
    at(name).addEventListener("input", () => {
      point[axis] = Number(at(name).value);
      show();
    });
  }
  at("map").addEventListener("click", pick);
  at("reset").addEventListener("click", () => {
    asked.cuts = [];
    for (const [name, value] of [["noise", 0], ["blur", 0], ["scale", 1]]) {
      at(name).value = value;
      at(`${name}-value`).textContent = number(value, SLIDERS[name]);
    }
    press();
    look();
  });

  for (const name of Object.keys(settings.networks).filter((one) => one.startsWith("unet_small"))) {
    at("weights").append(new Option(name.includes("any") ? "for any camera" : "for one camera", name));
  }
  at("demo").hidden = false;
})();
