"""What must stand in several files stands there equally, and the files say what is so."""

import re
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from run_notebooks import ROOT, in_normal_form
from set_address import PLACES, current, set_address

import retina_course

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if re.match(r"[A-Za-z]", line)]


PACKAGE = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
PINNED = {canonicalize_name(pin.name): pin for pin in requirements("constraints.txt")}


def test_version_is_the_same_everywhere():
    assert CITATION["version"] == retina_course.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.M)[1] == retina_course.__version__


def addresses(root: Path) -> dict[str, set[str]]:
    """The repository's address as each place gives it."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    readme = (root / "README.md").read_text(encoding="utf-8")
    return {
        "pyproject.toml": set(pyproject["project"]["urls"].values()),
        "CITATION.cff": {citation["repository-code"]},
        "README.md": set(re.findall(r"Repository: <(.*)>", readme)),
        **{
            path.name: set(re.findall(r"git\+(https:[^\s\"'@]+)", path.read_text(encoding="utf-8")))
            for path in (root / "notebooks").glob("*.ipynb")
        },
    }


def test_address_is_the_same_everywhere():
    for place, found in addresses(ROOT).items():
        assert found == {current()}, place


@pytest.fixture
def copy(tmp_path):
    for path in (path for place in PLACES for path in ROOT.glob(place)):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


def test_one_command_changes_the_address(copy):
    old = current(copy)
    set_address("https://github.com/some-eye/another.name", copy)
    assert current(copy) == "https://github.com/some-eye/another.name"
    for place, found in addresses(copy).items():
        assert found == {current(copy)}, place
    for path in (path for path in copy.rglob("*") if path.is_file()):
        assert old not in path.read_text(encoding="utf-8"), path
        assert path.suffix != ".ipynb" or in_normal_form(path)
    set_address(old, copy)
    for path in (path for path in copy.rglob("*") if path.is_file()):
        assert path.read_bytes() == (ROOT / path.relative_to(copy)).read_bytes()


@pytest.mark.parametrize("wrong", ["github.com/a/b", "https://github.com/a", "https://x.org/a/b"])
def test_wrong_address_is_refused(copy, wrong):
    with pytest.raises(ValueError, match="https://github.com/owner/name"):
        set_address(wrong, copy)


def test_package_has_lower_bounds_only():
    """An upper bound on torch would make Colab replace its own."""
    for requirement in PACKAGE:
        assert [bound.operator for bound in requirement.specifier] == [">="], requirement


def test_constraints_pin_every_requirement_to_one_allowed_version():
    for requirement in [*PACKAGE, *requirements("requirements.txt")]:
        pin = PINNED[canonicalize_name(requirement.name)]
        (bound,) = pin.specifier
        assert bound.operator == "=="
        assert requirement.specifier.contains(bound.version), requirement


def test_constraints_suit_every_machine():
    for pin in PINNED.values():
        assert pin.url is None
        assert "+" not in str(pin.specifier)


def test_every_data_file_of_the_package_is_installed():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["retina_course"]
    package = ROOT / "retina_course"
    for path in package.rglob("*"):
        name = path.relative_to(package).as_posix()
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_every_page_and_notebook_is_in_the_table_of_contents():
    listed = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    assert sorted(listed) == sorted(
        path.relative_to(ROOT).with_suffix("").as_posix() for path in pages
    )


def test_no_file_names_a_path_of_one_machine():
    path_of_one_machine = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|work|farm)/\w")
    for folder in ("book", "retina_course", "benchmarks", "tools", "tests", ".github", ".ci", "."):
        for path in (ROOT / folder).glob("**/*" if folder != "." else "*"):
            if path.is_file() and path.suffix in (".md", ".py", ".json", ".toml", ".yml", ".txt"):
                text = path.read_text(encoding="utf-8")
                assert not path_of_one_machine.search(text), path
