"""The index of the benchmarks: made of the programs' own entries, and up to date."""

import json

import pytest
from run_notebooks import ROOT

from benchmarks import index
from benchmarks.common import readers
from benchmarks.common.index import programs, read_program


@pytest.mark.parametrize("file", ["benchmarks/README.md", "book/results_index.md"])
def test_the_stored_page_is_what_the_programs_say(file):
    page = index.readme() if file.startswith("benchmarks") else index.page()
    assert (ROOT / file).read_text(encoding="utf-8") == page, "python -m benchmarks.index"


def test_every_chapter_that_reads_a_result_is_named():
    also = [file for program in programs() for file in program.also]
    read = readers.readers(also)
    assert "unpooling.json" in read["notebooks/08_segnet.ipynb"]
    assert "leaderboard/*.json" in read["notebooks/14_benchmark.ipynb"]
    assert "any_camera_test/*seed0.json" in read["notebooks/15_other_cameras.ipynb"]
    assert "notebook_times.md" in str(read["book/notebook_times.md"])
    page = index.page()
    for name, patterns in read.items():
        assert not patterns or f"[](../{name})" in page


def test_names_that_a_notebook_puts_together(tmp_path):
    source = [
        "from retina_course.evaluation import leaderboard as board\n",
        "try:\n",
        "    import retina_course\n",
        "except ImportError:\n",
        "    %pip install retina-course\n",
        'NAME = "unet_chase_db1"\n',
        "full = results.read(NAME)\n",
        'results.image(f"{NAME}_errors.jpg")\n',
        "[results.read(f'{name}_chase_db1') for name in names]\n",
        'results.by_device("throughput")\n',
        "entries = board.read()\n",
        'other.read("nothing")\n',
        "from retina_course.results import stored\n",
        "from retina_course.results.stored import read_all\n",
        'stored.read("disc_angle")\n',
        'stored.read_all(f"{name}_seed0.json", "any_camera")\n',
        'results.stored.read_all(".json", "averaging")\n',
        'read_all("_part.json")\n',
        'results.equal_budget("unet_small")\n',
    ]
    cells = [{"cell_type": "code", "source": source}, {"cell_type": "markdown", "source": "#"}]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert readers.read_by_notebook(path) == {
        "unet_chase_db1.json",
        "unet_chase_db1_errors.jpg",
        "*_chase_db1.json",
        "throughput/*.json",
        "leaderboard/*.json",
        "disc_angle.json",
        "any_camera/**_seed0.json",
        "averaging/*.json",
        "*_part.json",
        "equal_budget/*.json",
    }


def test_a_program_without_an_entry_is_named(tmp_path):
    path = tmp_path / "new.py"
    path.write_text("print('hello')\n")
    with pytest.raises(ValueError, match="new.py lacks PROGRAM"):
        read_program(path)


def test_hours_are_those_that_are_stored():
    content = {
        "runs": [
            {"seconds": 1800, "points": [{"seconds": 5}]},
            {"provenance": {"seconds": 1800.0}},
        ],
        "settings": {"seconds": "wall clock"},
    }
    program = programs()[0]
    assert index.hours(program, [content, content]) == "2.0 hours"
    assert index.hours(program, [{"seconds": 70}]) == "1 minute"
