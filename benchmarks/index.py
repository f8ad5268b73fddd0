"""Write the index of all programs: benchmarks/README.md and the page book/results_index.md.

    python -m benchmarks.index

Both are made of the programs' own `PROGRAM` and of the provenance stored in their results.
"""

import argparse
import ast
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.common.files import RESULTS, ROOT, read_json
from benchmarks.common.index import BESIDE, ROOMS, Program, programs
from benchmarks.common.provenance import sources
from benchmarks.common.readers import readers
from retina_course.data.files import write_atomically

README = """# Benchmarks

The programs behind every number of the book. Each answers one question and writes its results,
with their provenance, into `retina_course/results/`, where the chapters read them.

```bash
make results                          # which results are fresh, missing or stale
make results RUN=lessons/unpooling    # make those of one program again
python -m benchmarks.lessons.unpooling --help
```

Programs run from the repository's root. Those that need photographs find them through
`RETINA_COURSE_DATA` (see `book/setup.md`). A program that was killed goes on when it is started
again. No program imports another: what two of them need stands in `common/`.

{rooms}

This page and `book/results_index.md` are written by `python -m benchmarks.index`.
"""
PAGE = """# Where every number comes from

Each number of the book that a cell does not compute itself was measured by a program of
`benchmarks/` and is stored with its provenance. This page names for each program the question that
it answers, the commands that make its results again, how long they took, and where and when. Hours
are those of the stored runs, or about as many on one CPU core. `make results` says which results
the code or the data have left behind since.

{rooms}
"""


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m benchmarks.index",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    for path in write():
        print(path.relative_to(ROOT))


def write() -> list[Path]:
    """Write both pages; returns where."""
    pages = {"benchmarks/README.md": readme(), "book/results_index.md": page()}
    for file, text in pages.items():
        write_atomically(ROOT / file, text.encode())
    return [ROOT / file for file in pages]


def readme() -> str:
    """benchmarks/README.md: the rooms, and a line for each program."""
    parts = []
    for room, members in by_room().items():
        lines = [
            "| Program | Question | Results | Command |",
            "|---|---|---|---|",
            *(line(program) for program in members),
        ]
        parts.append(f"## {title(room)}\n\n{purpose(room)}\n\n" + "\n".join(lines))
    return README.format(rooms="\n\n".join(parts))


def line(program: Program) -> str:
    link = f"[{program.name}]({program.name}.py)"
    results = ", ".join(f"`{name}`" for name in program.results)
    more = len(program.commands) - 1
    command = f"`{program.commands[0]}`" + (f" and {more} more" if more else "")
    return f"| {link} | {program.question} | {results} | {command} |"


def page() -> str:
    """book/results_index.md: an entry for each program."""
    read = readers(also=[file for program in programs() for file in program.also])
    parts = []
    for room, members in by_room().items():
        entries = [entry(program, read) for program in members]
        parts += [f"## {title(room)}\n\n{purpose(room)}", *entries]
    return PAGE.format(rooms="\n\n".join(parts))


def entry(program: Program, read: dict[str, set[str]]) -> str:
    """The question, commands and facts of one program, narrow enough for a phone."""
    files = [file for pattern in program.results for file in sorted(RESULTS.glob(pattern))]
    contents = [read_json(file) for file in files]
    origins = [source for content in contents for source in sources(content)]
    written = [*files, *(file for pattern in program.also for file in sorted(ROOT.glob(pattern)))]
    pages = sorted(page for page, patterns in read.items() if reads(patterns, written))
    facts = {
        "Results": ", ".join(f"`{name}`" for name in program.results),
        "Read by": ", ".join(f"[](../{page})" for page in pages) or "no page",
        "Takes": hours(program, contents),
        "Needs": ", ".join([*program.data, *(f"`{name}`" for name in program.needs)]),
        "Made": made(origins),
        "Commit": ", ".join(unique(s["commit"][:10] + s["commit"][40:] for s in origins)),
    }
    lines = [f"- {name}: {fact}" for name, fact in facts.items() if fact]
    commands = "\n".join(program.commands)
    return (
        f"### {program.name}\n\n{program.question}\n\n"
        + "\n".join(lines)
        + f"\n\n```bash\n{commands}\n```"
    )


def by_room() -> dict[str, list[Program]]:
    found = programs()
    rooms = dict.fromkeys([*ROOMS, *(name.split("/")[0] for name in BESIDE)])
    return {room: [p for p in found if p.name.startswith(f"{room}/")] for room in rooms}


def title(room: str) -> str:
    return "GPU" if room == "gpu" else room.capitalize()


def purpose(room: str) -> str:
    """What a room is for: the first words of its `__init__.py`."""
    text = (ROOT / "benchmarks" / room / "__init__.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text))


def hours(program: Program, contents: list[dict]) -> str:
    """The stored time where there is one, else the program's own estimate."""
    stored = sum(seconds(content) for content in contents) / 3600
    value = stored or program.hours or 0
    minutes = max(1, round(60 * value))
    text = f"{value:.1f} hours" if value >= 0.95 else f"{minutes} minute" + "s" * (minutes > 1)
    return text if stored else f"about {text}" if value else ""


def seconds(content: object) -> float:
    """All stored `seconds` together; those of a curve's points are no times of their own."""
    if isinstance(content, list):
        return sum(seconds(one) for one in content)
    if not isinstance(content, dict):
        return 0
    own = content.get("seconds", 0)
    inner = sum(seconds(value) for key, value in content.items() if key != "points")
    return inner + (own if isinstance(own, int | float) else 0)


def made(origins: list[dict]) -> str:
    """When and on what, e.g. "2026-11-21 on AMD EPYC"."""
    if not origins:
        return "not yet"
    dates = sorted({source["date"] for source in origins})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{when} on {', '.join(unique(source['device'] for source in origins))}"


def unique(values: Iterable) -> list:
    return list(dict.fromkeys(values))


def reads(patterns: set[str], files: list[Path]) -> bool:
    """Whether one of the files is among what a page reads."""
    places = [file.relative_to(RESULTS if file.is_relative_to(RESULTS) else ROOT) for file in files]
    return any(fnmatch(place.as_posix(), one) for place in places for one in patterns)


if __name__ == "__main__":
    main()
