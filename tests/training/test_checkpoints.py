"""Stopped, finished, damaged and mistaken checkpoints."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from short_runs import same, sample, train

from retina_course import create_model, training
from retina_course.training import checkpoints, fit

RUN = """
import sys, time, pathlib
sys.path.insert(0, {folder!r})
import short_runs as t
def slow(generator):
    time.sleep(0.02)
    return t.sample(generator)
model = t.fresh_model()
t.fit(model, slow, 60, every=5, checkpoint={checkpoint!r}, progress=False)
"""


def test_a_run_killed_in_the_middle_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    expected, history = train(60, every=5)
    checkpoint = tmp_path / "run.pt"
    code = RUN.format(folder=os.path.dirname(__file__), checkpoint=str(checkpoint))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.time() + 120
    while not checkpoint.exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < stopped < 60, "the run must be killed before its end"
    model, resumed = train(60, every=5, checkpoint=checkpoint)
    assert same(model.state_dict(), expected.state_dict())
    assert resumed.loss == history.loss


def test_a_finished_run_is_not_run_again(tmp_path):
    file = tmp_path / "run.pt"
    model, history = train(6, checkpoint=file)
    again, stored = train(6, checkpoint=file)
    assert same(model.state_dict(), again.state_dict()) and stored == history
    assert not again.training


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused_and_kept(tmp_path):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)
    with pytest.raises(ValueError, match="another run: steps is 4 there, 5 here"):
        train(5, checkpoint=file)
    with pytest.raises(ValueError, match="another run: crop is None there, 8 here"):
        train(4, checkpoint=file, settings={"crop": 8})
    with pytest.raises(ValueError, match="another model"):
        fit(create_model("unet_small", num_classes=2), sample, 4, checkpoint=file, progress=False)
    content = file.read_bytes()[:100]
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        train(4, checkpoint=file)
    assert file.read_bytes() == content


def test_a_run_with_numbers_of_numpy_can_be_continued(tmp_path):
    file = tmp_path / "run.pt"
    settings = {"scale": (np.float32(0.5), 1.0), "seeds": np.arange(2)}
    options = {"checkpoint": file, "settings": settings}
    options["validate"] = lambda model: {"f1": np.mean([0.5, 0.75])}
    _, history = train(4, **options)
    _, stored = train(4, **options)
    assert stored == history and stored.validation == [{"step": 4, "f1": 0.625}]


@pytest.mark.parametrize("value", [Path("eyes"), lambda: 0, object()])
def test_what_a_checkpoint_would_not_give_back_is_refused_at_once(tmp_path, value):
    checkpoint, steps = tmp_path / "run.pt", []

    def counted(generator):
        steps.append(generator)
        return sample(generator)

    model = create_model("unet_small")
    options = {"every": 1, "checkpoint": checkpoint, "progress": False}
    with pytest.raises(ValueError, match="cannot hold settings"):
        fit(model, counted, 2, settings={"data": value}, **options)
    assert not steps and not checkpoint.exists()
    with pytest.raises(ValueError, match="cannot hold what validate returns"):
        fit(model, counted, 2, validate=lambda model: {"data": value}, **options)
    assert len(steps) == 1 and not checkpoint.exists()


def test_a_folder_is_not_called_a_checkpoint_to_be_deleted(tmp_path):
    with pytest.raises(ValueError, match="is a folder: give the checkpoint the name of a file"):
        train(2, checkpoint=tmp_path)


def test_lack_of_memory_is_not_called_a_damaged_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)

    def no_memory(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(checkpoints.torch, "load", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        train(4, checkpoint=file)


def test_a_failed_save_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)
    before = file.read_bytes()
    monkeypatch.setattr(checkpoints.torch, "save", lambda content, f: f.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoints.save(file, 4, training.History(), {}, {})
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_missing_folders_are_made(tmp_path):
    file = tmp_path / "runs" / "mine" / "run.pt"
    train(1, checkpoint=file)
    assert file.is_file()


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    torch.save({"step": 1, "history": {}, "run": Bomb()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="damaged"):
        train(4, checkpoint=tmp_path / "run.pt")
    assert not (tmp_path / "opened").exists()


def test_all_wrappers_are_taken_off(monkeypatch):
    network = create_model("unet_small")
    parallel = torch.nn.DataParallel(network)
    monkeypatch.setattr(
        checkpoints,
        "DistributedDataParallel",
        Distributed := type("Distributed", (torch.nn.Module,), {}),
    )
    distributed = Distributed()
    distributed.module = network
    compiled = torch.compile(parallel, backend="eager")
    inside = torch.nn.DataParallel(torch.compile(network, backend="eager"))
    twice = torch.compile(inside, backend="eager")
    for wrapped in (network, parallel, distributed, compiled, twice):
        assert checkpoints.without_wrappers(wrapped) is network
