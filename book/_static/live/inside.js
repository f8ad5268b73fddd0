// "Look into the network" on the page book/live.md: what happens when somebody clicks a layer,
// cuts a skip connection or moves a slider.
(() => {
  const at = (name) => document.getElementById(`inside-${name}`);
  const settings = window.retinaSettings;
  const description = window.retinaShapeDescription;
  if (!settings || !description || at("demo").hidden) return;

  const LARGEST = matchMedia("(pointer: coarse)").matches ? 400 : 640; // phones have less memory
  const SLIDERS = { noise: 2, blur: 1, scale: 2 }; // digits
  const computer = retinaComputer(document.currentScript.src.replace(/[^/]*$/, ""));
  const picture = retinaPicture();
  const shapes = retinaShapes(description);
  const view = retinaInsideView();
  const number = (value, digits = 0) =>
    value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
  const say = (text) => (at("status").textContent = text);

  let photo = null; // { file, name }
  let worker = null;
  let busy = false;
  let waiting = null; // what the reader has asked for since
  let result = null;
  let turn = 0; // counts what was opened; only the last one is answered
  const asked = { layer: "dec1.0", cuts: [] };
  const net = retinaInsideNet(shapes, at("net"), asked, (isLayer) => {
    if (isLayer) at("channel").value = 0;
    look();
  });
  const point = { y: 0.5, x: 0.5 }; // of the map's height and width

  // ---- the worker: one question at a time, and then the newest that has come since

  async function open() {
    if (!photo) return;
    const mine = ++turn;
    const angle = Number(document.getElementById("live-angle").value);
    if (!(angle > 0 && angle <= settings.widest)) {
      say(`The field angle must be above 0 and at most ${settings.widest} degrees.`);
      return;
    }
    say(`UNetSmall is looking at ${photo.name}.`);
    worker?.terminate();
    [worker, waiting] = [null, null];
    isBusy(false);
    try {
      const model = await computer.load(at("weights").value);
      const decoded = await picture.decode(photo.file);
      if (mine !== turn) return;
      const address = URL.createObjectURL(new Blob([retinaInsideText()], { type: "text/javascript" }));
      worker = new Worker(address);
      URL.revokeObjectURL(address);
      worker.onmessage = ({ data }) => answer(data);
      worker.onerror = (event) => answer({ error: event.message || "the memory does not suffice" });
      send({
        photo: decoded,
        angle,
        bounds: settings.bounds,
        model,
        kernel: computer.kernel(),
        largest: LARGEST,
      });
    } catch (error) {
      say(`It did not work: ${error.message}`);
    }
  }

  const sliders = () => Object.fromEntries(Object.keys(SLIDERS).map((name) => [name, Number(at(name).value)]));

  function isBusy(now) {
    busy = now;
    at("demo").ariaBusy = now; // until then the numbers are those of before
  }

  function send(opening) {
    isBusy(true);
    worker.postMessage({ open: opening, look: { ...asked, ...sliders() } });
  }

  function look() {
    if (!worker) return;
    if (busy) waiting = true;
    else send();
  }

  function answer({ result: found, error }) {
    isBusy(false);
    if (error) {
      say(`It did not work: ${error}`);
      at("stage").hidden = true;
      return;
    }
    result = found;
    const [height, width] = found.image.size.map((side) => 8 * Math.ceil(side / 8));
    at("stage").hidden = false;
    at("stored").hidden = true;
    net.draw(height, width);
    show();
    if (waiting) {
      waiting = null;
      send();
    }
  }

  // ---- what is shown

  function show() {
    const { map } = result;
    const { threshold, own } = settings.networks[at("weights").value];
    const layer = net.layer();
    at("channel").max = map.channels;
    const channel = Number(at("channel").value);
    const place = { y: Math.floor(point.y * map.height), x: Math.floor(point.x * map.width) };
    const frame = {
      rows: shapes.receptiveField(net.steps.slice(0, layer.end), place.y),
      columns: shapes.receptiveField(net.steps.slice(0, layer.end), place.x),
    };
    const ranges = view.drawMap(at("map"), map, channel, place);
    view.drawPhoto(at("photo"), result, Math.fround(threshold), frame);
    at("channel-value").textContent = channel ? `${channel} of ${map.channels}` : `all ${map.channels}`;
    at("map-text").textContent =
      `${layer.parts.join(", ")}: ${map.channels} × ${map.height} × ${map.width}, ${number(layer.parameters)} parameters. ` +
      `${describeValues(channel, ranges, place)} The pixel in row ${place.y}, column ${place.x} depends on ` +
      `rows ${frame.rows.join(" to ")} and columns ${frame.columns.join(" to ")} of the image: the yellow frame.`;
    const { dice, share } = view.compare(result.probability, result.usual, Math.fround(threshold));
    const cuts = asked.cuts.length ? `, without ${asked.cuts.join(" and ")}` : "";
    say(`Vessels fill ${number(100 * share, 1)} % of this window${cuts}. Dice with the map of the whole ` +
      `network on the photograph as it is: ${number(dice, 3)}.${own ? ` Weights: ${at("weights").value}, threshold ${number(threshold, 2)}.` : ""}`);
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
      document.getElementById("live-demo").dispatchEvent(new Event("live-example"));
    }
  });
  at("weights").addEventListener("change", open);
  document.getElementById("live-demo").addEventListener("live-weights", ({ detail: name }) => {
    if (![...at("weights").options].some(({ value }) => value === name)) at("weights").append(new Option(name));
    at("weights").value = name;
    if (!at("stage").hidden) open();
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
    net.press();
    look();
  });

  for (const name of Object.keys(settings.networks).filter((one) => one.startsWith("unet_small"))) {
    at("weights").append(new Option(name.includes("any") ? "for any camera" : "for one camera", name));
  }
})();
