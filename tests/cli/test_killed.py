"""`kill -9` at any write: nothing half-written under a final name, and a rerun finishes."""

import json
import os
import signal
import time

import pytest
from command_line import TINY, run
from kills import killed
from PIL import Image

from retina_course import weights
from retina_course.data.files import TEMPORARY

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def leftovers(folder):
    return list(folder.rglob(f"{TEMPORARY}*"))


def is_whole(path):
    """Whether a file can be read to its end."""
    if path.suffix == ".json":
        return bool(json.loads(path.read_text()))
    if path.suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".safetensors" and path.with_suffix(".json").exists():
        weights.load(path)
    return path.stat().st_size > 0


def check(folder):
    for path in folder.rglob("*"):
        assert path.is_dir() or path.name.startswith(TEMPORARY) or is_whole(path), path


@pytest.mark.parametrize("where, number", [("write", 5), ("rename", 2)])
def test_segment(where, number, photo, weights_file, tmp_path, capsys):
    second = tmp_path / "second.png"
    second.write_bytes(photo.read_bytes())
    out = tmp_path / "out"
    arguments = ("segment", photo, second, "-o", out, "--weights", weights_file, "--no-flips")
    assert killed(where, number, *arguments) and leftovers(out)
    check(out)
    (out / "mine.tmp").write_text("not yours")
    assert run(*arguments) == 0
    assert "unfinished, of a run that was stopped" in capsys.readouterr().err
    check(out)
    long_ago = time.time() - 61
    for path in leftovers(out):
        os.utime(path, (long_ago, long_ago))
    assert run(*arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.count("done before") == 2 and "unfinished" not in printed.err
    assert not leftovers(out) and (out / "mine.tmp").exists() and len(list(out.iterdir())) == 8


@pytest.mark.parametrize("where, number", [("write", 1), ("rename", 3)])
def test_train(where, number, data, tmp_path):
    """Settings, checkpoint, weights and card, history, weights and card again."""
    out = tmp_path / "run"
    arguments = ("train", "--data", data, "-o", out, *TINY)
    assert killed(where, number, *arguments)
    check(out)
    assert run(*arguments) == 0
    names = {"settings.json", "checkpoint.pt", "history.json"}
    assert {p.name for p in out.iterdir()} == names | {"unet_small.safetensors", "unet_small.json"}
    assert "threshold" in weights.load(out / "unet_small.safetensors")[1]


def test_evaluate(data, weights_file, tmp_path):
    scores = tmp_path / "scores.json"
    arguments = ("evaluate", "--data", data, "--weights", weights_file, "--json", scores)
    assert killed("write", 0, *arguments) and not scores.exists() and leftovers(tmp_path)
    os.utime(leftovers(tmp_path)[0], (0, 0))
    assert run(*arguments) == 0
    assert is_whole(scores) and not leftovers(tmp_path)
    before = scores.read_bytes()
    assert killed("rename", 0, *arguments, "--threshold", "0.4") and scores.read_bytes() == before
