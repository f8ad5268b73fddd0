"""The command line as a whole: help, usage errors, the small commands."""

import subprocess
import sys

import pytest
from command_line import run

from retina_course import weights
from retina_course.cli import commands
from retina_course.cli import parser as cli


def test_models_lists_networks_and_weights(capsys):
    assert run("models") == 0
    out = capsys.readouterr().out
    assert "unet_small" in out and "Not a medical device" in out
    assert all(name in out for name in weights.available())


def test_download_goes_into_the_data_folder(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        commands.datasets, "download_chase_db1", lambda root: asked.append(root) or root
    )
    monkeypatch.setenv("RETINA_COURSE_DATA", str(tmp_path))
    assert run("download", "chase_db1") == 0
    assert run("download", "chase_db1", "-o", tmp_path / "here") == 0
    assert asked == [tmp_path / "CHASE_DB1", tmp_path / "here" / "CHASE_DB1"]
    assert "CC BY 4.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["segment", "train", "evaluate", "export", "models", "download"]
)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert command == "models" or f"\n  retina-course {command}" in text
    assert command != "segment" or "Not a medical device" in text.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("paint",),
        ("segment", "eye.png"),
        ("segment", "-o", "out"),
        ("segment", "eye.png", "-o", "out", "--threshold", "1.5"),
        ("segment", "eye.png", "-o", "out", "--threshold", "high"),
        ("segment", "eye.png", "-o", "out", "--device", "abacus"),
        ("train", "--data", "d", "-o", "out", "--model", "resnet"),
        ("train", "--data", "d", "-o", "out", "--vessels", "red"),
        ("export", "unet_small"),
        ("train", "--data", "d", "-o", "out", "--seed", "-1"),
        ("train", "--data", "d", "-o", "out", "--seed", "4294967296"),
        ("detect", "eye.png"),
        ("segment", "eye.png", "-o", "out", "--model", "unet_small", "--weights", "w.safetensors"),
        ("download", "DRIVE"),
    ],
)
def test_usage_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    assert "usage: retina-course" in capsys.readouterr().err


def test_as_a_module_it_prints_no_traceback(tmp_path):
    arguments = [sys.executable, "-m", "retina_course", "segment", "absent.png", "-o", "out"]
    done = subprocess.run(
        [*arguments, "--weights", "absent.safetensors"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "retina-course: error: There is no weights file absent.safetensors.\n"


def test_other_runtime_errors_keep_their_traceback(monkeypatch):
    def broken():
        raise RuntimeError("a defect of the program")

    monkeypatch.setattr(commands, "models", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        cli.main(["models"])
