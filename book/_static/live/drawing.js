// The photograph as it is drawn, and the vessels over it.
function retinaDrawing(canvas) {
  const LARGEST = 1024; // pixels of the drawn picture's longer side
  const VESSEL = [86, 228, 255]; // light blue, as in the package's overlays
  let drawn = null; // the picture, and the probabilities of its pixels

  function drawnSize({ width, height }) {
    const scale = Math.min(1, LARGEST / Math.max(width, height));
    return [Math.round(width * scale), Math.round(height * scale)];
  }

  // Each drawn pixel shows one of the photograph's pixels.
  function nearest(from, to) {
    return Array.from({ length: to }, (_, i) => Math.floor(((i + 0.5) * from) / to));
  }

  function photograph(photo) {
    const [width, height] = drawnSize(photo);
    const image = new ImageData(width, height);
    const [xs, ys] = [nearest(photo.width, width), nearest(photo.height, height)];
    const [to, source] = [new Uint32Array(image.data.buffer), new Uint32Array(photo.pixels.buffer)];
    ys.forEach((from, y) => xs.forEach((column, x) => {
      to[y * width + x] = source[from * photo.width + column];
    }));
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    drawn = { image, xs, ys };
  }

  // `row(y)` gives the probabilities of the photograph's row y.
  function vessels(row) {
    const { xs, ys } = drawn;
    drawn.probabilities = new Float32Array(xs.length * ys.length);
    ys.forEach((from, y) => {
      const probabilities = row(from);
      xs.forEach((column, x) => (drawn.probabilities[y * xs.length + x] = probabilities[column]));
    });
  }

  function paint(threshold, opacity) {
    const { image, probabilities } = drawn;
    const copy = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
    const cut = Math.fround(threshold);
    probabilities.forEach((p, i) => {
      if (p < cut || p === 0) return;
      for (let c = 0; c < 3; c++) {
        copy.data[4 * i + c] = (1 - opacity) * copy.data[4 * i + c] + opacity * VESSEL[c];
      }
    });
    canvas.getContext("2d").putImageData(copy, 0, 0);
  }

  return { photograph, vessels, paint };
}
