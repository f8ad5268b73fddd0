// Runs the scripts of the live page in node: `node live_page.js SCRIPTS JOBS`. JOBS is a JSON file
// with a list of jobs; what a job computes is written to its `out`, raw, and its log to stdout.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [scripts, jobs] = process.argv.slice(2);
globalThis.window = globalThis;
const parts = ["weights", "network", "memory", "field", "photograph", "worker", "warnings", "picture", "kernel", "disc"];
for (const name of [...parts, "checkpoint", "inside_worker"]) {
  vm.runInThisContext(fs.readFileSync(path.join(scripts, `${name}.js`), "utf8"), { filename: name });
}
const kernel = Buffer.from(vm.runInThisContext("retinaKernel").wasm, "base64");
const write = (file, array) => fs.writeFileSync(file, Buffer.from(array.buffer));
const model = ({ network }) => ({ ...network, weights: new Uint8Array(Buffer.from(network.weights, "base64")) });

const kinds = {
  // The logits of an image, by the kernel or by the plain convolution.
  forward(job) {
    const { plan, weights } = model(job);
    const network = retinaNetwork();
    const prepared = network.prepare(plan, retinaWeights()(weights));
    const module = job.plain ? undefined : new WebAssembly.Module(kernel);
    const image = new Float32Array(new Uint8Array(fs.readFileSync(job.image)).buffer);
    const { height, width } = job;
    const forward = retinaMemory().build(network, prepared, height, width, module);
    for (let again = 0; again < 2; again++) {
      const logit = forward((c, y, x) => image[(c * height + y) * width + x]);
      const out = Float32Array.from({ length: height * width }, (_, i) => logit(Math.floor(i / width), i % width));
      write(job.out, out);
    }
  },

  // The megabytes that a network needs for an image, and those of all its maps together.
  layout(job) {
    const { plan, weights } = model(job);
    const prepared = retinaNetwork().prepare(plan, retinaWeights()(weights));
    const { bytes, maps } = retinaMemory().layout(prepared, job.height, job.width);
    const all = Object.values(maps).reduce((sum, { channels, size }) => sum + 4 * channels * size, 0);
    console.log(JSON.stringify([bytes / 1e6, all / 1e6]));
  },

  // The rows of each band in which an image goes through a network.
  bands({ height, most, multiple, reach }) {
    const found = [];
    const build = (rows) => () => {
      found.push(rows);
      return () => 0;
    };
    const seen = [height, 1];
    const crop = [0, 1, 2].map(() => new Float32Array(height));
    const network = { multiple, reach, most: () => most, build };
    retinaPhotograph().predict({ crop, part: { seen } }, network, false, () => {});
    console.log(JSON.stringify(found));
  },

  // A whole photograph: probabilities and field of view in its own pixels.
  segment(job) {
    const { width, height } = job;
    const photo = { width, height, pixels: new Uint8ClampedArray(fs.readFileSync(job.image)) };
    const result = retinaWorker().segment({ ...job, photo, kernel, model: model(job) }, () => {});
    const row = retinaPhotograph().ownRows(result, width);
    const out = new Float32Array(width * height);
    for (let y = 0; y < height; y++) out.set(row(y), y * width);
    write(job.out, out);
    write(`${job.out}.field`, result.mask);
    const { unusual, counts, expected, scale, box, seconds } = result;
    const said = retinaWarnings(job.bounds)({ ...result, usual: job.network.card.expected_f1 });
    console.log(JSON.stringify({ unusual, counts, expected, said, scale, box, seconds }));
  },

  // Feature maps, with skip connections cut and the photograph made worse: what the worker of
  // "Look into the network" answers, one file for each look.
  inside(job) {
    const { width, height } = job;
    const photo = { width, height, pixels: new Uint8ClampedArray(fs.readFileSync(job.image)) };
    const look = retinaInside().open({ largest: 640, ...job, photo, kernel, model: model(job) });
    job.looks.forEach((asked, i) => {
      const { image, map, probability, usual, size } = look({ cuts: [], noise: 0, blur: 0, scale: 1, ...asked });
      write(`${job.out}.${i}.image`, Float32Array.from(image.planes.flatMap((plane) => [...plane])));
      write(`${job.out}.${i}.map`, map.values);
      write(`${job.out}.${i}.probability`, probability);
      const { channels, height: tall, width: wide } = map;
      console.log(JSON.stringify({ image: image.size, size, map: [channels, tall, wide], same: usual.every((p, k) => p === probability[k]) }));
    });
  },

  // The tensors' names of a reader's checkpoint, or why it does not fit.
  checkpoint(job) {
    const shipped = retinaWeights()(model(job).weights);
    const own = new Uint8Array(fs.readFileSync(job.file));
    try {
      console.log(JSON.stringify(Object.keys(retinaCheckpoint()(own, shipped, retinaWeights())).sort()));
    } catch (error) {
      console.log(JSON.stringify(error.message));
    }
  },

  // The threshold of a reader's card, or why the card does not fit.
  card({ text }) {
    try {
      console.log(JSON.stringify(retinaCard(text).threshold));
    } catch (error) {
      console.log(JSON.stringify(error.message));
    }
  },

  // The width of an optic disc in pixels.
  disc({ diameter, angle, degrees }) {
    console.log(retinaDiscWidth(diameter, angle, degrees));
  },

  profile(job) {
    write(job.out, retinaPicture().withoutProfile(new Uint8Array(fs.readFileSync(job.image))));
  },

  async png({ width, height, bits, out }) {
    const row = (y) => Array.from({ length: width }, (_, x) => (y * width + x) * (bits === 8 ? 7 : 1031));
    write(out, new Uint8Array(await (await retinaPicture().encode(width, height, bits, row)).arrayBuffer()));
  },
};

(async () => {
  for (const job of JSON.parse(fs.readFileSync(jobs, "utf8"))) await kinds[job.kind](job);
})();
