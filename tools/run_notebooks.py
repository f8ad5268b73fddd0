"""Run notebooks from the top and store them in one normal form.

    python tools/run_notebooks.py                      all of notebooks/
    python tools/run_notebooks.py notebooks/06_*.ipynb
    python tools/run_notebooks.py --form               run nothing, only store in the normal form
    python tools/run_notebooks.py --check              only say which are not in the normal form

In the normal form nothing depends on who ran the notebook, when and where: no timing, no editor's
metadata, cell ids made from the cells' sources. What remains in a diff is what has changed. It also
has what a notebook needs alone (`standalone.py`), and cells that the book hides are closed in
JupyterLab and Colab.
"""

import argparse
import copy
import hashlib
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
from execution import execute
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from standalone import furnish

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
CELL_METADATA = ("tags", "mystnb")
HIDDEN_INPUT = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
HIDDEN_OUTPUT = {"hide-output", "hide-cell"}


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The same notebook, outputs and all, in the normal form."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        cell.source = cell.source.strip("\n")
        kept = {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
        if cell.cell_type == "code":
            kept |= closed(set(kept.get("tags", [])))
        cell.metadata = nbformat.from_dict(kept)
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def closed(tags: set[str]) -> dict[str, Any]:
    """The metadata by which JupyterLab and Colab close what the book hides."""
    hidden = {
        "source_hidden": bool(tags & HIDDEN_INPUT),
        "outputs_hidden": bool(tags & HIDDEN_OUTPUT),
    }
    metadata: dict[str, Any] = {"cellView": "form"} if hidden["source_hidden"] else {}
    if any(hidden.values()):
        metadata["jupyter"] = {key: True for key, value in hidden.items() if value}
    return metadata


def in_normal_form(path: Path) -> bool:
    """Whether the file is, character by character, what this program would write."""
    content = path.read_text(encoding="utf-8")
    return content == text(furnish(nbformat.reads(content, as_version=4), path))


def text(notebook: NotebookNode) -> str:
    """What stands in the file of this notebook."""
    return nbformat.writes(normalise(notebook)) + "\n"


def write(path: Path, content: str) -> None:
    """Replace the file as a whole, or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(content, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Run notebooks from the top and store them in the normal form."
    )
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    parser.add_argument("--form", action="store_true", help="run nothing, only store")
    parser.add_argument("--check", action="store_true", help="run and change nothing, only look")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(ROOT.glob("notebooks/*.ipynb"))
    if options.check:
        unlike = [path for path in paths if not in_normal_form(path)]
        for path in unlike:
            print(f"{path}: not in the normal form; run tools/run_notebooks.py --form")
        return 1 if unlike else 0
    for path in paths:
        notebook = furnish(nbformat.read(path, as_version=4), path)
        if options.form:
            write(path, text(notebook))
            continue
        start = time.perf_counter()
        try:
            execute(notebook, path.resolve().parent)
        except CellExecutionError as error:
            print(f"{path}: a cell failed, the file is unchanged\n{error}", file=sys.stderr)
            return 1
        write(path, text(furnish(notebook, path)))
        print(f"{path.name}: {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
