"""Does everything work on this GPU, and how fast is it? Half a minute, with the card to itself."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.common.equal_budget import NAMES, build
from benchmarks.common.timing import timed
from benchmarks.gpu import data
from retina_course.data.detection import RandomAffine
from retina_course.data.synthetic import synthetic_batch, synthetic_detection
from retina_course.models import create_model
from retina_course.shapes import macs
from retina_course.training.devices import default_device, distributed, seed_everything
from retina_course.training.loop import fit
from retina_course.training.losses import DiceCELoss
from retina_course.training.recipe import Recipe, train_vessels

DETECTORS = ("retina_net", "retina_unet_detector")


def smoke(report: dict[str, Any]) -> None:
    """One step of every network in each precision, against the CPU, and in a process group."""
    for name in NAMES:
        for precision in ("bfloat16", "float16", "float32"):
            attempt(report, f"step {name} {precision}", lambda n=name, p=precision: step(n, p))
        attempt(report, f"against the CPU: {name}", lambda n=name: against_the_cpu(n))
    for name in DETECTORS:
        attempt(report, f"step {name} bfloat16", lambda n=name: detector_step(n))
    attempt(report, "NCCL, one process", one_process_group)


def attempt(report: dict[str, Any], name: str, what: Callable[[], Any]) -> None:
    """A failure is a finding: it is written down, and the rest goes on."""
    try:
        report[name] = what()
    except Exception as error:
        report[name] = f"FAILED: {type(error).__name__}: {error}"[:500]


def batch(size: int = 128, n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    images, vessels, _ = synthetic_batch(2, size=size)
    return images.repeat(n // 2, 1, 1, 1), vessels.repeat(n // 2, 1, 1, 1)


def step(name: str, precision: str) -> dict[str, float]:
    """Three steps; channels_last is what `fit` uses everywhere."""
    seed_everything(0)
    x, y = batch()
    device = default_device()
    history = fit(
        build(name).to(device),
        lambda _: (x.to(device), y.to(device)),
        3,
        lr=1e-3,
        precision=getattr(torch, precision),
        progress=False,
    )
    return {"first_loss": history.loss[0], "last_loss": history.loss[-1]}


def capture(report: dict[str, Any], work: Path) -> None:
    """Which networks train as CUDA graphs as they do without: the jobs then use graphs."""
    right = []
    for name in NAMES:
        attempt(report, f"captured {name}", lambda n=name: captured_steps(n))
        found = report[f"captured {name}"]
        if isinstance(found, dict) and found["difference"] < 0.02:
            right.append(name)
    (work / "captured.json").write_text(json.dumps(right))


def captured_steps(name: str) -> dict[str, float]:
    """Losses of six steps with and without graphs, and milliseconds of a step with them."""
    device, size = default_device(), 256
    x, y = (part.to(device) for part in batch(size, 8))
    found = []
    for recorded in (False, True):
        seed_everything(0)
        model = build(name).to(device)
        sample = lambda _: (x, y)  # noqa: E731
        history = fit(model, sample, 6, lr=1e-3, capture=recorded, every=3, progress=False)
        scores = model(x[:2]).mean().item()
        found.append((history.loss, scores))
    (eager, one), (graphed, other) = found
    largest = max(abs(a - b) for a, b in zip(eager, graphed, strict=True))
    return {"difference": largest, "eager": eager[-1], "captured": graphed[-1]} | {
        "mean logits": one,
        "mean logits captured": other,
    }


def detector_step(name: str) -> dict[str, float]:
    seed_everything(0)
    images, targets = synthetic_detection(2, size=128)
    device = default_device()
    sample = RandomAffine(images, targets, batch_size=2)
    history = fit(create_model(name, num_classes=4).to(device), sample, 3, lr=1e-3, progress=False)
    return {"first_loss": history.loss[0], "last_loss": history.loss[-1]}


def against_the_cpu(name: str) -> dict[str, float]:
    """Largest difference of logits and of gradients between this GPU and the CPU, in float32."""
    torch.backends.cudnn.allow_tf32 = False
    seed_everything(0)
    model = build(name)
    x, y = batch(64)
    found = []
    for device in ("cpu", default_device()):
        model.to(device).train().zero_grad()
        logits = model(x.to(device))
        stages = (logits,) if isinstance(logits, torch.Tensor) else logits
        sum(DiceCELoss()(stage, y.to(device)) for stage in stages).backward()
        gradient = torch.cat([p.grad.flatten().cpu() for p in model.parameters()])
        found.append((stages[-1].detach().cpu(), gradient))
    (a, ga), (b, gb) = found
    return {
        "logits": (a - b).abs().max().item(),
        "gradient": ((ga - gb).norm() / ga.norm()).item(),
    }


def one_process_group() -> str:
    settings = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    settings |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    os.environ |= settings
    try:
        with distributed():
            backend = torch.distributed.get_backend()
            loss = step("unet_small", "bfloat16")["last_loss"]
        return f"{backend}: loss {loss:.4f}"
    finally:
        for name in settings:
            del os.environ[name]


def speed(report: dict[str, Any], size: int = 256, n: int = 8) -> None:
    """The card's own matrix rate, and milliseconds, memory and part of that rate per step."""
    device = default_device()
    cuda = device.type == "cuda"
    rate = matrix_rate(device)
    report["matrix TFLOP/s"] = rate
    for name in NAMES:
        for precision in ("bfloat16", "float32"):
            attempt(
                report,
                f"speed {name} {precision}",
                lambda n_=name, p=precision: training_step(n_, p, size, n, device, cuda),
            )
        per_crop = macs(build(name), (1, 3, size, size))
        row = report[f"speed {name} bfloat16"]
        if isinstance(row, dict):
            flops = (
                6 * per_crop * n
            )  # a multiplication and an addition, forward once and backward twice
            row["TFLOP/s"] = flops / row["milliseconds"] / 1e9
            row["part of the matrix rate"] = row["TFLOP/s"] / rate


def training_step(
    name: str, precision: str, size: int, n: int, device: torch.device, cuda: bool
) -> dict[str, float]:
    model = build(name).to(device, memory_format=torch.channels_last).train()
    x = torch.rand(n, 3, size, size, device=device).to(memory_format=torch.channels_last)
    y = (torch.rand(n, 1, size, size, device=device) < 0.1).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    loss, dtype = DiceCELoss(), getattr(torch, precision)
    if cuda:
        torch.cuda.reset_peak_memory_stats()

    def once() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(x)
        stages = (logits,) if isinstance(logits, torch.Tensor) else logits
        optimizer.zero_grad()
        torch.stack([loss(stage, y) for stage in stages]).sum().backward()
        optimizer.step()

    milliseconds = mean_milliseconds(once, device, repeats=12 if cuda else 1)
    gigabytes = torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0
    return {"milliseconds": milliseconds, "gigabytes": gigabytes}


def race(work: Path, steps: int, points: int = 5) -> dict[str, Any]:
    """UNetSmall from random weights; the clock stops while its weights are put aside.

    They are scored afterwards, by `jobs.race`.
    """
    device, states = default_device(), []
    photographs = data.chase("train")
    stopped = 0.0
    began = time.perf_counter()

    def put_aside(model: nn.Module) -> dict[str, float]:
        nonlocal stopped
        if device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        states.append({name: value.cpu().clone() for name, value in model.state_dict().items()})
        seconds = now - began - stopped
        stopped += time.perf_counter() - now
        return {"seconds": seconds}

    recipe = Recipe(steps=steps)
    options = {"every": steps // points, "progress": False, "validate": put_aside}
    options["capture"] = "unet_small" in json.loads((work / "captured.json").read_text())
    _, history = train_vessels("unet_small", photographs, recipe, device=device, **options)
    torch.save(states, work / "race.pt")
    return {"steps": steps, "points": history.validation, "captured": options["capture"]}


def matrix_rate(device: torch.device) -> float:
    """TFLOP/s of a product of two bfloat16 matrices, 8192 by 8192 on a GPU."""
    side = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / mean_milliseconds(lambda: a @ b, device, repeats=10) / 1e9


def mean_milliseconds(what: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Milliseconds of one call: the mean of some, after some that do not count."""
    timed(what, device, max(1, repeats // 3))
    return 1000 * timed(what, device, repeats) / repeats
