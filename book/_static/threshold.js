// The slider of the page book/threshold.md. Without script, or in a browser without
// DecompressionStream, the controls stay hidden and the page's figure and table say the same.
(async () => {
  const box = document.getElementById("threshold-demo");
  const data = window.thresholdData;
  if (!box || !data || !window.DecompressionStream) return;

  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = { found: [0, 0, 0], extra: [230, 159, 0], missed: [0, 114, 178] };
  const SERIES = [
    ["f1", "#0072B2", ""],
    ["accuracy", "#000000", "7 4"],
    ["sensitivity", "#D55E00", "2 3"],
  ];
  const at = (name) => document.getElementById(`threshold-${name}`);
  const slider = at("slider");
  const context = at("map").getContext("2d");
  const picture = context.createImageData(data.side, data.side);
  const pixels = await inflate(data.pixels);

  // Vessel where the probability is at least the threshold: `level` counts thresholds reached.
  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function scores(i) {
    const tp = data.tp[i];
    const fp = data.fp[i];
    const fn = data.vessel - tp;
    const tn = data.background - fp;
    return {
      f1: (2 * tp) / (2 * tp + fp + fn),
      accuracy: (tp + tn) / (data.vessel + data.background),
      sensitivity: tp / data.vessel,
      specificity: tn / data.background,
      precision: tp / (tp + fp),
    };
  }

  function drawMap(i) {
    const count = { found: 0, extra: 0, missed: 0 };
    pixels.forEach((pixel, k) => {
      const found = (pixel & 127) > i;
      const vessel = pixel > 127;
      const kind = found ? (vessel ? "found" : "extra") : vessel ? "missed" : "";
      if (kind) count[kind] += 1;
      picture.data.set([...(COLOURS[kind] ?? [255, 255, 255]), 255], 4 * k);
    });
    context.putImageData(picture, 0, 0);
    return count;
  }

  function add(parent, name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    parent.append(element);
    return element;
  }

  // A plot of 300 x 300 with its axes from 0 to 1; the y axis points up.
  const X = (x) => 42 + 245 * x;
  const Y = (y) => 258 - 245 * y;
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${X(x)} ${Y(y)}`).join("");

  function axes(svg, xLabel, yLabel) {
    for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      const line = { stroke: "#cccccc", "stroke-width": 0.7 };
      add(svg, "path", { d: path([[tick, 0], [tick, 1]]), ...line });
      add(svg, "path", { d: path([[0, tick], [1, tick]]), ...line });
      const small = { "font-size": 11, fill: "#222222" };
      add(svg, "text", { x: X(tick), y: 274, "text-anchor": "middle", ...small }, tick.toFixed(1));
      add(svg, "text", { x: 36, y: Y(tick) + 4, "text-anchor": "end", ...small }, tick.toFixed(1));
    }
    const label = { "font-size": 12, fill: "#222222", "text-anchor": "middle" };
    add(svg, "text", { x: X(0.5), y: 293, ...label }, xLabel);
    add(svg, "text", { transform: `translate(12 ${Y(0.5)}) rotate(-90)`, ...label }, yLabel);
  }

  function curve(svg, points, colour, dashes) {
    const style = { fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dashes };
    add(svg, "path", { d: path(points), ...style });
  }

  const all = data.thresholds.map((_, i) => scores(i));
  axes(at("roc"), "1 − specificity", "sensitivity");
  curve(at("roc"), data.roc, "#0072B2", "");
  const point = add(at("roc"), "circle", { r: 6, fill: "#000000", stroke: "white" });

  axes(at("curves"), "threshold", "score");
  for (const [key, colour, dashes] of SERIES) {
    curve(at("curves"), all.map((row, k) => [data.thresholds[k], row[key]]), colour, dashes);
  }
  const here = add(at("curves"), "line", { y1: Y(0), y2: Y(1), stroke: "#000000" });

  const per = (share) => `${(100 * share).toFixed(1)} %`;

  function show() {
    const i = Math.round(slider.value * 100) - 1;
    const row = all[i];
    const count = drawMap(i);
    at("value").textContent = Number(slider.value).toFixed(2);
    at("text").textContent =
      `All 20 test photographs: ${per(row.sensitivity)} of the vessel pixels found, ` +
      `${per(1 - row.specificity)} of the background called vessel; F1 ${row.f1.toFixed(3)}, ` +
      `accuracy ${row.accuracy.toFixed(3)}, precision ${row.precision.toFixed(3)}.`;
    for (const kind of Object.keys(count)) at(kind).textContent = count[kind].toLocaleString("en");
    point.setAttribute("cx", X(1 - row.specificity));
    point.setAttribute("cy", Y(row.sensitivity));
    here.setAttribute("x1", X(data.thresholds[i]));
    here.setAttribute("x2", X(data.thresholds[i]));
  }

  const chosen = data.chosen.toFixed(2);
  slider.addEventListener("input", show);
  at("reset").addEventListener("click", () => {
    slider.value = chosen;
    show();
  });
  slider.value = chosen;
  box.hidden = false;
  show();
})();
