// The pictures of "Look into the network": feature maps as grey images, the vessels on the
// photograph, the frame of a receptive field.
function retinaInsideView() {
  const LARGEST = 960; // pixels of the canvas with the feature maps
  const VESSEL = [86, 228, 255];
  const FRAME = "#ffd500";

  // What is drawn black and white: all values but the half percent at both ends, which lie at the
  // border of the field of view and would leave the rest dark.
  function range({ values, height, width }, channel) {
    const step = Math.ceil((height * width) / 10000); // ten thousand of them are enough
    const some = Float32Array.from({ length: Math.floor((height * width) / step) }, (_, i) =>
      values[channel * height * width + i * step]).sort();
    return { low: some[Math.floor(0.005 * some.length)], high: some[Math.ceil(0.995 * some.length) - 1] };
  }

  // Where each channel lies on the canvas: all side by side, or one alone (from 1).
  function tiles({ channels, height, width }, channel) {
    const shown = channel ? [channel - 1] : Array.from({ length: channels }, (_, c) => c);
    const columns = Math.ceil(Math.sqrt(shown.length));
    const scale = Math.min(LARGEST / columns / Math.max(height, width), 8);
    const [tall, wide] = [height, width].map((side) => Math.max(1, Math.floor(side * scale)));
    const gap = shown.length > 1 ? 4 : 0;
    const places = shown.map((c, i) => ({
      c, top: Math.floor(i / columns) * (tall + gap), left: (i % columns) * (wide + gap),
    }));
    const lines = Math.ceil(shown.length / columns);
    return {
      places, tall, wide, height: lines * (tall + gap) - gap, width: columns * (wide + gap) - gap,
    };
  }

  // Draws a map; each channel has its own black and white.
  function drawMap(canvas, map, channel, point) {
    const plan = tiles(map, channel);
    Object.assign(canvas, { width: plan.width, height: plan.height });
    const image = new ImageData(plan.width, plan.height);
    const pixels = new Uint32Array(image.data.buffer);
    const ranges = plan.places.map(({ c, top, left }) => {
      const { low, high } = range(map, c);
      for (let y = 0; y < plan.tall; y++) {
        const from = (c * map.height + Math.floor((y * map.height) / plan.tall)) * map.width;
        for (let x = 0; x < plan.wide; x++) {
          const value = map.values[from + Math.floor((x * map.width) / plan.wide)];
          const grey = high > low ? Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low)))) : 0;
          pixels[(top + y) * plan.width + left + x] = 0xff000000 | (grey * 0x010101);
        }
      }
      return { low, high };
    });
    const context = canvas.getContext("2d");
    context.putImageData(image, 0, 0);
    for (const { top, left } of plan.places) {
      cross(context, left + ((point.x + 0.5) * plan.wide) / map.width, top + ((point.y + 0.5) * plan.tall) / map.height);
    }
    return ranges;
  }

  function cross(context, x, y) {
    context.strokeStyle = FRAME;
    context.lineWidth = 2;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 3 * dx, y + 3 * dy);
      context.lineTo(x + 10 * dx, y + 10 * dy);
    }
    context.stroke();
  }

  // The channel and the pixel of the map at a place of the canvas, or nothing.
  function pixelAt(map, channel, across, down) {
    const plan = tiles(map, channel);
    const [x, y] = [across * plan.width, down * plan.height];
    const hit = plan.places.find(({ top, left }) =>
      x >= left && x < left + plan.wide && y >= top && y < top + plan.tall);
    return hit && {
      channel: hit.c + 1,
      x: Math.floor(((x - hit.left) * map.width) / plan.wide),
      y: Math.floor(((y - hit.top) * map.height) / plan.tall),
    };
  }

  // The image that the network saw, with the vessels that it found and the frame, whose ends are
  // pixels of that image.
  function drawPhoto(canvas, { image, probability, size }, threshold, frame) {
    const [height, width] = size;
    Object.assign(canvas, { width, height });
    const drawn = new ImageData(width, height);
    for (let y = 0, i = 0; y < height; y++) {
      const from = Math.floor((y * image.size[0]) / height) * image.size[1];
      for (let x = 0; x < width; x++, i++) {
        const at = from + Math.floor((x * image.size[1]) / width);
        const vessel = probability[i] >= threshold ? 0.75 : 0;
        for (let c = 0; c < 3; c++) {
          drawn.data[4 * i + c] = (1 - vessel) * 255 * image.planes[c][at] + vessel * VESSEL[c];
        }
        drawn.data[4 * i + 3] = 255;
      }
    }
    const context = canvas.getContext("2d");
    context.putImageData(drawn, 0, 0);
    const [down, across] = size.map((side, i) => side / image.size[i]);
    const [top, bottom] = frame.rows;
    const [left, right] = frame.columns;
    for (const [colour, lineWidth] of [["black", 6], [FRAME, 3]]) { // seen on bright and dark
      Object.assign(context, { strokeStyle: colour, lineWidth });
      context.strokeRect(left * across, top * down, (right - left + 1) * across, (bottom - top + 1) * down);
    }
  }

  // How well two maps agree: 2 |A and B| / (|A| + |B|), and the share of vessel pixels.
  function compare(probability, usual, threshold) {
    let [both, found, before] = [0, 0, 0];
    probability.forEach((p, i) => {
      const [now, then] = [p >= threshold, usual[i] >= threshold];
      found += now;
      before += then;
      both += now && then;
    });
    return { dice: found + before ? (2 * both) / (found + before) : 1, share: found / probability.length };
  }

  return { drawMap, drawPhoto, pixelAt, compare };
}
