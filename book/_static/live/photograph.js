// From a photograph to vessel probabilities in its own pixels, as inference/segmentation.py:
// resampled to the scale of the training, through the network, and back.
function retinaPhotograph(field, bounds) {
  const BORDER = 32; // edge pixels are repeated, so that no network sees an edge
  const SAME_SCALE = 0.05; // nothing is resampled for less
  const f32 = Math.fround;

  function halfToEven(value) {
    const rounded = Math.round(value);
    return value % 1 === 0.5 && rounded % 2 ? rounded - 1 : rounded;
  }

  // Pixels that the field's diameter has for the network, and whether the photograph is too coarse.
  function workingScale(diameter, angle, card) {
    if (!card.pixels_per_degree) return { diameter: card.fov_diameter, coarse: false };
    const [low, high] = card.pixels_per_degree_range ?? [0, Infinity];
    const own = diameter / angle;
    let scale = card.pixels_per_degree;
    if (card.largest_enlargement) scale = Math.min(scale, Math.max(low, own * card.largest_enlargement));
    return { diameter: Math.max(1, halfToEven(scale * angle)), scale, own, low, high, coarse: own < low };
  }

  // The part of the photograph that the network looks at, and the size that it looks at it in.
  function windowOf(box, { width, height }, diameter) {
    const margin = Math.floor(box.diameter / 20);
    const part = {
      top: Math.max(0, box.top - margin),
      bottom: Math.min(height, box.bottom + margin),
      left: Math.max(0, box.left - margin),
      right: Math.min(width, box.right + margin),
    };
    let scale = diameter / box.diameter;
    if (Math.abs(scale - 1) <= SAME_SCALE) scale = 1;
    const size = [part.bottom - part.top, part.right - part.left];
    return { ...part, size, seen: size.map((side) => Math.max(1, halfToEven(side * scale))) };
  }

  // For each output pixel along one side: the first input pixel and the weights of those that it is
  // made of. Bilinear; where it shrinks, the triangle is as wide as an output pixel. Rounded as in
  // PyTorch, or a pixel in ten thousand would come out otherwise.
  function mixture(from, to) {
    const scale = f32(from / to);
    const support = Math.max(1, scale);
    const narrower = scale >= 1 ? f32(1 / scale) : 1;
    return Array.from({ length: to }, (_, i) => {
      const centre = f32(scale * (i + 0.5));
      const first = Math.max(Math.trunc(f32(centre - support) + 0.5), 0);
      const last = Math.min(Math.trunc(f32(centre + support) + 0.5), from);
      const weights = Float32Array.from({ length: last - first }, (_, j) =>
        Math.max(0, 1 - Math.abs(f32((f32(j + first - centre) + 0.5) * narrower))));
      const total = weights.reduce((sum, weight) => f32(sum + weight), 0);
      return { first, weights: weights.map((weight) => weight / total) };
    });
  }

  // An image of another size, row by row: `row(y)` gives rows of the first, the result rows of the
  // second. So no whole image stands in memory twice.
  function resample(row, [height, width], [newHeight, newWidth]) {
    if (height === newHeight && width === newWidth) return row;
    const across = mixture(width, newWidth);
    const down = mixture(height, newHeight);
    const kept = new Map();
    function wide(y) {
      if (kept.has(y)) return kept.get(y);
      const source = row(y);
      const out = new Float32Array(newWidth);
      for (let x = 0; x < newWidth; x++) {
        const { first, weights } = across[x];
        for (let j = 0; j < weights.length; j++) out[x] += f32(weights[j] * source[first + j]);
      }
      kept.set(y, out);
      return out;
    }
    return (y) => {
      const { first, weights } = down[y];
      for (const old of kept.keys()) if (old < first) kept.delete(old);
      const out = new Float32Array(newWidth);
      for (let j = 0; j < weights.length; j++) {
        const source = wide(first + j);
        for (let x = 0; x < newWidth; x++) out[x] += f32(weights[j] * source[x]);
      }
      return out;
    };
  }

  const clamp = (value) => Math.min(1, Math.max(0, value));

  // One channel of the window as the network is to see it: black around the field where that is
  // bright, and in the colours of the training where the photograph is grey.
  function shown({ width, pixels }, mask, part, colour, card) {
    const darken = f32(colour.surround / 255) > bounds.dark / 255;
    const tint = card.colours && colour.saturation < bounds.grey && colour.grey.spread >= bounds.blank;
    return (c) => (y) => {
      const out = new Float32Array(part.right - part.left);
      let i = (part.top + y) * width + part.left;
      for (let x = 0; x < out.length; x++, i++) {
        const p = 4 * i;
        if (tint) {
          const grey = (pixels[p] + pixels[p + 1] + pixels[p + 2]) / 3 / 255;
          const stretch = card.colours.spread[c] / colour.grey.spread;
          out[x] = mask[i] && clamp(card.colours.mean[c] + (grey - colour.grey.mean) * stretch);
        } else {
          out[x] = darken && !mask[i] ? 0 : pixels[p + c] / 255;
        }
      }
      return out;
    };
  }

  // Everything up to the network: `crop` is what it sees, three planes of `part.seen` pixels.
  function prepare(photo, card, angle) {
    const mask = field.fieldOfView(photo);
    const box = field.measure(mask, photo.width, photo.height);
    const colour = field.colours(photo, mask);
    const scale = workingScale(box.diameter, angle, card);
    const part = windowOf(box, photo, scale.diameter);
    const channel = shown(photo, mask, part, colour, card);
    const [rows, columns] = part.seen;
    const crop = [0, 1, 2].map((c) => {
      const row = resample(channel(c), part.size, part.seen);
      const plane = new Float32Array(rows * columns);
      for (let y = 0; y < rows; y++) plane.set(row(y).map(clamp), y * columns);
      return plane;
    });
    return { mask, box, part, scale, crop, unusual: field.unusual(photo, mask, box, colour, Boolean(card.colours)) };
  }

  // The bands of rows that go through the network, each `reach` rows more than it is to give: as few
  // as memory allows, and no higher than so many bands need, because each row costs time.
  function bands(height, columns, { most, multiple, reach }) {
    const up = (rows) => multiple * Math.ceil(rows / multiple);
    const whole = up(height);
    const largest = Math.min(whole, Math.max(most(whole, columns), 2 * reach + multiple));
    const count = largest === whole ? 1 : Math.ceil((whole - 2 * reach) / (largest - 2 * reach));
    const rows = 2 * reach + up((whole - 2 * reach) / count);
    const list = [];
    for (let begin = 0; begin < height; begin = list.at(-1).end) {
      const start = Math.min(Math.max(0, begin - reach), whole - rows);
      list.push({ start, begin, end: start + rows === whole ? height : start + rows - reach });
    }
    return { rows, list };
  }

  // Vessel probabilities of the crop, averaged over the image and its mirror images. `network`
  // has `multiple`, `reach`, `most(rows, columns)`, as many of these rows as memory allows, and
  // `build(rows, columns)`, which gives a function from pixels to logits.
  function predict({ crop, part }, network, flips, progress) {
    const [height, width] = part.seen.map((side) => side + 2 * BORDER);
    const columns = Math.ceil(width / network.multiple) * network.multiple;
    const { rows, list } = bands(height, columns, network);
    const forward = network.build(rows, columns);
    const inside = (position, flip, side, own) => {
      const at = Math.min(position, side - 1); // beyond the bordered image its last pixel
      return Math.min(Math.max((flip ? side - 1 - at : at) - BORDER, 0), own - 1);
    };
    const total = new Float32Array(part.seen[0] * part.seen[1]);
    const mirrors = flips ? [[0, 0], [0, 1], [1, 0], [1, 1]] : [[0, 0]];
    mirrors.forEach(([down, across], m) => {
      const xs = Array.from({ length: columns }, (_, x) => inside(x, across, width, part.seen[1]));
      list.forEach(({ start, begin, end }, b) => {
        progress((m * list.length + b) / (mirrors.length * list.length));
        const ys = Array.from({ length: rows }, (_, y) => inside(start + y, down, height, part.seen[0]));
        const logit = forward((c, y, x) => crop[c][ys[y] * part.seen[1] + xs[x]]);
        for (let y = begin; y < end; y++) {
          const own = (down ? height - 1 - y : y) - BORDER;
          if (own < 0 || own >= part.seen[0]) continue;
          for (let x = BORDER; x < width - BORDER; x++) {
            const i = own * part.seen[1] + (across ? width - 1 - x : x) - BORDER;
            total[i] += f32(1 / (1 + Math.exp(-logit(y - start, x))));
          }
        }
      });
    });
    return total.map((sum) => sum / mirrors.length);
  }

  // Rows of probabilities in the photograph's own pixels, 0 outside the field of view.
  function ownRows({ mask, part, vessels }, width) {
    const [, columns] = part.seen;
    const row = resample((y) => vessels.subarray(y * columns, (y + 1) * columns), part.seen, part.size);
    return (y) => {
      const out = new Float32Array(width);
      if (y < part.top || y >= part.bottom) return out;
      out.set(row(y - part.top).map(clamp), part.left);
      return out.map((p, x) => p * mask[y * width + x]);
    };
  }

  return { prepare, predict, ownRows, resample };
}
