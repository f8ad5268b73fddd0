"""Compile the kernel of the live page for WebAssembly: `python tools/build_kernel.py`.

It needs clang and lld (Debian: `apt install clang lld`). The book's build does not: what is written
here, the file and the digest of its source, is stored.
"""

import base64
import hashlib
import subprocess
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "book" / "_static" / "live"
COMMAND = (
    "clang --target=wasm32 -O3 -msimd128 -nostdlib -Wl,--no-entry -Wl,--export=convolve "
    "-Wl,--export=add -Wl,--import-memory -Wl,--strip-all -o kernel.wasm"
).split()


def digest(folder: Path = FOLDER) -> str:
    """The digest of the kernel's source and of the command that compiles it."""
    source = (folder / "kernel.c").read_bytes()
    return hashlib.sha256(" ".join(COMMAND).encode() + source).hexdigest()


def build(folder: Path = FOLDER) -> None:
    """Compile `kernel.c`, and write `kernel.js`."""
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run([*COMMAND, folder / "kernel.c"], cwd=temporary, check=True)
        binary = Path(temporary, "kernel.wasm").read_bytes()
    text = base64.b64encode(binary).decode()
    (folder / "kernel.js").write_text(
        "// kernel.c, compiled by tools/build_kernel.py.\n"
        f'const retinaKernel = {{\n  source: "{digest(folder)}",\n  wasm: "{text}",\n}};\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    build()
