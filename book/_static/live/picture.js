// Picture files: from a file to pixels as the package reads them, and from rows to a PNG file.
function retinaPicture() {
  // Colour profiles are taken out, because browsers would change the colours by them, and the
  // networks were trained without.
  const PROFILES = ["iCCP", "sRGB", "gAMA", "cHRM", "cICP"];

  function join(parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  const letters = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

  // A JPEG file is a list of segments until the pixels begin (mark 0xDA).
  function withoutJpegProfile(bytes, view) {
    const kept = [bytes.subarray(0, 2)];
    let at = 2;
    while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
      const end = at + 2 + view.getUint16(at + 2);
      const profile = bytes[at + 1] === 0xe2 && letters(bytes, at + 4, at + 15) === "ICC_PROFILE";
      if (!profile) kept.push(bytes.subarray(at, end));
      at = end;
    }
    return join([...kept, bytes.subarray(at)]);
  }

  // A PNG file is a list of chunks: length, name, content, checksum.
  function withoutPngProfile(bytes, view) {
    const kept = [bytes.subarray(0, 8)];
    for (let at = 8; at + 12 <= bytes.length; ) {
      const end = at + 12 + view.getUint32(at);
      if (!PROFILES.includes(letters(bytes, at + 4, at + 8))) kept.push(bytes.subarray(at, end));
      at = end;
    }
    return join(kept);
  }

  const isPng = (bytes) => letters(bytes, 1, 4) === "PNG";
  const isWebp = (bytes) => letters(bytes, 0, 4) === "RIFF" && letters(bytes, 8, 12) === "WEBP";

  // A WebP file is a list of chunks as well: name, length, content, filled up to an even length.
  function webpChunks(bytes, view) {
    const chunks = [];
    for (let at = 12; at + 8 <= bytes.length; ) {
      const end = at + 8 + view.getUint32(at + 4, true);
      chunks.push({ name: letters(bytes, at, at + 4), all: bytes.subarray(at, end + (end % 2)), content: bytes.subarray(at + 8, end) });
      at = end + (end % 2);
    }
    return chunks;
  }

  // The EXIF chunk is taken out, too: `decode` turns the picture, and no browser shall do it again.
  function withoutWebpProfile(bytes, view) {
    const kept = webpChunks(bytes, view).filter(({ name }) => !["ICCP", "EXIF"].includes(name));
    const file = join([bytes.subarray(0, 12), ...kept.map(({ all }) => all)]);
    new DataView(file.buffer).setUint32(4, file.length - 8, true);
    if (kept[0]?.name === "VP8X") file[20] &= ~0x28; // says which chunks follow
    return file;
  }

  function withoutProfile(bytes) {
    const view = new DataView(bytes.buffer);
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return withoutJpegProfile(bytes, view);
    if (isPng(bytes)) return withoutPngProfile(bytes, view);
    if (isWebp(bytes)) return withoutWebpProfile(bytes, view);
    return bytes;
  }

  // How a WebP file is to be turned, 1 to 8: Chromium turns JPEG and PNG files, but not these.
  function webpOrientation(bytes) {
    let exif = webpChunks(bytes, new DataView(bytes.buffer)).find(({ name }) => name === "EXIF")?.content;
    if (!exif) return 1;
    if (letters(exif, 0, 4) === "Exif") exif = exif.subarray(6); // some programs write it before
    const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
    const little = letters(exif, 0, 2) === "II";
    try {
      const list = view.getUint32(4, little);
      for (let i = 0; i < view.getUint16(list, little); i++) {
        const entry = list + 2 + 12 * i;
        if (view.getUint16(entry, little) !== 0x0112) continue;
        const value = view.getUint16(entry + 8, little);
        return value >= 1 && value <= 8 ? value : 1;
      }
    } catch {} // cut off: as without
    return 1;
  }

  // What a canvas is to do for each orientation; `w` and `h` are the sides of the stored picture.
  const turns = (w, h) => [
    [1, 0, 0, 1, 0, 0], [-1, 0, 0, 1, w, 0], [-1, 0, 0, -1, w, h], [1, 0, 0, -1, 0, h],
    [0, 1, 1, 0, 0, 0], [0, 1, -1, 0, h, 0], [0, -1, -1, 0, h, w], [0, -1, 1, 0, 0, w],
  ];

  // Some browsers hand out invented pixels, against fingerprinting.
  function checkCanvas() {
    const context = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true });
    for (let x = 0; x < 16; x++) {
      context.fillStyle = `rgb(${16 * x}, ${255 - 16 * x}, 128)`;
      context.fillRect(x, 0, 1, 16);
    }
    const { data } = context.getImageData(0, 0, 16, 16);
    for (let i = 0; i < 256; i++) {
      if (data[4 * i] === 16 * (i % 16) && data[4 * i + 1] === 255 - 16 * (i % 16)) continue;
      throw new Error("This browser hides the pixels of pictures (a protection against fingerprinting). Allow canvas data for this page, or use another browser.");
    }
  }

  // { width, height, pixels, deep } of a file; transparent pixels are black. Of the 16 bits of a
  // `deep` file the browser gives the upper 8.
  async function decode(file) {
    checkCanvas();
    const stored = new Uint8Array(await file.arrayBuffer());
    const bytes = withoutProfile(stored);
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([bytes], { type: file.type }), {
        colorSpaceConversion: "none",
        premultiplyAlpha: "none",
        imageOrientation: "from-image",
      });
    } catch {
      throw new Error("The browser cannot read this file: it may be damaged, or no picture. JPEG, PNG and WebP work; convert TIFF and DICOM first.");
    }
    const orientation = isWebp(stored) ? webpOrientation(stored) : 1;
    const sides = [bitmap.width, bitmap.height];
    const [width, height] = orientation >= 5 ? [...sides].reverse() : sides;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    context.setTransform(...turns(...sides)[orientation - 1]);
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const deep = isPng(stored) && stored[24] === 16;
    return { width, height, pixels: context.getImageData(0, 0, width, height).data, deep };
  }

  const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });

  function chunk(name, content) {
    const bytes = join([new Uint8Array(4), new TextEncoder().encode(name), content, new Uint8Array(4)]);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, content.length);
    let crc = 0xffffffff;
    for (let i = 4; i < bytes.length - 4; i++) crc = crcTable[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
    view.setUint32(bytes.length - 4, ~crc >>> 0);
    return bytes;
  }

  // A grey PNG file of 8 or 16 bits; `row(y)` gives whole numbers.
  async function encode(width, height, bits, row) {
    const header = new Uint8Array(13);
    new DataView(header.buffer).setUint32(0, width);
    new DataView(header.buffer).setUint32(4, height);
    header[8] = bits;
    const deflate = new CompressionStream("deflate");
    const packed = new Response(deflate.readable).arrayBuffer();
    const writer = deflate.writable.getWriter();
    for (let y = 0; y < height; y++) {
      const values = row(y);
      const line = new DataView(new ArrayBuffer(1 + (width * bits) / 8)); // begins with the filter, 0
      for (let x = 0; x < width; x++) {
        if (bits === 8) line.setUint8(1 + x, values[x]);
        else line.setUint16(1 + 2 * x, values[x]);
      }
      await writer.write(new Uint8Array(line.buffer));
    }
    await writer.close();
    const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
    const content = new Uint8Array(await packed);
    const parts = [signature, chunk("IHDR", header), chunk("IDAT", content), chunk("IEND", new Uint8Array(0))];
    return new Blob(parts, { type: "image/png" });
  }

  return { decode, encode, withoutProfile };
}
