// Reads a safetensors file: the length of a JSON header, the header, the numbers.
function retinaWeights() {
  // 16 bits of a float: sign, five bits of exponent, ten of fraction.
  const powers = Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));
  function fromHalf(bits) {
    const exponent = (bits >> 10) & 31;
    const digits = (bits & 1023) + (exponent ? 1024 : 0);
    return (bits >> 15 ? -digits : digits) * powers[exponent];
  }

  const readers = {
    F32: (buffer) => new Float32Array(buffer),
    F16: (buffer) => new Float32Array(new Uint16Array(buffer)).map(fromHalf),
  };

  // { name: { shape, values } }; whole numbers, which only count batches, are left out.
  return function readTensors(bytes) {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    const tensors = {};
    for (const [name, { dtype, shape, data_offsets: ends }] of Object.entries(header)) {
      if (!readers[dtype]) continue;
      const [begin, end] = ends.map((position) => position + 8 + length);
      tensors[name] = { shape, values: readers[dtype](bytes.slice(begin, end).buffer) };
    }
    return tensors;
  };
}
