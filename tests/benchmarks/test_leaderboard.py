"""The benchmark program on synthetic photographs, and the reading of its rows."""

import json
import sys

import pytest
import torch
from stored_keys import keys

from benchmarks.common import documented_linknet, networks, pieces, provenance
from benchmarks.common.files import RESULTS
from benchmarks.scores import leaderboard as program
from retina_course.data.datasets import ChaseDB1
from retina_course.evaluation import leaderboard as board
from retina_course.results import stored
from retina_course.training import loop
from retina_course.weights import load

TINY = {"steps": 120, "crop": 32, "fov_diameter": 64}


@pytest.fixture
def bench(photographs, tmp_path, monkeypatch):
    """The program with two tiny pieces; rows go to a folder of the test."""
    monkeypatch.setenv("RETINA_COURSE_DATA", str(photographs))
    monkeypatch.setattr(program, "ROWS", tmp_path / "leaderboard")
    monkeypatch.setattr(stored, "_FOLDER", tmp_path)
    # Equal to the last bit on a CPU only.
    monkeypatch.setattr(program, "default_device", lambda: torch.device("cpu"))
    tiny = [pieces.Piece("unet_small", seed, "course", TINY) for seed in (0, 1)]
    monkeypatch.setattr(program, "pieces", lambda device: tiny)
    (tmp_path / "leaderboard").mkdir()

    def run(output, *arguments):
        monkeypatch.setattr(sys, "argv", ["leaderboard.py", *arguments, "--output", str(output)])
        program.main()

    return run


def without_times(row: dict) -> dict:
    """The row without its seconds, and without the code, which a long test may see changing."""
    row = {k: v for k, v in row.items() if k not in ("seconds", "provenance", "scored")}
    for name in ("flips", "no_flips"):
        row[name] = {k: v for k, v in row[name].items() if k != "seconds_per_image"}
    return row


def test_a_killed_run_goes_on_and_ends_where_an_uninterrupted_one_does(
    bench, tmp_path, monkeypatch, capsys
):
    saved = loop.save

    def killed(path, step, *rest):
        saved(path, step, *rest)
        if step == 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            bench(tmp_path / "a", "run")
    assert list((tmp_path / "leaderboard").iterdir()) == []
    bench(tmp_path / "a", "run")
    rows = sorted((tmp_path / "leaderboard").iterdir())
    assert len(rows) == 2
    resumed = [without_times(json.loads(row.read_text())) for row in rows]
    written = [row.stat().st_mtime_ns for row in rows]
    capsys.readouterr()
    bench(tmp_path / "a", "run")  # nothing is done twice
    assert capsys.readouterr().out.count("finished") == 2
    assert [row.stat().st_mtime_ns for row in rows] == written

    for piece in (tmp_path / "a").iterdir():
        _, card = load(piece / "weights.safetensors")
        assert card["threshold"] in [row["flips"]["threshold"] for row in resumed]
        assert len(list(piece.glob("Image_*.png"))) == 20

    rows[0].unlink()  # that of the piece that was killed
    bench(tmp_path / "b", "run", "--only", pieces.Piece("unet_small", 0, "course", TINY).name)
    assert without_times(json.loads(rows[0].read_text())) == resumed[0]
    (piece,) = (tmp_path / "b").iterdir()
    files = (tmp_path / run / piece.name / "weights.safetensors" for run in "ab")
    resumed_model, whole = (load(file)[0] for file in files)
    pairs = zip(resumed_model.parameters(), whole.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)

    file = next(RESULTS.glob("leaderboard/unet_small*seed0*"))
    assert keys(resumed[0]) == keys(without_times(json.loads(file.read_text())))

    (entry,) = board.read()
    assert len(entry.runs) == 2 and len(entry.images) == 20
    assert entry.children[:3] == ["05", "05", "06"]
    assert "unet_small 64" in str(board.table([entry]))
    low, high = board.mean(entry).interval()[1:]
    assert low <= entry.per_image("f1").mean() <= high
    assert board.difference(entry, entry).value == 0


def test_no_piece_begins_after_the_budget(bench, tmp_path, capsys):
    bench(tmp_path / "a", "run", "--minutes", "-1")
    assert capsys.readouterr().out.count("minutes are over") == 2
    assert not (tmp_path / "a").exists() and list((tmp_path / "leaderboard").iterdir()) == []


def test_the_list_names_every_network_at_three_seeds():
    named = [piece.name for piece in pieces.pieces(torch.device("cpu"))]
    assert len(named) == len(set(named))
    for model in networks.ON_CPU:
        for seed in (0, 1, 2):
            mine = [n for n in named if n.startswith(f"{model}_") and n.endswith(f"seed{seed}")]
            assert any("_512px_" in n for n in mine) and any("_960px_" in n for n in mine)
    budget = "_course_640px_256crop_6000steps_seed"
    equal = {"unet_large", "retina_segmentor"}
    assert {(n.split(budget)[0], n[-1]) for n in named if budget in n} == {
        (model, seed) for model in equal for seed in "012"
    }
    assert sum("unet_small_course_640px_256crop_16000steps" in name for name in named) == 3
    on_gpu = pieces.pieces(torch.device("cuda"))
    assert {p.recipe["steps"] for p in on_gpu} == {6000, 200}
    first = {p.model: p.recipe["fov_diameter"] for p in on_gpu[: len(networks.ON_CPU)]}
    assert first == dict.fromkeys(networks.ON_CPU, 640) | {"linknet": 960}


def test_a_piece_that_fails_does_not_hold_up_the_next(bench, tmp_path, monkeypatch, capsys):
    train = program.train_vessels

    def failing(*arguments, seed, **options):
        if seed == 0:
            raise FloatingPointError("the loss is not finite")
        return train(*arguments, seed=seed, **options)

    monkeypatch.setattr(program, "train_vessels", failing)
    with pytest.raises(SystemExit, match="Failed.*unet_small.*seed0"):
        bench(tmp_path / "a", "run")
    assert "the loss is not finite" in capsys.readouterr().err
    (row,) = (tmp_path / "leaderboard").iterdir()
    assert "seed1" in row.name


def test_a_mistyped_name_is_refused(bench, tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench(tmp_path / "a", "run", "--only", "unet_smal_")
    assert "no piece begins with unet_smal_" in capsys.readouterr().err


def test_the_documented_training_goes_on_where_it_was_killed(photographs, tmp_path, monkeypatch):
    for name, value in {"EPOCHS": 2, "SIDE": 96, "FOV_DIAMETER": 80, "EVERY": 1}.items():
        monkeypatch.setattr(documented_linknet, name, value)
    data = list(ChaseDB1(photographs / "CHASE_DB1", split="train"))
    arguments = data, 0, tmp_path / "a", torch.device("cpu")
    write, written = documented_linknet.write_atomically, []

    def killed(path, content):
        write(path, content)
        written.append(path)
        if len(written) == 1:
            raise KeyboardInterrupt

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(documented_linknet, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            documented_linknet.train_as_documented(*arguments)
    model, history, recipe = documented_linknet.train_as_documented(*arguments)
    whole, expected, _ = documented_linknet.train_as_documented(
        data, 0, tmp_path / "b", *arguments[3:]
    )
    assert history.loss == expected.loss and len(history.loss) == 2
    assert recipe["steps"] == 2 * 2
    pairs = zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_provenance_without_a_history_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("RETINA_COURSE_COMMIT", "abc")
    assert provenance.commit() == "abc"


def test_without_rows_the_message_says_what_writes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "_FOLDER", tmp_path / "none")
    with pytest.raises(ValueError, match="benchmarks.scores.leaderboard run"):
        board.read()
