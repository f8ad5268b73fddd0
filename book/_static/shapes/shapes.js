// The table of a network for any size, computed from its list of steps: as
// retina_course/shapes/steps, with whole numbers only. `description` is what book/_ext/shape_page.py
// writes: the steps of all networks, and what a step has where it does not say it.
function retinaShapes(description) {
  // ---- the formulas for one side, as shapes/arithmetic.py

  const span = (k, d) => d * (k - 1) + 1;

  function fail(text) {
    throw new Error(text);
  }

  function windows(side, { k, d }, s, p) {
    const reach = span(k, d);
    if (reach > side + 2 * p) {
      fail(`A window of ${reach} pixels (k=${k}, d=${d}) does not fit on a side of ${side} with ` +
        `padding p=${p}, ${side + 2 * p} pixels.`);
    }
    return Math.floor((side + 2 * p - reach) / s) + 1;
  }

  const stride = (step) => step.s ?? step.k; // a pooling's windows lie side by side
  const padding = (step) => step.p ?? Math.floor(span(step.k, step.d) / 2);
  const weights = (step, x) => step.k ** 2 * (x.channels / step.groups) * step.channels;
  const area = (x) => x.height * x.width;
  const text = (x) => `${x.channels}x${x.height}x${x.width}`;

  function convolved(first, last, step, s, p) {
    const begin = first * s - p;
    return [begin, begin + (last - first) * s + span(step.k, step.d) - 1];
  }

  function bilinear(first, last, scale) {
    const at = (i) => (2 * i + 1 - scale) / (2 * scale);
    return [Math.floor(at(first)), Math.ceil(at(last))];
  }

  // Input pixel i of a transposed convolution writes to the output pixels i s - p + d tap.
  function spread(first, last, { k, s, p, d }) {
    const ends = [];
    for (let tap = 0; tap < k; tap++) {
      const low = Math.ceil((first + p - d * tap) / s);
      const high = Math.floor((last + p - d * tap) / s);
      if (low <= high) ends.push(low, high);
    }
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : [first, first - 1];
  }

  function checkGroups({ groups, channels }, x) {
    if (x.channels % groups || channels % groups) {
      fail(`groups=${groups} must divide both channel counts, ${x.channels} and ${channels}.`);
    }
  }

  // ---- the kinds of steps, as shapes/steps/layers.py and functions.py. `side` is the output's side,
  // `reads` the input pixels, first to last, that a range of output pixels depends on.

  const kinds = {
    Conv: {
      side: (step, side) => windows(side, step, step.s, padding(step)),
      parameters(step, x) {
        checkGroups(step, x);
        return weights(step, x) + (step.bias ? step.channels : 0);
      },
      macs: (step, x, y) => weights(step, x) * area(y), // each weight once per output pixel
      reads: (step, first, last) => convolved(first, last, step, step.s, padding(step)),
    },
    Transposed: {
      side: (step, side) => (side - 1) * step.s + span(step.k, step.d) - 2 * step.p + step.o,
      parameters: (step, x) => kinds.Conv.parameters(step, x),
      macs: (step, x) => weights(step, x) * area(x), // each weight once per input pixel
      reads: (step, first, last) => spread(first, last, step),
    },
    MaxPool: {
      side: (step, side) => windows(side, step, stride(step), step.p),
      reads: (step, first, last) => convolved(first, last, step, stride(step), step.p),
    },
    Unpool: {
      output(step, x, kept) {
        const before = find(kept, step.of);
        const half = (side) => Math.floor(side / step.k);
        const after = { ...before, height: half(before.height), width: half(before.width) };
        if (text(x) !== text(after)) {
          fail(`cannot unpool ${text(x)}: '${step.of}', ${text(before)}, was pooled to ${text(after)}.`);
        }
        return before;
      },
      reads: (step, first, last) => [Math.floor(first / step.k), Math.floor(last / step.k)],
    },
    Upsample: {
      side: (step, side) => side * step.scale,
      reads: (step, first, last) => bilinear(first, last, step.scale),
    },
    Norm: { parameters: (step, x) => 2 * x.channels },
    ReLU: {},
    Fold: {
      output({ a }, x) {
        if (x.height % a || x.width % a) {
          fail(`fold=${a} must divide height and width, got ${x.height}x${x.width}.`);
        }
        return { channels: x.channels * a ** 2, height: x.height / a, width: x.width / a };
      },
      reads: ({ a }, first, last) => [first * a, last * a + a - 1],
    },
    Unfold: {
      output: ({ a }, x) => ({ channels: x.channels / a ** 2, height: x.height * a, width: x.width * a }),
      reads: ({ a }, first, last) => [Math.floor(first / a), Math.floor(last / a)],
    },
    Resize: {
      side: (step, side) => side * step.scale,
      reads: (step, first, last) =>
        step.bilinear
          ? bilinear(first, last, step.scale)
          : [Math.floor(first / step.scale), Math.floor(last / step.scale)],
    },
  };

  const usual = {
    side: (step, side) => side,
    output: (step, x) => ({
      channels: step.channels ?? x.channels,
      height: kinds[step.kind].side?.(step, x.height) ?? x.height,
      width: kinds[step.kind].side?.(step, x.width) ?? x.width,
    }),
    parameters: () => 0,
    macs: () => 0,
    reads: (step, first, last) => [first, last],
  };
  const does = (step, what) => kinds[step.kind][what] ?? usual[what];

  // ---- the links, as shapes/steps/links.py

  function find(kept, name) {
    const names = Object.keys(kept).join(", ") || "none";
    return kept[name] ?? fail(`no map '${name}' was kept before, only: ${names}.`);
  }

  const links = {
    Keep: (step, x, kept) => (kept[step.of] = x),
    Back: (step, x, kept) => find(kept, step.of),
    Concat(step, x, kept) {
      const other = find(kept, step.of);
      if (x.height !== other.height || x.width !== other.width) {
        fail(`cannot join ${text(x)} with '${step.of}', ${text(other)}: height and width differ.`);
      }
      return { ...x, channels: x.channels + other.channels };
    },
    Add(step, x, kept) {
      const other = find(kept, step.of);
      if (text(x) !== text(other)) {
        fail(`cannot add ${text(x)} and '${step.of}', ${text(other)}: the shapes differ.`);
      }
      return x;
    },
  };

  // ---- what follows from a list, as shapes/steps/analysis.py

  // A setting that the reader chooses is a sum of products, [[factor, name, ...], ...].
  function value(setting, options) {
    if (!Array.isArray(setting)) return setting;
    const product = ([factor, ...names]) => names.reduce((all, name) => all * options[name], factor);
    return setting.map(product).reduce((a, b) => a + b, 0);
  }

  // The steps of a network with these options.
  function stepsOf(name, options) {
    const fits = ({ when }) => Object.entries(when).every(([key, wanted]) => options[key] === wanted);
    const { steps } = description.networks[name].variants.find(fits);
    return steps.map(([kind, settings]) => {
      const step = { kind, ...description.defaults[kind] };
      for (const [key, setting] of Object.entries(settings)) step[key] = value(setting, options);
      return step;
    });
  }

  // Input pixels, first to last along one side, that change an output pixel: backwards through the
  // steps, with the pixels that each feature map must show.
  function receptiveField(steps, pixel) {
    let seen = [pixel];
    const needed = {}; // likewise, for each kept map
    for (const step of [...steps].reverse()) {
      if (step.kind === "Keep") {
        seen = seen.concat(needed[step.of] ?? []);
        delete needed[step.of];
      } else if (links[step.kind]) {
        needed[step.of] = (needed[step.of] ?? []).concat(seen);
        if (step.kind === "Back") seen = [];
      } else if (seen.length) {
        const [first, last] = does(step, "reads")(step, Math.min(...seen), Math.max(...seen));
        seen = first <= last ? [first, last] : [];
      }
    }
    return [Math.min(...seen), Math.max(...seen)];
  }

  // One row for each layer; an error says which step does not fit.
  function table(steps, image) {
    const rows = [];
    const kept = {};
    const counted = new Set(); // layers that are used twice have their parameters once
    let x = image;
    steps.forEach((step, i) => {
      try {
        if (links[step.kind]) {
          x = links[step.kind](step, x, kept);
          return;
        }
        const y = does(step, "output")(step, x, kept);
        const parameters = counted.has(step.name) ? 0 : does(step, "parameters")(step, x);
        if (step.type) {
          const [first, last] = receptiveField(steps.slice(0, i + 1), Math.floor(y.height / 2));
          const macs = does(step, "macs")(step, x, y);
          const { name, type } = step;
          counted.add(name);
          rows.push({ name, type, shape: text(y), ...y, parameters, macs, first, last, end: i + 1 });
        }
        x = y;
      } catch (error) {
        fail(`Step ${i + 1}, ${`${step.kind} ${step.name ?? ""}`.trim()}: ${error.message}`);
      }
    });
    return { rows, output: text(x) };
  }

  // ---- the package's checks, as create_model and check_input

  function fill(message, values) {
    return message.replace(/{(\w+)}/g, (_, name) => values[name]);
  }

  function nearest(size, multiple) {
    const below = Math.floor(size / multiple) * multiple;
    if (below === size && size) return String(size);
    return below ? `${below} or ${below + multiple}` : String(multiple);
  }

  // What the package says to these options and this size, or nothing.
  function complaint(name, options, { height, width }) {
    const { messages, networks } = description;
    const { multiple: own, smallest } = networks[name];
    for (const [key, given] of Object.entries({ ...options, height, width })) {
      if (typeof given === "string" || typeof given === "boolean") continue; // a choice
      const size = key === "height" || key === "width";
      if (!Number.isInteger(given) || given < (size ? 0 : 1)) {
        return fill(messages.positive, { name: key, value: Number.isNaN(given) ? "nothing" : given });
      }
    }
    const multiple = own * (options.fold ?? 1);
    if (height % multiple || width % multiple || !height || !width) {
      const [heights, widths] = [nearest(height, multiple), nearest(width, multiple)];
      return fill(messages.size, { multiple, height, width, heights, widths });
    }
    if (Math.min(height, width) < smallest) return fill(messages.small, { smallest, height, width });
    return "";
  }

  return { stepsOf, table, receptiveField, complaint };
}
