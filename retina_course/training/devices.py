"""Where a run computes, and in which precision; seeds; several processes."""

import contextlib
import os
import random

import numpy as np
import torch
import torch.distributed as dist


def default_precision(device: torch.device) -> torch.dtype:
    """bfloat16 on GPUs from compute capability 8.0, float16 below, float32 on a CPU."""
    if device.type != "cuda":
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)
    return torch.bfloat16 if major >= 8 else torch.float16


def default_device() -> torch.device:
    """The GPU where there is one (under `torchrun` this process's own), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: the weights of the next model depend on `seed` alone."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def distributed():
    """Join the other processes of a `torchrun` for the `with` block; without it, do nothing."""
    if "RANK" not in os.environ:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(default_device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
