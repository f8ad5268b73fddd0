// The gradients of the package's losses at one pixel: the derivative of the loss by its logit,
// times the number of pixels. The image has `pixels` others, of which `share` are vessel; the network
// gives each of them the probability `right` of its true class.
function retinaGradients({ target, gamma, alpha, pixels, share, right }) {
  const SMOOTH = 1e-6; // as training/losses/inputs.py
  const all = pixels + 1;
  const sigmoid = (z) => 1 / (1 + Math.exp(-z));
  const logSigmoid = (z) => Math.min(0, z) - Math.log1p(Math.exp(-Math.abs(z)));
  const vessel = Math.round(share * pixels);
  const sign = 2 * target - 1;

  // Derivative of the loss 1 - (a + s) / (b + s) by the logit, with those of a and b by the probability.
  function overlap(p, [a, da], [b, db]) {
    const score = (da * (b + SMOOTH) - (a + SMOOTH) * db) / (b + SMOOTH) ** 2;
    return -score * p * (1 - p) * all;
  }

  const losses = {
    "Cross-entropy": (z) => sigmoid(z) - target,
    Focal(z) {
      const [q, rest] = [sigmoid(sign * z), sigmoid(-sign * z)]; // of the true class
      return sign * (gamma * rest ** gamma * q * logSigmoid(sign * z) - rest ** (gamma + 1));
    },
    Dice(z) {
      const p = sigmoid(z);
      const both = vessel * right + p * target;
      const sum = vessel * right + (pixels - vessel) * (1 - right) + p + vessel + target;
      return overlap(p, [2 * both, 2 * target], [sum, 1]);
    },
    Tversky(z) {
      const p = sigmoid(z);
      const beta = 1 - alpha;
      const found = vessel * right + p * target;
      const extra = (pixels - vessel) * (1 - right) + p * (1 - target);
      const missed = vessel * (1 - right) + (1 - p) * target;
      return overlap(p, [found, target],
        [found + alpha * extra + beta * missed, target + alpha * (1 - target) - beta * target]);
    },
  };
  return losses;
}

// The figure of the page book/interactive.md.
(() => {
  const at = (name) => document.getElementById(`gradient-${name}`);
  if (!globalThis.document || !at("demo")) return;

  const PIXELS = Number(at("demo").dataset.pixels);
  const LOOKS = { "Cross-entropy": ["#0072b2", ""], Focal: ["#d55e00", "7 3"], Dice: ["#009e73", "2 3"], Tversky: ["#cc79a7", "9 3 2 3"] };
  const [WIDTH, HEIGHT, REACH] = [600, 320, 6];
  const SLIDERS = { logit: 1, gamma: 1, alpha: 2, share: 2, right: 2 }; // digits
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const value = (name) => Number(at(name).value);

  function element(tag, attributes, text = "") {
    const made = document.createElementNS(NAMESPACE, tag);
    for (const [key, given] of Object.entries(attributes)) made.setAttribute(key, given);
    made.textContent = text;
    return made;
  }

  function show() {
    const target = value("target");
    const losses = retinaGradients({
      target, gamma: value("gamma"), alpha: value("alpha"), pixels: PIXELS, share: value("share"), right: value("right"),
    });
    for (const [name, digits] of Object.entries(SLIDERS)) at(`${name}-value`).textContent = value(name).toFixed(digits);
    const zs = Array.from({ length: 121 }, (_, i) => ((i - 60) * REACH) / 60);
    const curves = Object.entries(losses).map(([name, loss]) => [name, zs.map(loss)]);
    const all = curves.flatMap(([, values]) => values);
    const [low, high] = [Math.min(-0.2, ...all), Math.max(0.2, ...all)];
    const x = (z) => (WIDTH * (z + REACH)) / (2 * REACH);
    const y = (g) => 20 + ((HEIGHT - 30) * (high - g)) / (high - low);
    const axis = { stroke: "#555", "stroke-width": 1 };
    const z = value("logit");
    at("plot").replaceChildren(
      element("line", { x1: 0, x2: WIDTH, y1: y(0), y2: y(0), ...axis }),
      element("line", { x1: x(z), x2: x(z), y1: 0, y2: HEIGHT, ...axis, "stroke-dasharray": "3 3" }),
      element("text", { x: 4, y: y(0) - 6 }, `logit −${REACH}`),
      element("text", { x: WIDTH - 4, y: y(0) - 6, "text-anchor": "end" }, `logit ${REACH}`),
      ...curves.map(([name, values]) => {
        const [stroke, dashes] = LOOKS[name];
        const points = values.map((g, i) => `${x(zs[i])},${y(g)}`).join(" ");
        return element("polyline", { points, fill: "none", stroke, "stroke-dasharray": dashes, "stroke-width": 2.5 });
      }));
    at("range").textContent = `Upwards: the gradient times the pixels, from ${low.toFixed(1)} to ${high.toFixed(1)}.`;
    const p = 1 / (1 + Math.exp(-z));
    const told = Object.entries(losses).map(([name, loss]) => `${name} ${loss(z).toFixed(4)}`);
    at("text").textContent = `A ${target ? "vessel" : "background"} pixel with probability ${p.toFixed(3)}: ${told.join(", ")}. ` +
      "A negative gradient raises the logit.";
  }

  for (const name of [...Object.keys(SLIDERS), "target"]) at(name).addEventListener("input", show);
  show();
})();
