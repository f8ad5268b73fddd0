"""Which pages of the book read which stored results, found in their sources."""

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

from benchmarks.common.files import ROOT

READERS = {  # functions of the package that read stored results, and what they read
    "results.read": "{0}.json",
    "results.image": "{0}",
    "results.by_device": "{0}/*.json",
    "results.comparison": "*_chase_db1.json",
    "results.equal_budget": "equal_budget/*.json",
    "results.budget_scores": "equal_budget/*.json",
    "results.equal_compute": "equal_compute/*.json",
    "results.speed": "speed.json",
    "stored.read": "{0}.json",
    "stored.read_all": "{1}/*{0}",
    "leaderboard.read": "leaderboard/*.json",
}


def readers(also: Iterable[str]) -> dict[str, set[str]]:
    """For each notebook and page of the book, what it reads: patterns of file names.

    A pattern begins in retina_course/results/; what a page of `also` shows, in the root.
    """
    found = {
        f"notebooks/{path.name}": read_by_notebook(path)
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    }
    for path in sorted((ROOT / "book").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        found[f"book/{path.name}"] = {file for file in also if shows(path, text, Path(file))}
    return found


def shows(page: Path, text: str, file: Path) -> bool:
    """Whether a page is this file, or has it as a figure, a table or a script."""
    return file.name == page.name or file.suffix != ".md" and file.name in text


def read_by_notebook(path: Path) -> set[str]:
    """What the code cells read; `*` stands for a part of a name that is known only when it runs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    code = re.sub(r"^(\s*)[%!].*", r"\1pass", code, flags=re.M)  # IPython's commands
    nodes = list(ast.walk(ast.parse(code)))
    names = {  # module and name of what the notebook has imported, by the name that it has there
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    texts = {
        node.targets[0].id: node.value.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    found = set()
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            first, *rest = ast.unparse(node.func).split(".")
            called = ".".join([names.get(first, first), *rest])
            pattern = READERS.get(".".join(called.split(".")[-2:]))
            if pattern:
                given = [text_of(argument, texts) for argument in node.args]
                found.add(pattern.format(*given, *[""] * 2).removeprefix("/"))
    return found


def text_of(node: ast.expr, texts: dict[str, object]) -> str:
    """The string that an argument stands for."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        return str(texts.get(node.id, "*"))
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, texts) for part in node.values)
    return text_of(node.value, texts) if isinstance(node, ast.FormattedValue) else "*"
