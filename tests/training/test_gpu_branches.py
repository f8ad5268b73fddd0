"""What only GPUs and several processes do, with stand-ins on the CPU."""

import random

import numpy as np
import pytest
import torch

from retina_course.training import (
    default_device,
    default_precision,
    devices,
    distributed,
    seed_everything,
)


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs, of the capabilities 7.5 and 8.0; what is asked of them is written down."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.append(device))
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: [(7, 5), (8, 0)][device.index]
    )
    return asked


def test_the_precision_is_that_of_the_device_s_capability(gpus):
    assert default_precision(torch.device("cuda", 0)) == torch.float16
    assert default_precision(torch.device("cuda", 1)) == torch.bfloat16
    assert default_precision(torch.device("cpu")) == torch.float32


def test_the_device_is_the_gpu_of_this_process(gpus, monkeypatch):
    monkeypatch.setenv("RANK", "5")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert default_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert default_device() == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert default_device() == torch.device("cpu")


@pytest.mark.parametrize("has_gpus", [True, False])
def test_processes_meet_by_the_back_end_of_their_devices_and_part(gpus, has_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpus)
    calls = []
    monkeypatch.setattr(devices.dist, "init_process_group", calls.append)
    monkeypatch.setattr(devices.dist, "destroy_process_group", lambda: calls.append("end"))
    monkeypatch.delenv("RANK", raising=False)
    with distributed():
        assert calls == []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ZeroDivisionError), distributed():
        assert calls == ["nccl" if has_gpus else "gloo"]
        raise ZeroDivisionError
    assert calls[1:] == ["end"]
    assert gpus == [torch.device("cuda", 1)] * has_gpus


def test_every_generator_is_seeded():
    drawn = []
    for _ in range(2):
        seed_everything(11)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    seed_everything(12)
    assert not {random.random(), np.random.rand(), torch.rand(1).item()} & {*drawn[0]}
