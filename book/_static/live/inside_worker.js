// What the worker of "Look into the network" does: it keeps one photograph and one network, and
// shows any feature map, with skip connections cut and the photograph made worse.
function retinaInside() {
  const network = retinaNetwork();
  const memory = retinaMemory();

  // To cut a skip connection is to put zeros in the place of the encoder's map. Zeros as the
  // weights that read it do the same. The encoder's map stands behind the upsampled one.
  function cut(plan, tensors, cuts) {
    const changed = { ...tensors };
    for (const step of plan) {
      const [up, link] = step.from;
      if (!link || !cuts.includes(link)) continue;
      const name = `${step.to}.weight`;
      const { shape, values } = tensors[name];
      const [, inputs, height, width] = shape;
      const own = plan.find(({ to }) => to === up).channels;
      const input = (i) => Math.floor(i / (height * width)) % inputs;
      changed[name] = { shape, values: values.map((value, i) => (input(i) < own ? value : 0)) };
    }
    return changed;
  }

  // Numbers of the normal distribution, the same for each run.
  function normal(seed) {
    let state = seed;
    const uniform = () => { // mulberry32
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  function blurred(plane, [height, width], sigma) {
    const reach = Math.ceil(3 * sigma);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
    const total = weights.reduce((a, b) => a + b);
    const pass = (from, length, step, others, jump) => {
      const out = new Float32Array(from.length);
      for (let o = 0; o < others; o++) {
        for (let i = 0; i < length; i++) {
          let sum = 0;
          for (let j = -reach; j <= reach; j++) {
            const at = Math.min(length - 1, Math.max(0, i + j)); // beyond the edge its last pixel
            sum += weights[j + reach] * from[o * jump + at * step];
          }
          out[o * jump + i * step] = sum / total;
        }
      }
      return out;
    };
    return pass(pass(plane, width, 1, height, width), height, width, width, 1);
  }

  function rows(plane, width) {
    return (y) => plane.subarray(y * width, (y + 1) * width);
  }

  // One plane in another size.
  function resized(photograph, plane, from, to) {
    const row = photograph.resample(rows(plane, from[1]), from, to);
    const out = new Float32Array(to[0] * to[1]);
    for (let y = 0; y < to[0]; y++) out.set(row(y), y * to[1]);
    return out;
  }

  // `open` once for a photograph and weights, then `look` as often as the reader changes something.
  // `largest` are the pixels of the window's sides: the middle of what the network sees.
  function open({ photo, angle, bounds, model, kernel, largest }) {
    const photograph = retinaPhotograph(retinaField(bounds), bounds);
    const tensors = model.tensors ?? retinaWeights()(model.weights);
    const { crop, part } = photograph.prepare(photo, model.card, angle);
    const size = part.seen.map((side) => Math.min(largest, side));
    const start = part.seen.map((side, i) => Math.floor((side - size[i]) / 2));
    const middle = crop.map((plane) => {
      const out = new Float32Array(size[0] * size[1]);
      for (let y = 0; y < size[0]; y++) {
        const from = (start[0] + y) * part.seen[1] + start[1];
        out.set(plane.subarray(from, from + size[1]), y * size[1]);
      }
      return out;
    });
    const module = kernel && new WebAssembly.Module(kernel);
    let built = null; // the network in memory, for this size and these cuts
    function worse({ noise, blur, scale }) {
      const to = size.map((side) => Math.max(model.multiple, Math.round(side * scale)));
      const random = normal(1);
      const planes = middle.map((plane) => {
        let seen = scale === 1 ? plane : resized(photograph, plane, size, to);
        if (blur) seen = blurred(seen, to, blur);
        return noise ? seen.map((value) => Math.min(1, Math.max(0, value + noise * random()))) : seen;
      });
      return { planes, size: to };
    }

    function look({ cuts, noise, blur, scale, layer }) {
      const image = worse({ noise, blur, scale });
      const [height, width] = image.size;
      const [tall, wide] = image.size.map((side) => Math.ceil(side / model.multiple) * model.multiple);
      const key = [tall, wide, ...cuts].join();
      if (built?.key !== key) {
        const prepared = network.prepare(model.plan, cut(model.plan, tensors, cuts));
        built = { key, forward: memory.build(network, prepared, tall, wide, module) };
      }
      const at = (y, x) => Math.min(y, height - 1) * width + Math.min(x, width - 1);
      let map = null;
      const logit = built.forward((c, y, x) => image.planes[c][at(y, x)], (name, heap, made) => {
        if (name === layer) map = copy(heap, made);
      });
      const found = new Float32Array(height * width);
      for (let y = 0, i = 0; y < height; y++) {
        for (let x = 0; x < width; x++, i++) found[i] = 1 / (1 + Math.exp(-logit(y, x)));
      }
      const probability = scale === 1 ? found : resized(photograph, found, image.size, size);
      return { image, map, probability, size };
    }

    // The map of the whole network on the photograph as it is, for comparison.
    const usual = look({ cuts: [], noise: 0, blur: 0, scale: 1, layer: "conv" }).probability;
    return (asked) => ({ ...look(asked), usual });
  }

  function copy(heap, { planes, height, width, pitch }) {
    const values = new Float32Array(planes.length * height * width);
    planes.forEach((plane, c) => {
      for (let y = 0; y < height; y++) {
        const from = plane + y * pitch;
        values.set(heap.subarray(from, from + width), (c * height + y) * width);
      }
    });
    return { channels: planes.length, height, width, values };
  }

  return { open };
}

// The text of its worker, as for retinaWorkerText.
function retinaInsideText() {
  const parts = [
    retinaWeights, retinaNetwork, retinaMemory, retinaField, retinaPhotograph, retinaInside,
  ];
  return `${parts.join("\n")}
    let look = null;
    onmessage = ({ data }) => {
      try {
        if (data.open) look = retinaInside().open(data.open);
        const result = look(data.look);
        postMessage({ result }, [result.map.values.buffer]);
      } catch (error) {
        postMessage({ error: error.message });
      }
    };`;
}
