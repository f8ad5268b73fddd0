"""The house of benchmarks/: no program imports another, files are short, each has its entry."""

import ast

import pytest
from run_notebooks import ROOT

from benchmarks.common.index import ROOMS, programs

FOLDER = ROOT / "benchmarks"
FILES = sorted(FOLDER.rglob("*.py"))
PROGRAMS = [path for room in ROOMS for path in sorted((FOLDER / room).glob("*.py"))]
COMMON = sorted((FOLDER / "common").glob("*.py"))


def imports(path):
    """The modules that a file imports, with the names: "a.b.name" for `from a.b import name`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: an import that begins with a dot"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def test_every_file_is_in_a_room():
    assert {path.parent.name for path in FILES} == {"benchmarks", "common", "gpu", *ROOMS}
    assert {path.name for path in FOLDER.glob("*.py")} == {"__init__.py", "index.py", "results.py"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_program_imports_no_other(path):
    own = [name for name in imports(path) if name.split(".")[0] == "benchmarks"]
    assert [name for name in own if not name.startswith("benchmarks.common.")] == []
    beside = {other.stem for other in FILES} - {"__init__"}
    assert {name.split(".")[0] for name in imports(path)} & beside == set()


@pytest.mark.parametrize("path", COMMON, ids=lambda path: path.stem)
def test_common_imports_no_program(path):
    own = [name for name in imports(path) if name.split(".")[0] == "benchmarks"]
    assert [name for name in own if not name.startswith("benchmarks.common.")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_file_is_short_and_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_names_of_the_package_are_imported_from_their_rooms(path):
    """Not from the package's top, which loads them lazily: the digests would miss their files."""
    top = [name for name in imports(path) if name.startswith("retina_course.")]
    for name in (name for name in top if name.count(".") == 1):
        assert (ROOT / "retina_course" / name.split(".")[1]).is_dir(), name


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_an_entry_is_complete(program):
    module = f"benchmarks.{program.name.replace('/', '.')}"
    assert program.question.endswith("?") and program.results and program.commands
    assert all(command.split()[:3] == ["python", "-m", module] for command in program.commands)
    text = (ROOT / program.file).read_text(encoding="utf-8")
    assert f"    python -m {module}" in text.split('"""')[1].replace("OMP_NUM_THREADS=1 ", "")


def test_no_result_has_two_programs():
    declared = [name for program in programs() for name in program.results]
    assert len(declared) == len(set(declared))
