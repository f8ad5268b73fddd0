// What the page computes with: networks, loaded when they are first chosen, and a worker for each run.
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
  const models = {};
  function load(name) {
    models[name] ??= new Promise((resolve, reject) => {
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
    return models[name];
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

  return { fromBase64, kernel, load, stop, run };
}
