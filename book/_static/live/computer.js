// What the page computes with: networks, loaded when they are first chosen, and a worker for each run.
const retinaLoaded = {}; // networks by name, for both parts of the page

function retinaComputer(here) {
  let worker = null;

  function fromBase64(text) {
    const letters = atob(text);
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  }

  // WebAssembly with SIMD; null where the browser has none.
  function kernel() {
    const bytes = fromBase64(retinaKernel.wasm);
    return window.WebAssembly?.validate(bytes) ? bytes : null;
  }

  // A network comes as a script, because pages opened as files may load nothing else.
  function load(name) {
    retinaLoaded[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${here}${name}.js`;
      script.onload = () => {
        const { weights, ...model } = window.retinaModels[name];
        delete window.retinaModels[name];
        script.remove();
        resolve({ ...model, weights: fromBase64(weights) });
      };
      script.onerror = () => reject(new Error(`The file ${name}.js is missing beside this page.`));
      document.head.append(script);
    });
    return retinaLoaded[name];
  }

  // A reader's checkpoint of the network `name`, with the card that the package writes beside it, if
  // both were chosen together. Its name and its card; an error says what does not fit.
  async function adopt(files, name) {
    const named = (ending) => files.find((file) => file.name.toLowerCase().endsWith(ending));
    const [file, beside] = [named(".safetensors"), named(".json")];
    if (!file) throw new Error("Choose a .safetensors file, alone or together with its .json card.");
    const shipped = await load(name);
    const read = retinaWeights();
    let tensors;
    try {
      tensors = retinaCheckpoint()(new Uint8Array(await file.arrayBuffer()), read(shipped.weights), read);
    } catch (error) {
      throw new Error(`${file.name} does not fit: ${error.message}`);
    }
    const given = beside ? await readCard(beside) : {};
    const scaled = given.pixels_per_degree || given.fov_diameter;
    const card = {
      ...(scaled ? given : shipped.card),
      threshold: given.threshold ?? 0.5,
      expected_f1: given.expected_f1, // that of the shipped weights says nothing of these
    };
    retinaLoaded[file.name] = Promise.resolve({ ...shipped, card, tensors });
    return { name: file.name, card, given: Boolean(beside) };
  }

  async function readCard(file) {
    try {
      return retinaCard(await file.text());
    } catch (error) {
      throw new Error(`The card ${file.name} does not fit: ${error.message}`);
    }
  }

  function stop() {
    worker?.terminate();
    worker = null;
  }

  // The pixels of the photograph are handed over, not copied.
  function run(job, progress) {
    return new Promise((resolve, reject) => {
      const text = new Blob([retinaWorkerText()], { type: "text/javascript" });
      const address = URL.createObjectURL(text);
      worker = new Worker(address);
      URL.revokeObjectURL(address);
      worker.onerror = (event) => reject(new Error(event.message || "the memory does not suffice"));
      worker.onmessage = ({ data }) => {
        if (data.error) reject(new Error(data.error));
        else if (data.result) resolve(data.result);
        else progress(data.progress);
      };
      worker.postMessage(job, [job.photo.pixels.buffer]);
    });
  }

  return { fromBase64, kernel, load, adopt, stop, run };
}
