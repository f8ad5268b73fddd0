// Where the weights and the feature maps of a network lie in the heap, and what computes there.
function retinaMemory() {
  const PAGE = 65536; // bytes by which WebAssembly memory grows; the first is the kernel's own
  const LEFT = 4; // zeros left of each row
  const LISTS = 4096; // whole numbers that the kernel is handed: planes and taps

  // Around each plane lies a border of zeros, the padding of the convolutions. A row has room for
  // a multiple of 16 columns, because the kernel writes eight or sixteen at a time.
  function shape(channels, height, width) {
    const pitch = 16 * Math.ceil(width / 16) + LEFT;
    return { channels, height, width, pitch, size: (height + 2) * pitch + LEFT };
  }

  function clear(heap, { planes, height, width, pitch, size }) {
    for (const plane of planes) {
      const start = plane - pitch - LEFT;
      heap.fill(0, start, plane);
      for (let y = 0; y < height; y++) heap.fill(0, plane + y * pitch + width, plane + (y + 1) * pitch);
      heap.fill(0, plane + height * pitch, start + size);
    }
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

  // A map takes the first gap that is large enough, and gives it back after the last step that
  // reads it. So the deep maps lie where the wide ones of the first levels were.
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
    const first = top;
    const busy = [];
    const maps = {};
    function place(name, map) {
      const size = map.channels * map.size;
      let at = first;
      let i = 0;
      while (i < busy.length && busy[i].at - at < size) at = busy[i].at + busy[i++].size;
      busy.splice(i, 0, { name, at, size });
      const planes = Array.from({ length: map.channels }, (_, c) => at + c * map.size + map.pitch + LEFT);
      maps[name] = { ...map, planes };
      top = Math.max(top, at + size);
    }
    place("x", shape(3, height, width));
    steps.forEach((step, s) => {
      place(step.to, outputShape(step, step.from.map((name) => maps[name])));
      const later = new Set(steps.slice(s + 1).flatMap((next) => next.from));
      later.add(steps.at(-1).to);
      for (let i = busy.length - 1; i >= 0; i--) if (!later.has(busy[i].name)) busy.splice(i, 1);
    });
    return { steps, maps, clear, bytes: PAGE * Math.ceil((4 * top + 1024) / PAGE) };
  }

  // A function that computes the logits of images of one size. `module` is the compiled kernel;
  // without it the plain convolution of network.js does the work.
  function build(network, prepared, height, width, module) {
    const plan = layout(prepared, height, width);
    const memory = module && new WebAssembly.Memory({ initial: plan.bytes / PAGE });
    const heap = new Float32Array(memory ? memory.buffer : plan.bytes / 4);
    for (const job of plan.steps.flatMap((step) => step.jobs ?? [])) {
      heap.set(job.weights, job.weightsAt);
      heap.set(job.bias, job.biasAt);
    }
    const convolution = module ? kernelOf(module, memory) : network.convolve;
    return (pixel, look) => {
      clear(heap, plan.maps.x);
      plan.maps.x.planes.forEach((plane, c) => {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) heap[plane + y * plan.maps.x.pitch + x] = pixel(c, y, x);
        }
      });
      const { planes, pitch } = network.run(heap, plan, convolution, look);
      return (y, x) => heap[planes[0] + y * pitch + x];
    };
  }

  // The kernel takes what `convolve` of network.js takes, the lists by their addresses in bytes.
  function kernelOf(module, memory) {
    const { convolve } = new WebAssembly.Instance(module, { env: { memory } }).exports;
    const lists = new Int32Array(memory.buffer, PAGE, LISTS);
    return (heap, job) => {
      const to = [...job.to];
      while (to.length % 4) to.push(to.at(-1));
      const { from, offsets } = job;
      lists.set([...from, ...to, ...offsets]);
      const [toAt, tapsAt] = [PAGE + 4 * from.length, PAGE + 4 * (from.length + to.length)];
      convolve(
        PAGE, from.length, toAt, to.length, 4 * job.weights, 4 * job.bias, tapsAt, offsets.length,
        job.rows, job.columns, job.pitch, job.outPitch, job.step, job.spread, job.relu,
      );
    };
  }

  return { layout, build };
}
