"""The picture in CONTRIBUTING.md is what is so: rooms, direction of imports, length of files."""

import ast
import re
import subprocess
import sys
import warnings
from importlib import import_module

import pytest
from run_notebooks import ROOT

import retina_course
from retina_course import _old_paths

PACKAGE = ROOT / "retina_course"
# A room may import from itself, and from the rooms of the lines below its own.
LEVELS = [
    {"cli"},
    {"figures", "measurement"},
    {"evaluation", "training"},
    {"inference"},
    {"weights"},
    {"data"},
    {"results", "models", "shapes"},
]
LEVEL = {room: i for i, rooms in enumerate(LEVELS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))
IN_ROOMS = [path for path in FILES if path.parent != PACKAGE]


def imported(path):
    """The modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def may_import(room: str, other: str) -> bool:
    return room == other or LEVEL[other] > LEVEL[room]


def test_every_folder_of_the_package_is_a_room():
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in IN_ROOMS}
    assert folders == set(LEVEL)


@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_downward(path):
    room = path.relative_to(PACKAGE).parts[0]
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "retina_course":
            assert rest[0] in LEVEL or name == "retina_course.__version__", name
            assert rest[0] not in LEVEL or may_import(room, rest[0]), f"{room} imports {name}"


def test_the_check_of_imports_can_fail():
    assert not may_import("models", "data")
    assert not may_import("training", "evaluation")
    assert may_import("cli", "models")


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=lambda p: p.name)
def test_a_model_file_imports_torch_and_models_alone(path):
    if path.name != "__init__.py":
        for name in imported(path):
            if name.startswith("retina_course"):
                assert name.split(".")[1] == "models", name


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_no_file_is_longer_than_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_import_of_the_package_loads_nothing_heavy():
    code = "import sys, retina_course; print(*{m.split('.')[0] for m in sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "scipy", "skimage", "sklearn", "matplotlib", "PIL"}
    assert heavy & set(out.stdout.split()) == set()


@pytest.mark.parametrize("name", retina_course.__all__)
def test_every_name_of_the_stub_can_be_imported_from_the_top(name):
    assert getattr(retina_course, name).__name__.split(".")[-1] == name


def test_the_documented_calls_import_without_a_warning():
    code = (
        "from retina_course import plotting as plotter, LinkNet, DiceLoss, IoU, Train, Evaluate\n"
        "from retina_course import create_model, fit, segment\n"
        "plotter.plot([1.0], [1.0])"
    )
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", "-c", code], check=True)


@pytest.mark.parametrize("old", _old_paths.MOVED)
def test_an_old_path_hands_on_the_names_of_its_new_places_with_a_warning(old):
    sys.modules.pop(f"retina_course.{old}", None)
    with pytest.warns(DeprecationWarning, match=re.escape(f"retina_course.{old} is now")):
        module = import_module(f"retina_course.{old}")
    for new in _old_paths.MOVED[old]:
        place = import_module(f"retina_course.{new}")
        own = getattr(place, "__all__", None) or [
            name
            for name, thing in vars(place).items()
            if getattr(thing, "__module__", None) == place.__name__ and not name.startswith("_")
        ]
        assert own and all(hasattr(module, name) for name in own)


def test_a_module_that_never_was_is_not_found():
    with warnings.catch_warnings(), pytest.raises(ModuleNotFoundError):
        import_module("retina_course.nothing")
