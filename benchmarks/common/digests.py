"""What a result depends on, as digests: the code that a program imports, and stored files."""

import ast
import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.common.files import ROOT
from benchmarks.common.index import is_program

OURS = ("benchmarks", "retina_course", "tools")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# They write results down and compute none: a change there makes no result stale.
BOOKKEEPING = ("digests", "files", "index", "provenance")
LENGTH = 12  # hexadecimal digits


def of_code(path: Path, root: Path = ROOT) -> dict[str, str]:
    """{file: digest} of a Python file and of all that it imports from this repository.

    Imports are found without running anything, also those inside functions. A name that a
    package's `__init__` only hands on leads to the file that defines it.
    """
    root = root.resolve()
    skipped = {root / "benchmarks" / "common" / f"{name}.py" for name in BOOKKEEPING}
    found: dict[Path, str] = {}
    waiting = [path.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found and file not in skipped:
            found[file] = digest(file)
            waiting += imported(file, root)
    return {file.relative_to(root).as_posix(): found[file] for file in sorted(found)}


def of_files(patterns: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """{file: digest} of the files that the patterns name, from the repository's root."""
    found = sorted({path for pattern in patterns for path in root.glob(pattern)})
    return {path.relative_to(root).as_posix(): digest(path) for path in found if path.is_file()}


def digest(path: Path) -> str:
    """A short SHA-256 of what a file does.

    For Python that is its syntax tree, so that comments, docstrings, line breaks and the entry in
    the index do not count; for a notebook, the sources of its code cells; else all bytes.
    """
    return _digest(path, path.stat().st_mtime_ns)


@functools.cache
def _digest(path: Path, changed: int) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        content = json.dumps(_plain(_without_docstrings(ast.parse(content)))).encode()
    elif path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(content)["cells"] if c["cell_type"] == "code"]
        content = json.dumps(cells).encode()
    return hashlib.sha256(content).hexdigest()[:LENGTH]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    tree.body = [node for node in tree.body if not is_program(node)]
    return tree


def _plain(node: object) -> object:
    """A syntax tree as lists; empty fields are left out, since Python's versions differ there."""
    if isinstance(node, ast.AST):
        fields = ast.iter_fields(node)
        return [type(node).__name__, *([k, _plain(v)] for k, v in fields if v not in (None, []))]
    return [_plain(one) for one in node] if isinstance(node, list) else repr(node)


def imported(path: Path, root: Path) -> set[Path]:
    """The files of this repository that a file imports."""
    found = {find(*names, root) for names in _imports(path, path.stat().st_mtime_ns)}
    return {file for file in found if file is not None}


@functools.cache
def _imports(path: Path, changed: int) -> list[tuple[str, str | None]]:
    """Module and name of each import of a file: many programs import the same files."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return found


def find(module: str, name: str | None, root: Path) -> Path | None:
    """The file that `from module import name` leads to; None where it is not of this repository."""
    if module.split(".")[0] not in OURS:
        return None
    place = root.joinpath(*module.split("."))
    if name and (inner := _module(place / name)):
        return inner
    file = _module(place)
    if file is None or file.name != "__init__.py":
        return file
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return find(node.module, alias.name, root)
    return file


def _module(place: Path) -> Path | None:
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
