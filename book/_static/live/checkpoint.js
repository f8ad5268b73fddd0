// Checks a reader's own weights against those of the same network that come with the book.
function retinaCheckpoint() {
  const shape = (tensor) => tensor.shape.join("×") || "one number";
  // As DataParallel and torch.compile put before each name.
  const PREFIXES = /^((module|_orig_mod|model|network)\.)+/;

  function header(bytes) {
    if (bytes.length < 8) throw new Error("The file is too short for a safetensors file.");
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
    } catch {
      throw new Error("This is not a safetensors file. The package writes one with weights.save, or retina-course train.");
    }
  }

  // The tensors of a file; an error says what does not fit. `expected` are those of the network.
  return function readCheckpoint(bytes, expected, readTensors) {
    for (const [name, { dtype, data_offsets: ends }] of Object.entries(header(bytes))) {
      if (name === "__metadata__") continue;
      if (!["F32", "F16", "I64"].includes(dtype)) {
        throw new Error(`${name} is stored as ${dtype}; this page reads F32 and F16. Save it with weights.save.`);
      }
      const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
      if (!(ends?.[1] + 8 + length <= bytes.length)) throw new Error(`The file ends before ${name}: it is damaged.`);
    }
    const found = {};
    for (const [name, tensor] of Object.entries(readTensors(bytes))) found[name.replace(PREFIXES, "")] = tensor;
    for (const [name, tensor] of Object.entries(expected)) {
      if (!found[name]) throw new Error(`${name} is missing: these are the weights of another network.`);
      if (shape(found[name]) !== shape(tensor)) {
        throw new Error(
          `${name} has the shape ${shape(found[name])}; UNetSmall with 3 channels and 1 class has ${shape(tensor)}.`);
      }
      if (!found[name].values.every(Number.isFinite)) throw new Error(`${name} holds values that are not finite.`);
    }
    const more = Object.keys(found).find((name) => !expected[name]);
    if (more) throw new Error(`${more} is no tensor of UNetSmall: these are the weights of another network.`);
    return found;
  };
}

// What the page uses of the card beside a checkpoint; a wrong number would give a wrong map without
// a word.
function retinaCard(text) {
  const positive = (value) => typeof value === "number" && value > 0;
  const range = (value) => Array.isArray(value) && value.length === 2 && value.every(positive);
  const RULES = {
    model: ["\"unet_small\"", (value) => value === "unet_small"],
    threshold: ["a number between 0 and 1", (value) => positive(value) && value < 1],
    pixels_per_degree: ["a positive number", positive],
    pixels_per_degree_range: ["two positive numbers", range],
    fov_diameter: ["a positive number", positive],
    expected_f1: ["two positive numbers", range],
  };
  let card;
  try {
    card = JSON.parse(text);
  } catch {
    throw new Error("it is not a JSON file.");
  }
  if (Object.prototype.toString.call(card) !== "[object Object]") throw new Error("it holds no names and values.");
  for (const [name, [expected, fits]] of Object.entries(RULES)) {
    const value = card[name] ?? null;
    if (value !== null && !fits(value)) {
      throw new Error(`${name} is ${JSON.stringify(value)}; this page expects ${expected}.`);
    }
  }
  return card;
}
