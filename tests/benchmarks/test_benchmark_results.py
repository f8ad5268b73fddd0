"""`make results`: what makes a stored result stale, and what does not, on small made files."""

import json
import sys

import pytest
import torch

from benchmarks import results
from benchmarks.common import datasets, digests, files, provenance
from benchmarks.common.index import read_program

PROGRAM = '''"""A program."""

from benchmarks.common.helper import double
from benchmarks.common.index import Program
from retina_course.room import used

PROGRAM = Program(
    __file__,
    question="Is it so?",
    results=("answer.json",),
    also=("book/*.png",),
    commands=("python -m benchmarks.lessons.program",),
    data=("CHASE_DB1",),
    inputs=("retina_course/weights/*.json",),
)
'''
HELPER = '''"""Help."""


def double(x):
    """Twice x."""
    return 2 * x
'''
FILES = {
    "benchmarks/lessons/program.py": PROGRAM,
    "benchmarks/common/helper.py": HELPER,
    "benchmarks/common/index.py": "Program = dict\n",
    "retina_course/__init__.py": "",
    "retina_course/room/__init__.py": "from retina_course.room.one import used\n"
    "from retina_course.room.two import unused\n",
    "retina_course/room/one.py": "used = 1\n",
    "retina_course/room/two.py": "unused = 2\n",
    "retina_course/weights/a.json": "{}",
    "book/a.png": "",
}
CODE = {
    "benchmarks/common/helper.py",
    "benchmarks/lessons/program.py",
    "retina_course/room/one.py",
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A small repository whose one result is fresh."""
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    monkeypatch.setattr(datasets, "digest_here", lambda name: "d")
    source = {
        "commit": "c" * 40,
        "code": digests.of_code(tmp_path / "benchmarks/lessons/program.py", tmp_path),
        "inputs": digests.of_files(["retina_course/weights/*.json"], tmp_path),
        "data": {"CHASE_DB1": "d"},
    }
    store(tmp_path, source)
    return tmp_path


def store(house, source):
    path = house / results.FOLDER / "answer.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"runs": [{"value": 1, "provenance": source}]}))


def edit(house, file, old, new):
    text = (house / file).read_text()
    assert old in text
    (house / file).write_text(text.replace(old, new))


def only(house):
    (status,) = results.statuses(house)
    return status[1:]


def test_only_the_code_that_is_used_counts(house):
    assert set(digests.of_code(house / "benchmarks/lessons/program.py", house)) == CODE
    assert only(house) == ("answer.json", "fresh", "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("benchmarks/common/helper.py", "2 * x", "3 * x"),
        ("retina_course/room/one.py", "used = 1", "used = 1.5"),
        ("benchmarks/lessons/program.py", "import used\n", "import used\n\nSTEPS = 3\n"),
        ("retina_course/weights/a.json", "{}", '{"threshold": 0.4}'),
    ],
)
def test_a_change_of_what_is_used_makes_it_stale(house, file, old, new):
    edit(house, file, old, new)
    assert only(house) == ("answer.json", "stale", file)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("benchmarks/common/helper.py", "    return 2 * x", "    # why\n    return (2 * x)"),
        ("benchmarks/common/helper.py", "Twice x.", "Two times x."),
        ("benchmarks/common/helper.py", '    """Twice x."""\n', ""),
        ("benchmarks/lessons/program.py", "Is it so?", "Is it really so?"),
        ("benchmarks/common/index.py", "dict", "list"),
        ("retina_course/room/two.py", "unused = 2", "unused = 3"),
    ],
)
def test_words_and_what_is_not_used_change_nothing(house, file, old, new):
    edit(house, file, old, new)
    assert only(house) == ("answer.json", "fresh", "")


def test_a_new_import_and_a_file_that_is_gone_are_named(house):
    edit(house, "retina_course/room/one.py", "used = 1", "from retina_course.room.two import *")
    (house / "retina_course/weights/a.json").unlink()
    names = ("retina_course/room/one.py", "retina_course/room/two.py")
    assert only(house) == (
        "answer.json",
        "stale",
        ", ".join([*names, "retina_course/weights/a.json"]),
    )


def test_other_data_make_it_stale_and_absent_data_are_said(house, monkeypatch):
    monkeypatch.setattr(datasets, "digest_here", lambda name: "e")
    assert only(house) == ("answer.json", "stale", "the dataset CHASE_DB1")
    monkeypatch.setattr(datasets, "digest_here", lambda name: None)
    assert only(house) == ("answer.json", "fresh", "CHASE_DB1 not here, not compared")


def test_a_result_from_before_is_stale_and_its_commit_named(house):
    store(house, {"commit": "0123456789" * 4})
    assert only(house)[1:] == ("stale", "made at 0123456789, before code was recorded")
    (house / results.FOLDER / "answer.json").write_text("{}")
    assert only(house)[1:] == ("stale", "without provenance")


def test_what_was_tried_beside_a_result_does_not_count(house):
    path = house / results.FOLDER / "answer.json"
    tried = {"variants": [{"provenance": {"commit": "0" * 40}}]}
    path.write_text(json.dumps(json.loads(path.read_text()) | tried))
    assert only(house)[1] == "fresh"


def test_missing_and_foreign_files_are_listed(house, capsys):
    (house / results.FOLDER / "answer.json").unlink()
    (house / "book/a.png").unlink()
    (house / results.FOLDER / "foreign.jpg").touch()
    (house / results.FOLDER / "tables.py").touch()  # the package's own code
    found = list(results.statuses(house))
    assert [one[:3] for one in found] == [
        ("lessons/program", "answer.json", "missing"),
        ("lessons/program", "book/*.png", "missing"),
        ("", "foreign.jpg", "unknown"),
    ]
    results.show(found)
    assert capsys.readouterr().out.splitlines()[-1] == "2 missing, 1 unknown"


def test_the_repository_has_every_kind_of_file_in_its_list(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["results"])
    results.main()
    listed = capsys.readouterr().out
    assert "scores/leaderboard" in listed and "unknown" not in listed


def test_commands_run_in_their_order_until_one_fails(house, monkeypatch, capsys):
    program = read_program(house / "benchmarks/lessons/program.py")
    commands = ["print(1)", "raise SystemExit(3)", "print(2)"]
    object.__setattr__(program, "commands", tuple(f'python -c "{text}"' for text in commands))
    assert not results.run_commands(program)
    assert capsys.readouterr().out.count("$ python") == 2


def test_a_name_that_no_program_has_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["results", "--run", "lessons/unpolling"])
    with pytest.raises(SystemExit):
        results.main()
    assert "no program 'lessons/unpolling'" in capsys.readouterr().err


def test_only_what_is_not_fresh_is_run(monkeypatch, house, capsys):
    program = read_program(house / "benchmarks/lessons/program.py")
    ran = []
    monkeypatch.setattr(results, "programs", lambda root=house: [program])
    monkeypatch.setattr(results, "statuses", lambda: iter(()))
    monkeypatch.setattr(results, "run_commands", lambda one: ran.append(one.name) or True)
    monkeypatch.setattr(results.index, "write", lambda: [])
    assert results.run("stale") == 0 and ran == []
    assert results.run("lessons/program") == 0 and ran == ["lessons/program"]
    stale = results.Status("lessons/program", "answer.json", "stale")
    monkeypatch.setattr(results, "statuses", lambda: iter((stale,)))
    assert results.run("stale") == 0 and len(ran) == 2


def test_provenance_says_what_a_result_depends_on(monkeypatch):
    (program,) = [p for p in results.programs() if p.name == "analysis/conventions"]
    monkeypatch.setattr(datasets, "digest", lambda name: f"digest of {name}")
    source = provenance.provenance(torch.device("cpu"), program, since=0)
    assert (
        source["code"][program.file] and source["inputs"]["retina_course/weights/unet_small.json"]
    )
    assert "retina_course/evaluation/metrics.py" in source["code"]
    assert not any(file.startswith("tests/") for file in source["code"])
    assert source["data"] == {"CHASE_DB1": "digest of CHASE_DB1"} and source["seconds"] > 0
    monkeypatch.setattr(datasets, "digest_here", lambda name: f"digest of {name}")
    assert results.changes(program, {"provenance": source}) == []


def test_a_finished_run_is_made_again_only_by_other_code(tmp_path):
    made = []

    def run():
        made.append(1)
        return {"n": len(made)}

    file = tmp_path / "runs" / "one.json"
    assert files.once(file, {"a.py": "1"}, run) == {"n": 1}
    assert files.once(file, {"a.py": "1"}, run) == {"n": 1}
    assert files.once(file, {"a.py": "2"}, run) == {"n": 2}
