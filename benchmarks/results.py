"""Which stored results are fresh, missing or stale, and how to make them again.

    python -m benchmarks.results                          lists every stored result
    python -m benchmarks.results --run lessons/unpooling  runs this program's commands
    python -m benchmarks.results --run stale              runs those of all that are not fresh

A result is fresh where the code that its program imports, the stored files that it reads and its
datasets have the digests that stand in its provenance. Comments and docstrings do not count.
Programs that keep what is finished (scores/, throughput, time_to_f1) keep stale rows, too: delete
the file, or the run under runs/, to have it made again. After a run the index is written again.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import index
from benchmarks.common import datasets, digests
from benchmarks.common.files import ROOT, read_json
from benchmarks.common.index import Program, programs
from benchmarks.common.provenance import sources

FOLDER = "retina_course/results"
NO_RESULTS = (".py", ".pyc", ".pyi")


class Status(NamedTuple):
    """One stored result: "fresh", "stale", "missing" or "unknown", and why."""

    program: str
    file: str
    state: str
    why: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", metavar="PROGRAM", help="a program by its name, or stale")
    wanted = parser.parse_args().run
    if wanted is None:
        show(list(statuses()))
        return
    names = [program.name for program in programs()]
    if wanted not in [*names, "stale"]:
        parser.error(f"no program {wanted!r}; there are {', '.join(names)}")
    raise SystemExit(run(wanted))


def show(found: list[Status]) -> None:
    width = max(len(one.program) for one in found)
    for one in found:
        print(
            f"{one.state:8}{one.program:{width}}  {one.file}" + (f": {one.why}" if one.why else "")
        )
    counts = Counter(one.state for one in found)
    print(", ".join(f"{n} {state}" for state, n in sorted(counts.items())))


def run(wanted: str) -> int:
    """Run the commands of one program, or of all that are not fresh; returns how many failed."""
    old = {one.program for one in statuses() if one.state in ("stale", "missing")}
    chosen = [p for p in programs() if p.name == wanted or wanted == "stale" and p.name in old]
    failed = [program.name for program in chosen if not run_commands(program)]
    index.write()
    ran = {program.name for program in chosen}
    show([one for one in statuses() if one.program in ran] or [Status(wanted, "", "fresh")])
    if failed:
        print("Failed, see above: " + ", ".join(failed))
    return len(failed)


def run_commands(program: Program) -> bool:
    """Whether all commands of a program ended well; the first that does not is the last."""
    for command in program.commands:
        print(f"$ {command}", flush=True)
        python, *arguments = shlex.split(command)
        if subprocess.run([sys.executable, *arguments], cwd=ROOT, env=os.environ).returncode:
            return False
    return True


def statuses(root: Path = ROOT) -> Iterator[Status]:
    """All declared results, program by program, then the files that no program declares."""
    known = set()
    for program in programs(root):
        for pattern in program.results:
            files = sorted((root / FOLDER).glob(pattern))
            known |= set(files)
            if not files:
                yield Status(program.name, pattern, "missing")
            for file in files:
                why = changes(program, read_json(file), root)
                state = "stale" if why else "fresh"
                absent = [name for name in program.data if datasets.digest_here(name) is None]
                why = why or [f"{name} not here, not compared" for name in absent]
                yield Status(program.name, shown(file, root), state, ", ".join(why))
        for pattern in program.also:
            files = sorted(root.glob(pattern))
            known |= set(files)
            if not files:
                yield Status(program.name, pattern, "missing")
    stored = (path for path in sorted((root / FOLDER).rglob("*")) if path.is_file())
    for path in stored:
        if path not in known and path.suffix not in NO_RESULTS:
            yield Status("", shown(path, root), "unknown", "no program declares it")


def changes(program: Program, content: dict, root: Path = ROOT) -> list[str]:
    """Why a stored result is stale: its commit, or what has changed since; empty where fresh."""
    origins = list(sources(content))
    if not origins:
        return ["without provenance"]
    if before := {s["commit"][:10] + s["commit"][40:] for s in origins if "code" not in s}:
        return [f"made at {', '.join(sorted(before))}, before code was recorded"]
    found = set()
    for source in origins:
        then = source["code"] | source.get("inputs", {})
        now = digests.of_code(root / program.file, root)
        now |= digests.of_files([*program.inputs, *source.get("inputs", {})], root)
        found |= {file for file in {*now, *then} if now.get(file) != then.get(file)}
        for name, digest in source.get("data", {}).items():
            if datasets.digest_here(name) not in (digest, None):
                found.add(f"the dataset {name}")
    return sorted(found)


def shown(file: Path, root: Path) -> str:
    return file.relative_to(root / FOLDER).as_posix()


if __name__ == "__main__":
    main()
