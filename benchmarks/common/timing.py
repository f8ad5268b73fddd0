"""How the programs of speed/ measure: contenders in turn, quartiles, a limit for compilers."""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Seconds for so many steps; a GPU has finished them."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    synchronize(device)
    return time.perf_counter() - began


def in_turn(contenders: Sequence, rounds: int, warm_up: int) -> Iterator[tuple[bool, object]]:
    """Each contender once a round, in an order drawn anew; whether the round counts."""
    for number in range(-warm_up, rounds):
        for one in random.Random(number).sample(contenders, len(contenders)):
            yield number >= 0, one


def quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(v), 4) for v in np.percentile(values, (25, 50, 75))]


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor computes in bfloat16, and does not only imitate it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


@contextmanager
def compile_limit(seconds: int) -> Iterator[None]:
    """Stop what runs inside after so many seconds.

    Raises
    ------
    TimeoutError : they are over; a compiler may wrap an alarm in errors of its own.
    """

    def stop(*_) -> None:
        raise TimeoutError(f"compiling took more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    began = time.perf_counter()
    signal.alarm(seconds)
    try:
        yield
    except Exception:
        if time.perf_counter() - began >= seconds:
            stop()
        raise
    finally:
        signal.alarm(0)
