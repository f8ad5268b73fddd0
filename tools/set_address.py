"""Give the course another public address, everywhere at once.

    python tools/set_address.py https://github.com/owner/name

The address stands in `_config.yml` (`repository.url`). This program replaces it there and wherever
it was copied to: README and the other pages, package metadata, CITATION.cff and the notebooks. The
published book's address (`html_baseurl`) follows from it, as GitHub Pages gives it. It changes
nothing else; a test keeps all places equal.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
import yaml
from run_notebooks import ROOT, text, write
from standalone import Place

PLACES = ["_config.yml", "*.md", "CITATION.cff", "pyproject.toml", "book/*.md", "notebooks/*.ipynb"]
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)")


def current(root: Path = ROOT) -> str:
    """The address that stands in `_config.yml`."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def published(repository: str) -> str:
    """Where GitHub Pages shows the book of a repository "owner/name"."""
    owner, name = repository.split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def set_address(new: str, root: Path = ROOT) -> list[Path]:
    """Replace the address in all `PLACES` below `root`; the files that have changed.

    Colab's links name owner and repository without the host's name, hence the pattern.
    """
    match = ADDRESS.fullmatch(new.rstrip("/").removesuffix(".git"))
    if not match:
        raise ValueError(f"{new!r} is no address of the form https://github.com/owner/name.")
    old = ADDRESS.fullmatch(current(root))[1]
    pattern = re.compile(rf"(github(?:\.com)?/){re.escape(old)}(?![\w-])")
    base = Place(root / "notebooks" / "any.ipynb").base
    changed = []
    for path in sorted(path for place in PLACES for path in root.glob(place)):
        content = path.read_text(encoding="utf-8")
        replaced = pattern.sub(rf"\g<1>{match[1]}", content).replace(base, published(match[1]))
        if replaced == content:
            continue
        if path.suffix == ".ipynb":  # cell ids follow from the cells' sources
            replaced = text(nbformat.reads(replaced, as_version=4))
        write(path, replaced)
        changed.append(path)
    return changed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Give the course another public address.")
    parser.add_argument("address", help="https://github.com/owner/name")
    options = parser.parse_args(arguments)
    try:
        for path in set_address(options.address):
            print(path.relative_to(ROOT))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
