"""Where a run computes, and in which precision; seeds; several processes."""

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist


def default_precision(device: torch.device) -> torch.dtype:
    """The type of the autocast that suits a device.

    Parameters
    ----------
    device : torch.device
        Where the run computes.

    Returns
    -------
    torch.dtype
        bfloat16 on GPUs from compute capability 8.0, float16 on older ones, float32 on a CPU.

    Examples
    --------
    >>> import torch
    >>> default_precision(torch.device("cpu"))
    torch.float32
    """
    if device.type != "cuda":
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)
    return torch.bfloat16 if major >= 8 else torch.float16


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU.

    Returns
    -------
    torch.device
        Under `torchrun` the GPU of this process, by the variable LOCAL_RANK.
    """
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: the weights of the next model depend on `seed` alone.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1, the range that NumPy takes.

    Examples
    --------
    >>> import torch
    >>> seed_everything(0)
    >>> first = torch.rand(3)
    >>> seed_everything(0)
    >>> torch.equal(first, torch.rand(3))
    True
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def distributed() -> Iterator[None]:
    """Join the other processes of a `torchrun` for the `with` block; without it, do nothing.

    Yields
    ------
    None
        The process group exists inside the block, and is destroyed after it.

    Examples
    --------
    >>> with distributed():
    ...     print("train here")
    train here
    """
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
