// What is known about a photograph before a network sees it: its field of view, its colours, and
// what is unusual about both. As data/reading.py, inference/colours.py and inference/quality.py.
// A photograph is { width, height, pixels }, with four bytes for each pixel as a canvas has them.
function retinaField(bounds) {
  const brightest = (p, i) => Math.max(p[i], p[i + 1], p[i + 2]);
  const darkest = (p, i) => Math.min(p[i], p[i + 1], p[i + 2]);

  // Regions of pixels that pass a test. Each row is cut into runs { y, begin, end }; runs of
  // neighbouring rows that touch have one root.
  function regions(width, height, test, diagonal) {
    const runs = [];
    const find = (run) => {
      while (run.up !== run) run = run.up = run.up.up;
      return run;
    };
    let above = 0; // the first run of the row above that may touch
    for (let y = 0; y < height; y++) {
      const row = runs.length;
      for (let x = 0; x < width; x++) {
        if (!test(y * width + x)) continue;
        const run = { y, begin: x, size: 0 };
        while (x < width && test(y * width + x)) x++;
        run.end = x;
        run.up = run;
        while (above < row && runs[above].end + diagonal <= run.begin) above++;
        for (let i = above; i < row && runs[i].begin < run.end + diagonal; i++) {
          find(runs[i]).up = find(run);
        }
        runs.push(run);
      }
      above = row;
    }
    for (const run of runs) find(run).size += run.end - run.begin;
    return { runs, find };
  }

  const onEdge = (run, width, height) =>
    run.y === 0 || run.y === height - 1 || run.begin === 0 || run.end === width;

  // The roots of the regions that touch the edge of the image.
  function outerRoots({ runs, find }, width, height) {
    return new Set(runs.filter((run) => onEdge(run, width, height)).map(find));
  }

  // White around the photograph, and two pixels more, where it fills a quarter of the edge.
  function whiteSurround({ width, height, pixels }) {
    const white = (i) => darkest(pixels, 4 * i) >= bounds.white;
    let edge = 0;
    for (let x = 0; x < width; x++) edge += white(x) + white((height - 1) * width + x);
    for (let y = 0; y < height; y++) edge += white(y * width) + white((y + 1) * width - 1);
    const surround = new Uint8Array(width * height);
    if (edge / (2 * (width + height)) < bounds.whiteEdge) return surround;
    const found = regions(width, height, white, 0);
    const outer = outerRoots(found, width, height);
    for (const run of found.runs.filter((one) => outer.has(found.find(one)))) {
      for (let y = Math.max(0, run.y - 2); y <= Math.min(height - 1, run.y + 2); y++) {
        const begin = y * width + Math.max(0, run.begin - 2);
        surround.fill(1, begin, y * width + Math.min(width, run.end + 2));
      }
    }
    return surround;
  }

  // The largest region brighter than a level, with its holes filled; null where nothing is.
  function brighter({ width, height, pixels }, level, surround) {
    const lit = (i) => brightest(pixels, 4 * i) > level;
    let found = regions(width, height, (i) => lit(i) && !surround[i], 1);
    if (!found.runs.length) found = regions(width, height, lit, 1);
    if (!found.runs.length) return null;
    const largest = found.runs.map(found.find).reduce((a, b) => (b.size > a.size ? b : a));
    const field = new Uint8Array(width * height);
    const paint = (run, value) => field.fill(value, run.y * width + run.begin, run.y * width + run.end);
    for (const run of found.runs) if (found.find(run) === largest) paint(run, 1);
    const around = regions(width, height, (i) => !field[i], 0);
    const outer = outerRoots(around, width, height);
    field.fill(1);
    for (const run of around.runs) if (outer.has(around.find(run))) paint(run, 0);
    return field;
  }

  const count = (field) => field.reduce((sum, inside) => sum + inside, 0);

  function isDisc(field, width, box) {
    const sides = [box.bottom - box.top, box.right - box.left];
    const narrow = Math.min(...sides) < bounds.narrow * Math.max(...sides);
    return !narrow && likeness(field, width, box) >= bounds.disc;
  }

  function isUsual(field, { width, height }) {
    const share = count(field) / field.length;
    if (share < bounds.smallField || share > bounds.fillsFrame) return false;
    return isDisc(field, width, measure(field, width, height));
  }

  // The brightest pixel in the corners of the image.
  function cornerLevel({ width, height, pixels }) {
    const side = Math.max(1, Math.floor(bounds.corner * Math.min(width, height)));
    let level = bounds.dark;
    for (let y = -side; y < side; y++) {
      for (let x = -side; x < side; x++) {
        const i = ((y + height) % height) * width + ((x + width) % width);
        level = Math.max(level, brightest(pixels, 4 * i));
      }
    }
    return level;
  }

  // What is brighter than a dark surround, or, where that is no disc, than the corners; the whole
  // image where it is below a tenth.
  function fieldOfView(photo) {
    const surround = whiteSurround(photo);
    let field = brighter(photo, bounds.dark, surround);
    if (!field) throw new Error("The picture is black: it has no field of view.");
    if (!isUsual(field, photo)) {
      const level = cornerLevel(photo);
      const [raised, higher] = [0, bounds.step].map((more) => brighter(photo, level + more, surround));
      const steady = raised && higher && count(higher) >= bounds.steady * count(raised);
      if (steady && isUsual(raised, photo)) field = raised;
    }
    return count(field) / field.length < 0.1 ? field.fill(1) : field;
  }

  // Rows and columns of the field's bounding box, the pixels inside, the longer side.
  function measure(field, width, height) {
    const box = { top: height, bottom: 0, left: width, right: 0 };
    let pixels = 0;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (!field[i]) continue;
        pixels++;
        if (y < box.top) box.top = y;
        if (x < box.left) box.left = x;
        if (x >= box.right) box.right = x + 1;
        box.bottom = y + 1;
      }
    }
    return { ...box, pixels, diameter: Math.max(box.bottom - box.top, box.right - box.left) };
  }

  // Means and spreads in the field of view, in [0, 1], and the median brightness around it.
  function colours({ pixels }, field) {
    const sums = { n: 0, bright: 0, dark: 0, grey: 0, grey2: 0, rgb: [0, 0, 0], rgb2: [0, 0, 0] };
    const outside = new Uint32Array(256);
    for (let i = 0, p = 0; i < field.length; i++, p += 4) {
      if (!field[i]) {
        outside[brightest(pixels, p)]++;
        continue;
      }
      sums.n++;
      sums.bright += brightest(pixels, p);
      sums.dark += darkest(pixels, p);
      const grey = (pixels[p] + pixels[p + 1] + pixels[p + 2]) / 3;
      sums.grey += grey;
      sums.grey2 += grey * grey;
      for (let c = 0; c < 3; c++) {
        sums.rgb[c] += pixels[p + c];
        sums.rgb2[c] += pixels[p + c] ** 2;
      }
    }
    const mean = (sum) => sum / sums.n / 255;
    const spread = (sum, squares) =>
      Math.sqrt(Math.max(0, squares / sums.n - (sum / sums.n) ** 2)) / 255;
    let [rank, surround] = [Math.floor((field.length - sums.n - 1) / 2), 0];
    while (rank >= 0 && (rank -= outside[surround]) >= 0) surround++;
    return {
      saturation: (sums.bright - sums.dark) / Math.max(sums.bright, 1e-6),
      grey: { mean: mean(sums.grey), spread: spread(sums.grey, sums.grey2) },
      mean: sums.rgb.map(mean),
      spread: sums.rgb.map((sum, c) => spread(sum, sums.rgb2[c])),
      surround,
    };
  }

  // How much of the box's disc and of the field they have in common: intersection over union.
  function likeness(field, width, box) {
    const [middleY, middleX] = [(box.top + box.bottom - 1) / 2, (box.left + box.right - 1) / 2];
    let [both, either] = [0, 0];
    for (let y = box.top; y < box.bottom; y++) {
      for (let x = box.left; x < box.right; x++) {
        const inside = (y - middleY) ** 2 + (x - middleX) ** 2 <= (box.diameter / 2) ** 2;
        const part = field[y * width + x] === 1;
        both += inside && part;
        either += inside || part;
      }
    }
    return both / either;
  }

  // Sentences; none for a usual photograph.
  function unusual(photo, field, box, colour, tinted) {
    const found = [];
    const { saturation, mean, spread, surround } = colour;
    const [red, green, blue] = mean.map((value) => Math.round(255 * value));
    if (Math.max(...spread) < bounds.blank) {
      found.push("It has nearly one colour.");
    } else if (saturation < bounds.grey) {
      // The networks for any camera have seen all colours, and find vessels in grey as well.
      if (tinted) found.push("It is grey; the network sees it tinted as the photographs that it learned from.");
    } else if (!(mean[0] > mean[1] && mean[1] > mean[2])) {
      found.push(`Its mean colours are red ${red}, green ${green}, blue ${blue}; in the retina red is the strongest and blue the weakest.`);
    }
    const share = box.pixels / field.length;
    if (share > bounds.fillsFrame) {
      found.push("It has no dark border, so the whole picture is taken for the field of view.");
    } else {
      if (share < bounds.smallField) found.push("Only a small part of it is bright.");
      if (!isDisc(field, photo.width, box)) {
        found.push("Its bright part is not a disc.");
      }
    }
    if (surround > bounds.dark) found.push("It is bright around the field of view; that is taken as black.");
    return found;
  }

  return { fieldOfView, measure, colours, unusual };
}
