// The page book/live.md: what happens when somebody chooses a photograph or moves a slider.
(() => {
  const at = (name) => document.getElementById(`live-${name}`);
  const settings = window.retinaSettings;
  if (!settings || at("demo").hidden) return;

  const OWN = "unet_small_any_camera"; // the network that takes a reader's weights
  const DEEP =
    "The file has 16 bits for each colour, of which browsers give the upper 8. The command " +
    "retina-course segment uses all 16.";
  const phone = matchMedia("(pointer: coarse)").matches;
  // Bytes for a network's weights and maps. A phone holds a photograph of 45 degrees whole for
  // UNetSmall (122 MB) and WNet (157 MB). RetinaSegmentor would need 251 MB; it takes two bands of
  // 158 MB and computes a quarter more rows.
  const MEMORY = phone ? 160e6 : 600e6;
  const levels = Array.from({ length: 99 }, (_, i) => (i + 1) / 100);
  const computer = retinaComputer(document.currentScript.src.replace(/[^/]*$/, ""));
  const picture = retinaPicture();
  const field = retinaField(settings.bounds);
  const photograph = retinaPhotograph(field, settings.bounds);
  const drawing = retinaDrawing(at("picture"));
  const warnings = retinaWarnings(settings.bounds);
  const disc = retinaDisc(settings.disc, at("angle"));

  let photo = null; // { name, file, angle, remarks }, the angle of an example
  let said = null; // the field angle that the reader gave; until then one is assumed
  let result = null; // what the worker found
  let threshold = 0;
  let turn = 0; // counts what the reader has asked for; only the last request is answered

  const say = (text) => (at("status").textContent = text);
  const number = (value, digits = 0) =>
    value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });

  function list(sentences) {
    at("warnings").replaceChildren(...sentences.map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }));
  }

  const thresholds = (chosen) => [...levels, chosen].sort((a, b) => a - b);

  // At work the sliders would move the map of the run before.
  function busy(now) {
    at("busy").hidden = !now;
    at("controls").inert = now;
    at("progress").removeAttribute("value"); // it moves by itself until a part is done
  }

  function stop() {
    computer.stop();
    busy(false);
    return ++turn;
  }

  // The pixels go to the worker and are gone: for a second look the file is read again.
  async function segment(decoded) {
    if (!photo) return;
    const mine = stop();
    const angle = Number(at("angle").value);
    if (!(angle > 0 && angle <= settings.widest)) {
      say(`The field angle must be above 0 and at most ${settings.widest} degrees.`);
      return;
    }
    const name = at("network").value;
    busy(true);
    say(`${settings.networks[name].title} is looking for vessels in ${photo.name}.`);
    try {
      const model = await computer.load(name);
      const pixels = decoded ?? (await picture.decode(photo.file));
      if (mine !== turn) return;
      const kernel = at("kernel").value === "plain" ? null : computer.kernel();
      const job = {
        photo: pixels,
        angle,
        flips: at("flips").checked,
        kernel,
        memoryLimit: MEMORY,
        bounds: settings.bounds,
        model,
        thresholds: thresholds(model.card.threshold),
      };
      result = await computer.run(job, (share) => {
        if (share > 0) at("progress").value = share;
      });
      const assumed = !photo.angle && !said;
      const { threshold: chosen, expected_f1: usual } = model.card;
      Object.assign(result, { name, angle, assumed, plain: !kernel, chosen, usual });
      stop();
      show();
    } catch (error) {
      if (mine !== turn) return;
      stop();
      say(`It did not work: ${error.message}`);
    }
  }

  // ---- what is drawn

  const paint = () => drawing.paint(threshold, at("opacity").value / 100);

  function show() {
    drawing.vessels(photograph.ownRows(result, result.width));
    setThreshold(result.chosen);
    disc.open(result);
    list([...photo.remarks, ...warnings(result)]);
    at("controls").hidden = false;
  }

  function describe() {
    const vessel = result.counts[thresholds(result.chosen).indexOf(threshold)];
    const share = vessel / result.box.pixels;
    const { few, many } = { few: settings.bounds.fewVessels, many: settings.bounds.manyVessels };
    const unusual = share < few || share > many ? " That is unusual: 3 % to 14 % are usual." : "";
    const degrees = result.scale.scale ? `, ${number(result.scale.scale, 1)} per degree,` : "";
    at("threshold-value").textContent = number(threshold, 2);
    say(
      `${number(100 * share, 1)} % of the field of view is vessel: ${number(vessel)} of ` +
      `${number(result.box.pixels)} pixels at threshold ${number(threshold, 2)}.${unusual} ` +
      `The field is ${number(result.box.diameter)} pixels and ${result.angle} degrees wide` +
      `${result.assumed ? " (assumed, because you gave no field angle)" : ""}. ` +
      `${settings.networks[result.name].title} saw ${number(result.part.seen[0])} × ` +
      `${number(result.part.seen[1])} pixels${degrees} and took ${number(result.seconds, 1)} ` +
      `seconds${result.plain ? " in plain JavaScript" : ""}.`);
  }

  // The slider has steps of 0.01; the exact threshold of the card holds until it is moved.
  function setThreshold(value) {
    threshold = value;
    at("threshold").value = value;
    describe();
    paint();
  }

  // ---- what the reader does

  async function take(file, name, angle) {
    const mine = stop();
    at("controls").hidden = true;
    disc.close();
    list([]);
    say(`Reading ${name}.`);
    try {
      const decoded = await picture.decode(file);
      if (mine !== turn) return;
      photo = { name, file, angle, remarks: decoded.deep ? [DEEP] : [] };
      list(photo.remarks);
      at("angle").value = angle ?? (said || settings.angle);
      drawing.photograph(decoded);
      at("stage").hidden = false;
      at("stored").hidden = true;
      demo.dispatchEvent(new CustomEvent("live-photo", { detail: photo })); // for inside.js
      await segment(decoded);
    } catch (error) {
      say(error.message);
    }
  }

  function save(blob, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${photo.name.replace(/\.[^.]*$/, "")}_${ending}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async function savePicture(bits, ending, value) {
    const row = photograph.ownRows(result, result.width);
    const rows = (y) => Array.from(row(y), value);
    save(await picture.encode(result.width, result.height, bits, rows), ending);
  }

  // What a network was trained on, as its card says it.
  function describeNetwork() {
    const { own, trained, scores } = settings.networks[at("network").value];
    at("trained").textContent = own ?? `Trained on: ${trained}. F1: ${scores.join("; ")}.`;
  }

  // A reader's own weights become a network of the list, here and in "Look into the network".
  async function adopt(files) {
    const mine = stop();
    try {
      const { name, card, given } = await computer.adopt(files, OWN);
      if (mine !== turn) return;
      const whose = given ? "of its card" : "as no card was chosen with it";
      settings.networks[name] = {
        title: `UNetSmall with the weights ${name}`,
        threshold: card.threshold,
        own: `Your own weights, ${name}. Threshold ${number(card.threshold, 2)}, ${whose}.`,
      };
      ownGroup.hidden = false;
      if (![...ownGroup.children].some(({ value }) => value === name)) ownGroup.append(new Option(name));
      at("network").value = name;
      describeNetwork();
      say(`${name} is ready.${photo ? "" : " Now choose a photograph."}`);
      demo.dispatchEvent(new CustomEvent("live-weights", { detail: name })); // for inside.js
      await segment();
    } catch (error) {
      say(error.message);
    }
  }

  // On a phone it lies, like the picture, below all the fields.
  const showStatus = () => at("status").scrollIntoView();

  function receive(files) {
    if (files.some(({ name }) => /\.(safetensors|json)$/i.test(name))) adopt(files);
    else if (files.length) {
      take(files[0], files[0].name);
      showStatus();
    }
  }

  function takeExample(number) {
    const { jpeg, name, angle } = settings.examples[number];
    take(new Blob([computer.fromBase64(jpeg)], { type: "image/jpeg" }), name, angle);
  }

  function group(label) {
    const box = document.createElement("optgroup");
    box.label = label;
    at("network").append(box);
    return box;
  }

  for (const [label, names] of Object.entries(settings.groups)) {
    const box = group(label);
    for (const name of names) {
      const { title, megabytes } = settings.networks[name];
      box.append(new Option(`${title} (${number(megabytes, 1)} MB)`, name));
    }
  }
  const ownGroup = group("your own weights");
  ownGroup.hidden = true;
  at("network").addEventListener("change", describeNetwork);
  describeNetwork();

  for (const name of ["file", "own"]) {
    at(name).addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = ""; // the same file may be chosen again
      if (name === "own") adopt(files);
      else receive(files);
    });
  }
  for (const button of document.querySelectorAll("[data-live-example]")) {
    button.addEventListener("click", () => {
      takeExample(button.dataset.liveExample);
      showStatus();
    });
  }
  // "input" as well: who types an angle and drops a photograph has not left the field yet.
  for (const event of ["input", "change"]) {
    at("angle").addEventListener(event, () => {
      if (!photo?.angle) said = at("angle").value; // of an example it says nothing of other photographs
    });
  }
  for (const name of ["network", "angle", "flips", "kernel"]) {
    at(name).addEventListener("change", () => segment());
  }
  at("stop").addEventListener("click", () => {
    stop();
    say("Stopped.");
  });
  at("threshold").addEventListener("input", ({ target }) =>
    setThreshold(levels[Math.round(100 * target.value) - 1]));
  at("reset").addEventListener("click", () => setThreshold(result.chosen));
  at("opacity").addEventListener("input", () => {
    at("opacity-value").textContent = `${at("opacity").value} %`;
    paint();
  });
  at("save-mask").addEventListener("click", () => {
    const cut = Math.fround(threshold);
    savePicture(8, "vessels", (p) => (p >= cut && p > 0 ? 255 : 0));
  });
  at("save-probability").addEventListener("click", () =>
    savePicture(16, "probability", (p) => Math.round(65535 * p)));

  const demo = at("demo");
  demo.addEventListener("live-example", () => takeExample(0)); // asked for by inside.js
  demo.addEventListener("dragover", (event) => event.preventDefault());
  demo.addEventListener("drop", (event) => {
    event.preventDefault();
    receive([...event.dataTransfer.files]);
  });

  at("angle").value = settings.angle;
  at("angle").max = settings.widest;
})();
