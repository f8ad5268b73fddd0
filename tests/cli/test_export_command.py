"""`retina-course export`."""

import sys

import pytest
import torch
from command_line import run

from retina_course import weights


def test_the_file_computes_what_the_network_does(weights_file, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    file = tmp_path / "mine.onnx"
    assert run("export", weights_file, "-o", file) == 0
    assert str(file) in capsys.readouterr().out
    model, _ = weights.load(weights_file)
    x = torch.rand(1, 3, 40, 56)
    (logits,) = runtime.InferenceSession(file).run(None, {"images": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), model(x), atol=1e-4, rtol=1e-4)
    own = file.read_bytes() + b"\0"
    monkeypatch.setattr(weights, "to_onnx", lambda model, card: own)  # the true one takes seconds
    assert run("export", weights_file, "-o", file) == 0  # its own file may be replaced
    assert file.read_bytes() == own


def test_what_cannot_be_exported_is_told(weights_file, tmp_path, monkeypatch, capsys):
    for place in (tmp_path, tmp_path / "model.bin", tmp_path / "absent" / "model.onnx"):
        assert run("export", weights_file, "-o", place) == 1
        assert "Expected -o FILE.onnx in a folder that exists" in capsys.readouterr().err
    (tmp_path / "other.onnx").write_bytes(b"mine")
    assert run("export", weights_file, "-o", tmp_path / "other.onnx") == 1
    assert "was not made by retina-course export" in capsys.readouterr().err
    assert (tmp_path / "other.onnx").read_bytes() == b"mine"
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run("export", weights_file, "-o", tmp_path / "new.onnx") == 1
    assert "pip install onnx onnxscript" in capsys.readouterr().err
    assert not (tmp_path / "new.onnx").exists()
