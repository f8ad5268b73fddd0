// Runs the shape calculator in node: `node shape_calculator.js SCRIPT JOBS`. JOBS is a JSON file with
// the description and cases; each case's table, or what the page says to it, is written to stdout.
const fs = require("fs");
const vm = require("vm");

const [script, jobs] = process.argv.slice(2);
vm.runInThisContext(fs.readFileSync(script, "utf8"), { filename: script });
const { description, cases } = JSON.parse(fs.readFileSync(jobs, "utf8"));
const shapes = retinaShapes(description);

function answer({ name, options, image }) {
  const steps = shapes.stepsOf(name, options);
  const said = shapes.complaint(name, options, image);
  try {
    return { said, ...shapes.table(steps, image) };
  } catch (error) {
    return { said, broken: error.message };
  }
}

for (const one of cases) console.log(JSON.stringify(answer(one)));
