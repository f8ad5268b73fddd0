// The page book/shape_calculator.md: what happens when somebody chooses a network or a size.
(() => {
  const at = (name) => document.getElementById(`shape-${name}`);
  const description = window.retinaShapeDescription;
  if (!at("demo") || !description) return;

  const shapes = retinaShapes(description);
  const words = { true: "True", false: "False" }; // as Python writes them
  const number = (value) => value.toLocaleString("en");
  let shown = []; // lines of the table, for the file

  function element(tag, attributes, ...children) {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  }

  // ---- the fields of a network's options

  function field(name, values) {
    const id = `shape-option-${name}`;
    const input = Array.isArray(values)
      ? element("select", { id }, ...values.map((value, i) =>
          element("option", { value: i }, words[value] ?? value)))
      : element("input", { id, type: "number", min: 1, step: 1, inputMode: "numeric", value: values });
    input.dataset.option = name;
    return element("label", { htmlFor: id }, element("code", {}, name), input);
  }

  function showOptions() {
    const { options } = description.networks[at("network").value];
    at("options").replaceChildren(...Object.entries(options).map(([name, values]) => field(name, values)));
    show();
  }

  // An empty field has no number.
  const numberOf = (input) => (input.value === "" ? NaN : Number(input.value));

  function chosen() {
    const name = at("network").value;
    const { options } = description.networks[name];
    const given = { in_channels: numberOf(at("channels")) };
    for (const input of at("options").querySelectorAll("[data-option]")) {
      const values = options[input.dataset.option];
      given[input.dataset.option] = Array.isArray(values) ? values[input.value] : numberOf(input);
    }
    const image = { channels: given.in_channels, height: numberOf(at("height")), width: numberOf(at("width")) };
    return { name, options: given, image };
  }

  // The line of Python that builds this network.
  function call({ name, options }) {
    const usual = { in_channels: 3, ...description.networks[name].options };
    const changed = Object.entries(options).filter(([key, value]) =>
      value !== (Array.isArray(usual[key]) ? usual[key][0] : usual[key]));
    const quoted = (value) => (typeof value === "string" ? `"${value}"` : words[value] ?? value);
    return `create_model(${[`"${name}"`, ...changed.map(([key, value]) => `${key}=${quoted(value)}`)].join(", ")})`;
  }

  // ---- the table

  const kibibytes = (row) => (row.channels * row.height * row.width) / 256; // four bytes a number

  function row(name, ...cells) {
    const head = element("th", { scope: "row" }, name);
    return element("tr", {}, head, ...cells.map((cell) => element("td", {}, cell)));
  }

  function draw(image, { rows, output }) {
    const total = (key) => rows.reduce((sum, one) => sum + one[key], 0);
    const input = `${image.channels}x${image.height}x${image.width}`;
    shown = rows.map((one) => [
      one.name, one.type, one.shape, one.parameters, one.macs, one.last - one.first + 1, kibibytes(one),
    ]);
    const body = shown.map(([name, type, shape, ...numbers]) =>
      row(name, type, shape, ...numbers.map((value) => number(Math.ceil(value)))));
    const sums = [number(total("parameters")), number(total("macs")), "", number(Math.ceil(total("kib")))];
    at("rows").replaceChildren(
      row("input", "", input, "", "", "", number(Math.ceil(kibibytes(image)))),
      ...body, row("total", "", output, ...sums));
  }

  function summary(name, { rows }) {
    const total = (key) => rows.reduce((sum, one) => sum + one[key], 0);
    const { title } = description.networks[name];
    const last = rows.at(-1);
    const pair = rows.map((one, i) => one.kib + (rows[i - 1]?.kib ?? 0));
    const sentences = [
      `${title}: ${rows.length} layers, ${number(total("parameters"))} parameters, ` +
        `${number(total("macs"))} multiply-accumulates (MACs) per image.`,
      `A pixel in the middle of the last map depends on ${last.last - last.first + 1} pixels of the ` +
        "image along each side, or on as many of them as the image has.",
      `All feature maps together take ${number(Math.ceil(total("kib") / 1024))} MiB in 32-bit numbers, as training ` +
        `keeps them; a layer's input and output together at most ${number(Math.ceil(Math.max(...pair) / 1024))} MiB.`,
    ];
    const heads = rows.filter((one) => one.name === "class_head.8");
    if (heads.length) {
      const anchors = heads.reduce((sum, one) => sum + 9 * one.height * one.width, 0);
      sentences.push(`The heads look at four levels with nine anchors in each cell, ${number(anchors)} ` +
        "anchors in all; their weights are counted once.");
    }
    const segmentation = rows.slice(rows.map((one) => one.name).lastIndexOf("box_head.8") + 1);
    if (heads.length && segmentation.length) {
      const macs = segmentation.reduce((sum, one) => sum + one.macs, 0);
      sentences.push(`The last ${segmentation.length} layers, with ${number(macs)} of the MACs, make the ` +
        "segmentation: they run in training, and detection does without them.");
    }
    return sentences.join(" ");
  }

  function show() {
    const asked = chosen();
    const said = shapes.complaint(asked.name, asked.options, asked.image);
    at("call").textContent = call(asked);
    at("result").hidden = said !== "";
    if (!said) {
      const found = shapes.table(shapes.stepsOf(asked.name, asked.options), asked.image);
      for (const one of found.rows) one.kib = kibibytes(one);
      draw(asked.image, found);
      at("status").textContent = summary(asked.name, found);
      return;
    }
    at("status").textContent = said + whatBreaks(asked);
  }

  // Where the network would stop if the package did not check the size.
  function whatBreaks({ name, options, image }) {
    if (![...Object.values(image), ...Object.values(options)].every((value) => value !== 0 && !Number.isNaN(value))) return "";
    try {
      shapes.table(shapes.stepsOf(name, options), image);
    } catch (error) {
      return ` Without this check: ${error.message}`;
    }
    return "";
  }

  function save() {
    const lines = [["layer", "type", "output", "parameters", "macs", "receptive_field", "kib"], ...shown];
    const blob = new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" });
    const link = element("a", { href: URL.createObjectURL(blob), download: `${at("network").value}.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  for (const [name, { title }] of Object.entries(description.networks)) {
    at("network").append(element("option", { value: name }, title));
  }
  at("network").addEventListener("change", showOptions);
  at("demo").addEventListener("input", ({ target }) => target !== at("network") && show());
  at("save").addEventListener("click", save);
  showOptions();
  at("demo").hidden = false;
  at("stored").hidden = true;
})();
