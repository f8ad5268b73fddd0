// What the page's worker does: one photograph through one network.
function retinaWorker() {
  // The most rows of an image that fit into the memory allowed, see bands in photograph.js.
  function rowsThatFit(memory, prepared, rows, columns, multiple, most) {
    while (rows > 0 && memory.layout(prepared, rows, columns).bytes > most) rows -= multiple;
    return rows;
  }

  // How many pixels of the field of view reach each threshold.
  function countVessels(row, mask, width, height, thresholds) {
    const sorted = Float32Array.from(thresholds);
    const counts = new Array(sorted.length + 1).fill(0);
    for (let y = 0; y < height; y++) {
      const probabilities = row(y);
      for (let x = 0; x < width; x++) {
        if (!mask[y * width + x]) continue;
        let reached = Math.min(sorted.length, Math.floor(probabilities[x] * 100));
        while (reached < sorted.length && probabilities[x] >= sorted[reached]) reached++;
        while (reached > 0 && probabilities[x] < sorted[reached - 1]) reached--;
        counts[reached]++;
      }
    }
    for (let i = sorted.length; i > 0; i--) counts[i - 1] += counts[i];
    return counts.slice(1);
  }

  // The F1 that the map as the network saw it has at the threshold `cut` if its probabilities are
  // right, as inference/doubt.py.
  function expectedF1({ mask, part, vessels }, width, cut) {
    let [called, ofCalled, ofAll] = [0, 0, 0]; // pixels that are called vessel, sums of probabilities
    const [rows, columns] = part.seen;
    const nearest = (i, from, to) => Math.floor(((i + 0.5) * from) / to);
    for (let y = 0; y < rows; y++) {
      const line = (part.top + nearest(y, part.size[0], rows)) * width + part.left;
      for (let x = 0; x < columns; x++) {
        if (!mask[line + nearest(x, part.size[1], columns)]) continue;
        const probability = vessels[y * columns + x];
        ofAll += probability;
        if (probability < cut) continue;
        called++;
        ofCalled += probability;
      }
    }
    return called && (2 * ofCalled) / (called + ofAll);
  }

  function segment({ photo, angle, flips, kernel, memoryLimit, bounds, model, thresholds }, progress) {
    const started = performance.now();
    const network = retinaNetwork();
    const memory = retinaMemory();
    const photograph = retinaPhotograph(retinaField(bounds), bounds);
    const prepared = network.prepare(model.plan, model.tensors ?? retinaWeights()(model.weights));
    const module = kernel && new WebAssembly.Module(kernel);
    const seen = photograph.prepare(photo, model.card, angle);
    const vessels = photograph.predict(seen, {
      multiple: model.multiple,
      reach: model.reach,
      most: (rows, columns) => rowsThatFit(memory, prepared, rows, columns, model.multiple, memoryLimit),
      build: (rows, columns) => memory.build(network, prepared, rows, columns, module),
    }, flips, progress);
    const { width, height } = photo;
    const { mask, box, part, scale, unusual } = seen;
    const row = photograph.ownRows({ mask, part, vessels }, width);
    const cut = Math.fround(model.card.threshold);
    const counts = countVessels(row, mask, width, height, thresholds);
    const expected = expectedF1({ mask, part, vessels }, width, cut);
    const seconds = (performance.now() - started) / 1000;
    return { width, height, mask, box, part, scale, unusual, vessels, counts, expected, seconds };
  }

  return { segment };
}

// The text of a worker that contains the functions above, because a page opened as a file may
// load no script into a worker.
function retinaWorkerText() {
  const parts = [retinaWeights, retinaNetwork, retinaMemory, retinaField, retinaPhotograph, retinaWorker];
  return `${parts.join("\n")}
    onmessage = ({ data }) => {
      try {
        const progress = (share) => postMessage({ progress: share });
        const result = retinaWorker().segment(data, progress);
        postMessage({ result }, [result.mask.buffer, result.vessels.buffer]);
      } catch (error) {
        postMessage({ error: error.message });
      }
    };`;
}
