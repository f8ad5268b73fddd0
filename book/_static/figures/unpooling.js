// Max-pooling and unpooling by index, as torch computes them. Windows of 2 x 2 pixels; where a
// maximum stands twice, the first one counts.
function retinaUnpooling(image) {
  const [height, width] = [image.length, image[0].length];
  const windows = [];
  for (let y = 0; y + 1 < height; y += 2) {
    for (let x = 0; x + 1 < width; x += 2) {
      const places = [[y, x], [y, x + 1], [y + 1, x], [y + 1, x + 1]];
      const [row, column] = places.reduce((best, [r, c]) =>
        (image[r][c] > image[best[0]][best[1]] ? [r, c] : best));
      windows.push({ y: y / 2, x: x / 2, value: image[row][column], row, column, index: row * width + column });
    }
  }
  const empty = (rows, columns) => Array.from({ length: rows }, () => new Array(columns).fill(0));
  const unpooled = empty(height, width);
  for (const { row, column, value } of windows) unpooled[row][column] = value;
  return { windows, unpooled, pooledHeight: Math.floor(height / 2), pooledWidth: Math.floor(width / 2) };
}

// The step-through of the page book/interactive.md.
(() => {
  const at = (name) => document.getElementById(`unpool-${name}`);
  if (!globalThis.document || !at("demo")) return;

  const FIRST = JSON.parse(at("demo").dataset.image);
  let image = FIRST;
  let step = 0;

  // A table of numbers; `shown` says which ones are filled in, `marked` which are marked.
  function grid(name, values, shown, marked) {
    at(name).replaceChildren(...values.map((line, y) => {
      const row = document.createElement("tr");
      row.append(...line.map((value, x) => {
        const cell = document.createElement("td");
        cell.textContent = shown(y, x) ? value : "";
        cell.classList.toggle("is-marked", marked(y, x));
        return cell;
      }));
      return row;
    }));
  }

  function show() {
    const { windows, unpooled, pooledHeight, pooledWidth } = retinaUnpooling(image);
    const half = windows.length;
    step = Math.min(Math.max(0, step), 2 * half);
    const pooling = step <= half;
    const now = windows[(pooling ? step : step - half) - 1]; // none at the beginning
    const lines = (key) => Array.from({ length: pooledHeight }, (_, y) =>
      windows.slice(y * pooledWidth, (y + 1) * pooledWidth).map((one) => one[key]));
    const done = (y, x) => y * pooledWidth + x < step;
    const here = (y, x) => now !== undefined && now.y === y && now.x === x;
    const inWindow = (y, x) => now !== undefined && pooling && Math.floor(y / 2) === now.y && Math.floor(x / 2) === now.x;
    const written = windows.slice(0, Math.max(0, step - half));
    const at2 = (y, x) => now !== undefined && !pooling && now.row === y && now.column === x;
    grid("image", image, () => true, inWindow);
    grid("pooled", lines("value"), done, here);
    grid("indices", lines("index"), done, here);
    grid("result", unpooled, (y, x) =>
      !pooling && (step === 2 * half || written.some(({ row, column }) => row === y && column === x)), at2);
    at("text").textContent = describe(now, pooling, step === 2 * half);
    at("back").disabled = step === 0;
    at("next").disabled = step === 2 * half;
  }

  function describe(now, pooling, end) {
    if (!now) return "Max-pooling goes through the windows of 2 × 2 pixels. Press Next.";
    const { value, index, row, column } = now;
    if (pooling) {
      return `Pooling: the largest number of this window is ${value}. It stands in row ${row}, column ${column}, ` +
        `so its index is ${row} × ${image[0].length} + ${column} = ${index}. Both are kept.`;
    }
    const rest = end ? " All other pixels are 0." : "";
    return `Unpooling: ${value} goes back to index ${index}: row ${row}, column ${column}.${rest}`;
  }

  function other() {
    const [side] = [Number(at("side").value)];
    image = Array.from({ length: side }, () => Array.from({ length: side }, () => Math.floor(10 * Math.random())));
    step = 0;
    show();
  }

  at("next").addEventListener("click", () => {
    step += 1;
    show();
  });
  at("back").addEventListener("click", () => {
    step -= 1;
    show();
  });
  at("again").addEventListener("click", other);
  at("side").addEventListener("change", other);
  show();
})();
