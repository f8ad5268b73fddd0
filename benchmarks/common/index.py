"""What each program says of itself in its `PROGRAM`, read without importing the program."""

import argparse
import ast
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.files import ROOT

ROOMS = ("scores", "analysis", "measurement", "lessons", "speed")
BESIDE = ("gpu/run.py",)  # a program of several files: the others are parts of it


@dataclass(frozen=True)
class Program:
    """One program of benchmarks/.

    Parameters
    ----------
    path : the program's file, `__file__`.
    question : the question that it answers, one plain sentence.
    results : what it writes into retina_course/results/, JSON with provenance; `*` is any name.
    commands : what makes these results, in this order, from the repository's root.
    also : other files that it writes with them, from the repository's root; `*` as above.
    data : the datasets that it reads, by the names of `datasets.DATASETS`.
    inputs : stored files that it reads, from the repository's root; `*` as above.
    hours : about how many on one CPU core, where the stored seconds do not say it.
    needs : packages that the course does not install.
    """

    path: str
    question: str
    results: tuple[str, ...]
    commands: tuple[str, ...]
    also: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    hours: float | None = None
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Room and file, e.g. "lessons/unpooling"."""
        path = Path(self.path)
        return f"{path.parent.name}/{path.stem}"

    @property
    def file(self) -> str:
        """The program's file from the repository's root."""
        return f"benchmarks/{self.name}.py"

    def parser(self, doc: str) -> argparse.ArgumentParser:
        """A command line whose `--help` shows the program's docstring."""
        return argparse.ArgumentParser(
            prog=f"python -m benchmarks.{self.name.replace('/', '.')}",
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )


def read_program(path: Path) -> Program:
    """The `PROGRAM = Program(__file__, ...)` of a file; its other arguments are literals.

    Raises
    ------
    ValueError : the file has none.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if is_program(node):
            literals = {one.arg: ast.literal_eval(one.value) for one in node.value.keywords}
            return Program(str(path), **literals)
    raise ValueError(f"{path} lacks PROGRAM = Program(__file__, question=..., ...).")


def is_program(node: ast.AST) -> bool:
    """Whether a statement is `PROGRAM = ...`."""
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PROGRAM"


def programs(root: Path = ROOT) -> list[Program]:
    """All programs, room by room, by name."""
    files = [path for room in ROOMS for path in sorted((root / "benchmarks" / room).glob("*.py"))]
    files += [path for name in BESIDE if (path := root / "benchmarks" / name).exists()]
    return [read_program(path) for path in files if path.stem != "__init__"]
