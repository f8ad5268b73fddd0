// The forward pass of a network of the course, in plain JavaScript and without
// a library.
//
// `plan` lists the steps of the network (retina_course/weights/plan.py),
// `tensors` its weights. A feature map is a list of planes, one for each
// channel; all planes lie in one array, the heap. To concatenate two maps is to
// read their planes one after the other: nothing is copied.
//
// The page runs this code in a worker, which is made from the function's text.
function retinaNetwork() {
  // A batch norm in eval mode scales and shifts each channel.
  function scaleAndShift(name, eps, tensors) {
    const of = (part) => tensors[`${name}.${part}`].values;
    const scale = Float64Array.from(of("weight"), (w, o) => w / Math.sqrt(of("running_var")[o] + eps));
    const shift = scale.map((s, o) => of("bias")[o] - of("running_mean")[o] * s);
    return { scale, shift };
  }

  // Behind a convolution both can be done to its weights beforehand, so that
  // no batch norm is left. `at` finds a weight.
  function foldNorm(step, tensors) {
    const weight = tensors[`${step.to}.weight`];
    const bias = tensors[`${step.to}.bias`]?.values;
    const [first, second] = weight.shape;
    const transposed = step.kind === "transposed"; // (inputs, outputs, k, k), else the reverse
    const inputs = transposed ? first : second;
    const scale = new Float64Array(step.channels).fill(1);
    const shift = Float64Array.from(scale, (_, o) => (bias ? bias[o] : 0));
    if (step.norm) {
      const norm = scaleAndShift(step.norm, step.eps, tensors);
      for (let o = 0; o < step.channels; o++) {
        scale[o] = norm.scale[o];
        shift[o] = shift[o] * scale[o] + norm.shift[o];
      }
    }
    const k = step.kernel;
    const at = (o, i, y, x) =>
      weight.values[((transposed ? i * second + o : o * second + i) * k + y) * k + x] * scale[o];
    return { inputs, shift, at };
  }

  // A convolution reads, for each output pixel, input pixels at fixed
  // distances: its taps. Those of a 3 x 3 kernel are the nine neighbours.
  function taps(step, away) {
    const found = [];
    for (let ky = 0; ky < step.kernel; ky++) {
      for (let kx = 0; kx < step.kernel; kx++) {
        const [dy, dx] = [away(ky, 0), away(kx, 1)];
        if (Number.isInteger(dy) && Number.isInteger(dx)) found.push({ dy, dx, ky, kx });
      }
    }
    return found;
  }

  // A transposed convolution that doubles the sides is four convolutions: one
  // makes the even rows and even columns of the output, one the odd rows and
  // even columns, and so on.
  function convolutions(step) {
    const { kind, stride, padding } = step;
    if (kind === "conv") {
      const places = taps(step, (k) => k - padding);
      return [{ places, step: stride, spread: 1, row: 0, column: 0 }];
    }
    return [[0, 0], [0, 1], [1, 0], [1, 1]].map((odd) => {
      const places = taps(step, (k, axis) => (odd[axis] + padding - k) / 2);
      return { places, step: 1, spread: 2, row: odd[0], column: odd[1] };
    });
  }

  // The weights in the order in which they are read: blocks of four outputs,
  // inputs, taps, and the four outputs of the block. The last output fills a
  // block that it does not fill alone.
  function pack(step, places, { inputs, shift, at }) {
    const outputs = Math.ceil(step.channels / 4) * 4;
    const output = (o) => Math.min(o, step.channels - 1);
    const weights = new Float32Array(outputs * inputs * places.length);
    let next = 0;
    for (let block = 0; block < outputs; block += 4) {
      for (let i = 0; i < inputs; i++) {
        for (const { ky, kx } of places) {
          for (let k = 0; k < 4; k++) weights[next++] = at(output(block + k), i, ky, kx);
        }
      }
    }
    return { weights, bias: Float32Array.from({ length: outputs }, (_, o) => shift[output(o)]) };
  }

  // All convolutions of a network with their weights: `prepare` is done once
  // for a network.
  function prepare(plan, tensors) {
    return plan.map((step) => {
      if (step.kind === "norm") return { ...step, ...scaleAndShift(step.to, step.eps, tensors) };
      if (step.kind !== "conv" && step.kind !== "transposed") return step;
      const folded = foldNorm(step, tensors);
      const jobs = convolutions(step);
      return { ...step, jobs: jobs.map((job) => ({ ...job, ...pack(step, job.places, folded) })) };
    });
  }

  // One convolution: the heart of it all. Four channels of an output pixel
  // begin with their biases; each tap of each input plane then adds its pixel
  // times four weights. `Math.fround` rounds to 32 bits, as PyTorch does.
  // kernel.c is the same for a processor that computes four numbers at once.
  function convolve(heap, { from, to, weights, bias, offsets, rows, columns, ...job }) {
    const { pitch, outPitch, step, spread, relu } = job;
    const f32 = Math.fround;
    const least = relu ? 0 : -Infinity;
    for (let y = 0; y < rows; y++) {
      for (let o = 0; o < to.length; o += 4) {
        for (let x = 0; x < columns; x++) {
          const here = y * step * pitch + x * step;
          let w = weights + o * from.length * offsets.length;
          let sum0 = heap[bias + o];
          let sum1 = heap[bias + o + 1];
          let sum2 = heap[bias + o + 2];
          let sum3 = heap[bias + o + 3];
          for (let i = 0; i < from.length; i++) {
            for (let t = 0; t < offsets.length; t++, w += 4) {
              const pixel = heap[from[i] + here + offsets[t]];
              sum0 = f32(sum0 + f32(heap[w] * pixel));
              sum1 = f32(sum1 + f32(heap[w + 1] * pixel));
              sum2 = f32(sum2 + f32(heap[w + 2] * pixel));
              sum3 = f32(sum3 + f32(heap[w + 3] * pixel));
            }
          }
          const there = y * spread * outPitch + x * spread;
          heap[to[o] + there] = Math.max(least, sum0);
          if (o + 1 === to.length) continue;
          heap[to[o + 1] + there] = Math.max(least, sum1);
          heap[to[o + 2] + there] = Math.max(least, sum2);
          heap[to[o + 3] + there] = Math.max(least, sum3);
        }
      }
    }
  }

  // The sum of two maps, the end of a residual block. kernel.c has it, too.
  function add(heap, { relu }, [a, b], out) {
    const least = relu ? 0 : -Infinity;
    out.planes.forEach((plane, c) => {
      const [one, two] = [a.planes[c] - plane, b.planes[c] - plane];
      const end = plane + out.height * out.pitch;
      for (let p = plane; p < end; p++) {
        heap[p] = Math.max(least, Math.fround(heap[p + one] + heap[p + two]));
      }
    });
  }

  // The other steps go through the output pixel by pixel; `value` says what
  // stands there.
  function fill(heap, map, value) {
    map.planes.forEach((plane, c) => {
      for (let y = 0; y < map.height; y++) {
        const out = plane + y * map.pitch;
        for (let x = 0; x < map.width; x++) heap[out + x] = value(c, y, x);
      }
    });
  }

  const others = {
    pool(heap, step, [a], out) {
      out.planes.forEach((plane, c) => {
        for (let y = 0; y < out.height; y++) {
          const to = plane + y * out.pitch;
          for (let x = 0, p = a.planes[c] + 2 * y * a.pitch; x < out.width; x++, p += 2) {
            const q = p + a.pitch;
            heap[to + x] = Math.max(heap[p], heap[p + 1], heap[q], heap[q + 1]);
          }
        }
      });
    },
    // A batch norm behind a ReLU: the weights before the ReLU cannot take it.
    norm(heap, { scale, shift }, from, out) {
      const planes = from.flatMap((map) => map.planes);
      out.planes.forEach((plane, c) => {
        const [times, plus, away] = [scale[c], shift[c], planes[c] - plane];
        for (let y = 0, to = plane; y < out.height; y++, to += out.pitch) {
          for (let x = to; x < to + out.width; x++) heap[x] = times * heap[x + away] + plus;
        }
      });
    },
    fold(heap, { side }, [a], out) {
      fill(heap, out, (c, y, x) => {
        const [i, j] = [Math.floor((c % side ** 2) / side), c % side];
        return heap[a.planes[Math.floor(c / side ** 2)] + (y * side + i) * a.pitch + x * side + j];
      });
    },
    unfold(heap, { side }, [a], out) {
      fill(heap, out, (c, y, x) => {
        const inside = (y % side) * side + (x % side);
        const there = Math.floor(y / side) * a.pitch + Math.floor(x / side);
        return heap[a.planes[c * side ** 2 + inside] + there];
      });
    },
  };

  // The whole network, step by step. `layout` (memory.js) has said where each
  // map lies, `kernel` convolves and adds, by the functions above or by those
  // of kernel.c; `look`, if there is one, sees each map when it is made.
  function run(heap, { steps, maps, clear }, kernel, look) {
    const kinds = { ...others, add: kernel.add };
    for (const step of steps) {
      const from = step.from.map((name) => maps[name]);
      const out = maps[step.to];
      if (!step.jobs) kinds[step.kind](heap, step, from, out);
      for (const job of step.jobs ?? []) {
        const start = job.row * out.pitch + job.column;
        kernel.convolve(heap, {
          from: from.flatMap((map) => map.planes),
          to: out.planes.map((plane) => plane + start),
          weights: job.weightsAt,
          bias: job.biasAt,
          offsets: job.places.map(({ dy, dx }) => dy * from[0].pitch + dx),
          rows: out.height / job.spread,
          columns: out.width / job.spread,
          pitch: from[0].pitch,
          outPitch: out.pitch,
          step: job.step,
          spread: job.spread,
          relu: step.relu,
        });
      }
      clear(heap, out);
      look?.(step.to, heap, out);
    }
    return maps[steps.at(-1).to];
  }

  return { prepare, convolve, add, run };
}
