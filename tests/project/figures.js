// Runs the figures' sums in node: `node figures.js FOLDER JOBS`; one answer a line.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [folder, jobs] = process.argv.slice(2);
for (const name of ["unpooling", "gradients"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, `${name}.js`), "utf8"), { filename: name });
}
const kinds = {
  unpooling: ({ image }) => retinaUnpooling(image),
  gradients: ({ logit, ...settings }) => Object.values(retinaGradients(settings)).map((loss) => loss(logit)),
};
for (const { kind, ...job } of JSON.parse(fs.readFileSync(jobs, "utf8"))) console.log(JSON.stringify(kinds[kind](job)));
