"""Disks that are full, readers that leave, devices that cannot compute, Ctrl-C."""

import errno
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import photograph, run
from PIL import Image

from retina_course.cli import output, photo_commands
from retina_course.cli.output import digits, memory_errors, readers_may_leave
from retina_course.data import files


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / f"p{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.fromarray(photograph(seed=i)[0]).save(path)
    return paths


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full after some files; their number can be set."""
    left = [0]
    sync = files.os.fsync

    def limited(number):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    monkeypatch.setattr(files.os, "fsync", limited)
    return left


def test_a_full_disk_stops_the_batch_and_leaves_no_half(
    photos, weights_file, full_disk, tmp_path, capsys, monkeypatch
):
    looked = []
    segment = photo_commands.segment
    monkeypatch.setattr(
        photo_commands, "segment", lambda *a, **k: looked.append(1) or segment(*a, **k)
    )
    out = tmp_path / "out"
    full_disk[0] = 6  # the second photograph's third result
    assert run("segment", *photos, "-o", out, "--weights", weights_file) == 1
    err = capsys.readouterr().err
    assert f"error: No space left on device: {out / 'p1_overlay.jpg'}\n" in err
    assert f"stopped; not done: {photos[1]}, {photos[2]}, {photos[3]}" in err
    assert len(looked) == 2
    names = {"p0_vessels.png", "p0_probability.png", "p0_overlay.jpg", "segment.csv"}
    assert {path.name for path in out.iterdir()} == names
    full_disk[0] = 100
    assert run("segment", *photos, "-o", out, "--weights", weights_file) == 0
    assert "p0.png: done before" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["mkdir", "write"])
def test_an_output_folder_that_cannot_be_made_or_written_stops_before_the_first_photograph(
    what, photos, weights_file, tmp_path, capsys, monkeypatch
):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    if what == "mkdir":
        monkeypatch.setattr(files.Path, "mkdir", refuse)
    else:
        monkeypatch.setattr(output.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(photo_commands, "segment", None)  # is not called
    out = tmp_path / "out"
    assert run("segment", *photos, "-o", out, "--weights", weights_file) == 1
    told = f"The output folder {out} cannot be made or written (Permission denied). Give another"
    assert told in capsys.readouterr().err


def test_files_that_are_written_together_appear_together(full_disk, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    full_disk[0] = 1
    with pytest.raises(OSError) as raised:
        files.write_together({old: b"changed", new: b"new"})
    assert raised.value.filename == str(new) and raised.value.errno == errno.ENOSPC
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]


def test_ctrl_c_keeps_what_is_finished(photos, weights_file, tmp_path, capsys, monkeypatch):
    segment, calls = photo_commands.segment, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return segment(*arguments, **options)

    monkeypatch.setattr(photo_commands, "segment", interrupted)
    out = tmp_path / "out"
    assert run("segment", *photos, "-o", out, "--weights", weights_file) == 130
    assert sorted(path.name for path in out.glob("*_vessels.png")) == ["p0_vessels.png"]


def test_a_reader_that_leaves_does_not_stop_the_batch(photos, weights_file, tmp_path):
    photos[2].write_text("no picture")
    arguments = ["segment", *photos, "-o", tmp_path / "out", "--weights", weights_file]
    batch = subprocess.Popen(
        [sys.executable, "-m", "retina_course", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert batch.stdout.readline().startswith(str(photos[0]))
    batch.stdout.close()
    err = batch.stderr.read()
    assert batch.wait() == 1  # for the damaged photograph
    assert len(list((tmp_path / "out").glob("*_vessels.png"))) == 3
    assert "Traceback" not in err and "pipe" not in err.lower()


def test_other_errors_of_a_stream_are_raised(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space"), readers_may_leave():
        print("a line")


def test_without_any_stream(photos, weights_file, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run("segment", photos[0], "-o", tmp_path / "out", "--weights", weights_file) == 0


@pytest.mark.parametrize("device", ["meta", "cuda:99", "mkldnn", "privateuseone", "hpu", "xla"])
def test_a_device_that_cannot_compute_is_named(device, photos, capsys):
    with pytest.raises(SystemExit) as stop:
        run("segment", photos[0], "-o", "out", "--device", device)
    assert stop.value.code == 2
    assert f"argument --device: no device '{device}' here" in capsys.readouterr().err


@pytest.mark.parametrize("value", [1e-6, 0.0004, 0.5, 0.99999, *np.logspace(-12, -0.001, 9)])
def test_a_threshold_never_reads_as_0_or_1(value):
    assert 0 < float(digits(value)) < 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_what_machines_say_where_memory_runs_out(error):
    with pytest.raises(MemoryError, match="Not enough memory. Less is needed") as raised:
        with memory_errors():
            raise error
    assert raised.value.__cause__ is error
    with pytest.raises(RuntimeError, match="a defect"), memory_errors():
        raise RuntimeError("a defect")
