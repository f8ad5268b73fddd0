// Where the weights and the feature maps of a network lie in the heap, and what computes there.
function retinaMemory() {
  const PAGE = 65536; // bytes by which WebAssembly memory grows; the first is the kernel's own
  const LEFT = 4; // zeros left of each row
  const LISTS = 4096; // whole numbers that the kernel is handed: planes and taps

  // Around each plane lies a border of zeros, the padding of the convolutions. A row has room for
  // a multiple of 16 columns, because the kernel writes eight or sixteen at a time. Of the three
  // border rows two lie below, so that the plane below can move up by two rows (see `rowsUp`).
  function shape(channels, height, width) {
    const pitch = 16 * Math.ceil(width / 16) + LEFT;
    return { channels, height, width, pitch, size: (height + 3) * pitch };
  }

  // Puts zeros into the border of a map that has been made.
  function clear(heap, { planes, height, width, pitch }) {
    for (const plane of planes) {
      heap.fill(0, plane - pitch - LEFT, plane);
      for (let y = 0; y < height; y++) heap.fill(0, plane + y * pitch + width, plane + (y + 1) * pitch);
      heap.fill(0, plane + height * pitch, plane + (height + 1) * pitch);
    }
  }

  // A step may write over an input that no later step reads, if it has read what it overwrites. An
  // addition and a batch norm read the pixel that they write. A convolution goes from the first row
  // to the last and reads `padding` rows above; its output lies one row higher than those.
  function rowsUp({ kind, stride, padding }) {
    if (kind === "add" || kind === "norm") return 0;
    return kind === "conv" && stride === 1 && padding < 2 ? padding + 1 : Infinity;
  }

  function outputShape(step, from) {
    const channels = from.reduce((sum, map) => sum + map.channels, 0);
    const { height, width } = from[0];
    switch (step.kind) {
      case "conv": {
        const side = (n) => Math.floor((n + 2 * step.padding - step.kernel) / step.stride) + 1;
        return shape(step.channels, side(height), side(width));
      }
      case "transposed":
        return shape(step.channels, 2 * height, 2 * width);
      case "pool":
        return shape(channels, height / 2, width / 2);
      case "norm":
        return shape(channels, height, width);
      case "add":
        return shape(from[0].channels, height, width);
      case "fold":
        return shape(channels * step.side ** 2, height / step.side, width / step.side);
      case "unfold":
        return shape(channels / step.side ** 2, height * step.side, width * step.side);
    }
  }

  // Where everything lies: first the weights, then the maps. `places` are parts of the memory, each
  // needed from step `begin` to step `end`, by one map or by several that write over each other.
  function layout(prepared, height, width) {
    let top = PAGE / 4 + LISTS;
    const steps = prepared.map((step) => {
      const jobs = step.jobs?.map((job) => {
        const weightsAt = top;
        const biasAt = weightsAt + job.weights.length;
        top = biasAt + job.bias.length;
        return { ...job, weightsAt, biasAt };
      });
      return { ...step, jobs };
    });
    const maps = {};
    const places = [];
    const lastReader = (name) => steps.map(({ from }) => from.includes(name)).lastIndexOf(true);
    function choose(name, map, s, old) {
      const place = old?.place ?? { begin: s, up: 0 };
      if (old) place.up += rowsUp(steps[s]);
      else places.push(place);
      place.end = Math.max(s, lastReader(name));
      place.size = map.channels * map.size + place.up * map.pitch;
      maps[name] = { ...map, place, up: place.up };
    }
    choose("x", shape(3, height, width), 0);
    steps.forEach((step, s) => {
      const from = step.from.map((name) => maps[name]);
      const map = outputShape(step, from);
      const fits = ({ place, channels }) => place.end === s && channels === map.channels;
      choose(step.to, map, s, rowsUp(step) < Infinity ? from.find(fits) : undefined);
    });
    top = arrange(places, top);
    for (const map of Object.values(maps)) {
      const plane = map.place.at + (map.place.up - map.up + 1) * map.pitch + LEFT;
      map.planes = Array.from({ length: map.channels }, (_, c) => plane + c * map.size);
    }
    return { steps, maps, clear, bytes: PAGE * Math.ceil((4 * top + 1024) / PAGE) };
  }

  // Gives each place an address from `first` on, and says where the last one ends. The large ones
  // choose first: each takes the lowest gap between those that are needed at the same time.
  function arrange(places, first) {
    const placed = []; // in the order of their addresses
    for (const place of [...places].sort((a, b) => b.size - a.size)) {
      place.at = first;
      for (const other of placed) {
        if (other.end < place.begin || place.end < other.begin) continue;
        if (place.at + place.size <= other.at) break;
        place.at = Math.max(place.at, other.at + other.size);
      }
      placed.push(place);
      placed.sort((a, b) => a.at - b.at);
    }
    return Math.max(...places.map(({ at, size }) => at + size));
  }

  // A function that computes the logits of images of one size. `module` is the compiled kernel;
  // without it the plain functions of network.js do the work.
  function build(network, prepared, height, width, module) {
    const plan = layout(prepared, height, width);
    const memory = module && new WebAssembly.Memory({ initial: plan.bytes / PAGE });
    const heap = new Float32Array(memory ? memory.buffer : plan.bytes / 4);
    for (const job of plan.steps.flatMap((step) => step.jobs ?? [])) {
      heap.set(job.weights, job.weightsAt);
      heap.set(job.bias, job.biasAt);
    }
    const kernel = module ? kernelOf(module, memory) : network;
    return (pixel, look) => {
      plan.maps.x.planes.forEach((plane, c) => {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) heap[plane + y * plan.maps.x.pitch + x] = pixel(c, y, x);
        }
      });
      clear(heap, plan.maps.x);
      const { planes, pitch } = network.run(heap, plan, kernel, look);
      return (y, x) => heap[planes[0] + y * pitch + x];
    };
  }

  // The kernel's functions take what those of network.js take, by addresses in bytes.
  function kernelOf(module, memory) {
    const { convolve, add } = new WebAssembly.Instance(module, { env: { memory } }).exports;
    const lists = new Int32Array(memory.buffer, PAGE, LISTS);
    return {
      convolve(heap, job) {
        const to = [...job.to];
        while (to.length % 4) to.push(to.at(-1));
        const { from, offsets } = job;
        lists.set([...from, ...to, ...offsets]);
        const [toAt, tapsAt] = [PAGE + 4 * from.length, PAGE + 4 * (from.length + to.length)];
        convolve(
          PAGE, from.length, toAt, to.length, 4 * job.weights, 4 * job.bias, tapsAt, offsets.length,
          job.rows, job.columns, job.pitch, job.outPitch, job.step, job.spread, job.relu,
        );
      },
      add(heap, { relu }, [a, b], { planes, height, pitch }) {
        planes.forEach((to, c) => add(4 * a.planes[c], 4 * b.planes[c], 4 * to, height * pitch, relu));
      },
    };
  }

  return { layout, build };
}
