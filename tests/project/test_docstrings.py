"""The public docstrings: numpydoc's form, complete, with the errors raised, and examples that run.

The rules of form stand in pyproject.toml under `tool.numpydoc_validation`. The examples run as
doctests (`--doctest-modules`).
"""

import ast
import inspect
import pkgutil
import textwrap
import tomllib
from importlib import import_module

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate
from run_notebooks import ROOT
from torch import nn

import retina_course

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHECKS = set(PYPROJECT["tool"]["numpydoc_validation"]["checks"])


def modules() -> list[str]:
    found = pkgutil.walk_packages(retina_course.__path__, "retina_course.")
    return [m.name for m in found if not {"cli", "__main__", "_old_paths"} & set(m.name.split("."))]


def public() -> list[str]:
    """Functions and classes without an underscore, where they are defined, and their methods."""
    names = []
    for module in modules():
        for name, thing in vars(import_module(module)).items():
            is_own = getattr(thing, "__module__", None) == module and not name.startswith("_")
            if is_own and (inspect.isfunction(thing) or inspect.isclass(thing)):
                names.append(f"{module}.{name}")
                if inspect.isclass(thing):
                    names += [f"{module}.{name}.{method}" for method in methods(thing)]
    return names


def methods(cls: type) -> list[str]:
    """The public methods that a class defines; a network's `forward` is what its class says.

    A method of another module is generated: matplotlib gives each subclass of Figure a `set`. One
    without a docstring does what that of its base class says (`inspect.getdoc` finds it there).
    """
    hidden = {"forward"} if issubclass(cls, nn.Module) else set()
    return [
        name
        for name, thing in vars(cls).items()
        if inspect.isfunction(thing) and not name.startswith("_") and name not in hidden
        if thing.__module__ == cls.__module__
        if thing.__doc__ or not inspect.getdoc(getattr(cls, name))
    ]


def get(path: str):
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            thing = import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise ImportError(path)


def raised(thing) -> set[str]:
    """The names of the errors in the `raise` statements of a function, or of a class's methods."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    bodies = [tree]
    if inspect.isclass(thing):  # what its making and calling raise
        own = ("__init__", "__post_init__", "__call__", "forward")
        bodies = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in own]
    calls = [node.exc for body in bodies for node in ast.walk(body) if isinstance(node, ast.Raise)]
    return {c.func.id for c in calls if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)}


every_public_thing = pytest.mark.parametrize("path", public())


@every_public_thing
def test_docstring_has_the_form_of_numpydoc(path):
    problems = validate(path)["errors"]
    assert [f"{code} {text}" for code, text in problems if code in CHECKS] == []


@every_public_thing
def test_docstring_names_every_error_that_is_raised(path):
    thing = get(path)
    documented = {error.type for error in get_doc_object(thing)["Raises"]}
    documented = {name.strip() for names in documented for name in names.split(",")}
    assert raised(thing) - {"NotImplementedError"} <= documented


TOP = [name for name in retina_course.__all__ if not inspect.ismodule(getattr(retina_course, name))]


@pytest.mark.parametrize("name", TOP)
def test_what_the_package_hands_out_has_an_example(name):
    assert ">>>" in (inspect.getdoc(getattr(retina_course, name)) or "")
