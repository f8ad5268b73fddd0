"""PNG files with colours of 16 bits, which Pillow does not write."""

import struct
import zlib

import numpy as np
from PIL import Image


def png16(colours: np.ndarray, orientation: int = 1) -> bytes:
    """A file with the pixels `(H, W, 3 or 4)` uint16."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, channels = colours.shape
    exif = Image.Exif()
    exif[0x0112] = orientation
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"eXIf", exif.tobytes()[6:]),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
