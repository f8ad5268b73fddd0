// The convolution and the addition of network.js for processors that compute four numbers at a time (WebAssembly
// SIMD). They do the same sums in the same order, so they give the same bits.
//
//   python tools/build_kernel.py
//
// A step of the loop in the middle makes 4 channels x 8 columns of the output: its 8 sums stay in
// registers, each pair of loaded inputs is used for 4 channels, each weight for 8 columns.
// Addresses in `from`, `to` and `taps` count floats, not bytes.
#include <wasm_simd128.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float *at(int index) { return (float *)(index * 4); }

// Four pixels side by side, or every second one of eight.
INLINE v128_t pick(const float *p, int step) {
  v128_t first = wasm_v128_load(p);
  if (step == 1) return first;
  return wasm_i32x4_shuffle(first, wasm_v128_load(p + 4), 0, 2, 4, 6);
}

INLINE void put(float *p, v128_t four, int spread) {
  if (spread == 1) {
    wasm_v128_store(p, four);
    return;
  }
  p[0] = wasm_f32x4_extract_lane(four, 0);
  p[2] = wasm_f32x4_extract_lane(four, 1);
  p[4] = wasm_f32x4_extract_lane(four, 2);
  p[6] = wasm_f32x4_extract_lane(four, 3);
}

// What some of the inputs add to one row of four channels. The row holds the sums so far; `first`:
// it begins with the bias, `last`: the ReLU may follow.
INLINE void add_inputs(const int *from, int inputs, const int *to, const float *weights,
                       const float *bias, const int *taps, int count, int columns, int start,
                       int out, int step, int spread, int first, int relu) {
  v128_t zero = wasm_f32x4_splat(0);
  for (int x = 0; x < columns; x += 8) {
    v128_t left[4], right[4];
    for (int k = 0; k < 4; k++) {
      const float *p = at(to[k] + out + x);
      left[k] = first ? wasm_v128_load32_splat(bias + k) : wasm_v128_load(p);
      right[k] = first ? left[k] : wasm_v128_load(p + 4);
    }
    const float *w = weights;
    for (int i = 0; i < inputs; i++) {
      const float *plane = at(from[i] + start + x * step);
      for (int t = 0; t < count; t++, w += 4) {
        v128_t a = pick(plane + taps[t], step), b = pick(plane + taps[t] + 4 * step, step);
        for (int k = 0; k < 4; k++) {
          v128_t weight = wasm_v128_load32_splat(w + k);
          left[k] = wasm_f32x4_add(left[k], wasm_f32x4_mul(weight, a));
          right[k] = wasm_f32x4_add(right[k], wasm_f32x4_mul(weight, b));
        }
      }
    }
    for (int k = 0; k < 4; k++) {
      float *p = at(to[k] + out + x * spread);
      put(p, relu ? wasm_f32x4_max(left[k], zero) : left[k], spread);
      put(p + 4 * spread, relu ? wasm_f32x4_max(right[k], zero) : right[k], spread);
    }
  }
}

// One row of four channels. Sixteen inputs at a time: the rows of more do not stay in the cache
// for addresses. Where outputs are spread, all inputs at once: such layers are small.
INLINE void row(const int *from, int inputs, const int *to, const float *weights,
                const float *bias, const int *taps, int count, int columns, int relu, int start,
                int out, int step, int spread) {
  int most = spread == 1 ? 16 : inputs;
  for (int i = 0; i < inputs; i += most) {
    int some = inputs - i < most ? inputs - i : most;
    add_inputs(from + i, some, to, weights + 4 * i * count, bias, taps, count, columns, start, out,
               step, spread, i == 0, relu && i + some == inputs);
  }
  // The last eight columns reach beyond the map, where zeros must stand.
  for (int k = 0; k < 4; k++)
    for (int x = columns; x % 8; x++) *at(to[k] + out + x * spread) = 0;
}

void convolve(const int *from, int inputs, const int *to, int outputs, const float *weights,
              const float *bias, const int *taps, int count, int rows, int columns, int pitch,
              int out_pitch, int step, int spread, int relu) {
  for (int y = 0; y < rows; y++) {
    int start = y * step * pitch, out = y * spread * out_pitch;
    for (int o = 0; o < outputs; o += 4) {
      const float *w = weights + o * inputs * count;
#define ROW(COUNT, STEP, SPREAD)                                                              \
  row(from, inputs, to + o, w, bias + o, taps, COUNT, columns, relu, start, out, STEP, SPREAD)
      if (step == 2) ROW(count, 2, 1);
      else if (spread == 2 && count == 1) ROW(1, 1, 2);
      else if (spread == 2) ROW(count, 1, 2);
      else if (count == 9) ROW(9, 1, 1);
      else if (count == 1) ROW(1, 1, 1);
      else ROW(count, 1, 1);
    }
  }
}

// The sum of two planes, with a ReLU if asked for.
void add(const float *one, const float *two, float *to, int count, int relu) {
  for (int i = 0; i < count; i += 4) {
    v128_t sum = wasm_f32x4_add(wasm_v128_load(one + i), wasm_v128_load(two + i));
    wasm_v128_store(to + i, relu ? wasm_f32x4_max(sum, wasm_f32x4_splat(0)) : sum);
  }
}
