"""Training: one loop, `fit`, that a reader can follow from top to bottom.

`fit` asks for a batch with a random generator that depends on the seed and the step alone. So a
run that was killed continues from its checkpoint and ends with the weights of an uninterrupted run
(on a GPU up to rounding), and no state of any random generator has to be stored.
"""

import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from retina_course.training.checkpoints import (
    History,
    check_plain,
    resume,
    save,
    to_builtin,
    without_wrappers,
)
from retina_course.training.devices import default_precision
from retina_course.training.losses import DiceCELoss

Sample = Callable[[Generator], tuple[Tensor, Tensor | list[dict[str, Tensor]]]]


def fit(
    model: nn.Module,
    sample: Sample,
    steps: int,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    lr: float = 1e-2,
    seed: int = 0,
    average: float = 0.0,
    capture: bool = False,
    precision: torch.dtype | None = None,
    validate: Callable[[nn.Module], dict[str, Any]] | None = None,
    every: int = 100,
    checkpoint: str | os.PathLike[str] | None = None,
    settings: dict[str, Any] | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place: AdamW, one cosine from `lr` to zero, gradients clipped at norm 1.

    Parameters
    ----------
    model : nn.Module
        On the device to train on. It ends in eval mode. It may be compiled, or in `DataParallel`.
    sample : callable
        `sample(generator)` returns `(images, targets)`, one batch; `RandomCrops` is one. Targets
        that are a list of dicts go to the model with the images, as detectors take them
        (`RandomAffine`). The loss is then the sum of the losses that the model returns.
    steps : int
        Number of batches.
    loss : callable, optional
        `loss(logits, targets)` returns a scalar. `DiceCELoss` by default. Where the model returns
        the logits of several stages, as `WNet` does, the losses of all stages are added up.
    lr : float, default 1e-2
        Highest learning rate: 1e-2 suits networks below 0.3 M weights, 1e-3 those above.
    seed : int, default 0
        Seed of the batches. The model's first weights were drawn before, see `seed_everything`.
    average : float, default 0.0
        Above 0, the model ends with a moving average of its weights: after each step, `average`
        of the old mean plus 1 - `average` of the new weights. After the first steps, whose weights
        are still random, it is less of the old mean: (1 + n) / (10 + n) after n steps. `validate`
        sees this mean too.
    capture : bool, default False
        On a GPU, record the model's forward and backward pass as CUDA graphs and replay them: a
        small network is then no longer limited by how fast its hundreds of kernels are launched.
        All batches must have one shape.
    precision : torch.dtype, optional
        Type of the autocast. `default_precision` chooses by device where it is not given.
    validate : callable, optional
        `validate(model)` returns a dict of scores. Called every `every` steps, and at the end, on
        the model in eval mode.
    every : int, default 100
        Steps from one validation, and one checkpoint, to the next.
    checkpoint : str or PathLike, optional
        File written every `every` steps and at the end, atomically. Where it exists, the run
        continues from it.
    settings : dict, optional
        What else a run must agree in to be continued: batch, crop, loss, precision. These are not
        checked otherwise.
    progress : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    History
        The loss of each step and what `validate` returned; also stored in the checkpoint.

    Raises
    ------
    ValueError
        If `steps` or `every` is below 1, or `average` not in [0, 1), or if the checkpoint is
        damaged or belongs to another run (seed, steps, learning rate or `settings` differ) or to
        another model, or cannot hold `settings` or what `validate` returned.
    FloatingPointError
        If the loss is not finite. The message names the step and the batch.

    Examples
    --------
    >>> from retina_course import RandomCrops, create_model, fit, synthetic_batch
    >>> images, vessels, _ = synthetic_batch(2, size=64)
    >>> crops = RandomCrops(images, vessels, size=32, batch_size=2)
    >>> history = fit(create_model("unet_small"), crops, steps=3, progress=False)
    >>> len(history.loss)
    3
    """
    if steps < 1 or every < 1:
        raise ValueError(f"steps and every must be at least 1, got {steps} and {every}.")
    if not 0 <= average < 1:
        raise ValueError(f"average must be at least 0 and below 1, got {average}.")
    device = next(model.parameters()).device
    precision = precision or default_precision(device)
    loss = loss or DiceCELoss()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's gap
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    # float16 has a small range: the scaler keeps small gradients from vanishing.
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    network = DistributedDataParallel(model) if dist.is_initialized() else model
    history, rank = History(), dist.get_rank() if dist.is_initialized() else 0

    inner = without_wrappers(model)
    state: dict[str, Any] = {"model": inner, "optimizer": optimizer, "scaler": scaler}
    run = {"seed": seed, "steps": steps, "lr": lr}
    if average:
        mean = AveragedModel(inner, multi_avg_fn=_moving_average(average), use_buffers=True)
        state["mean"], run["average"] = mean, average
    run = to_builtin({**run, **(settings or {})})
    if checkpoint is not None:
        check_plain(run, "settings")  # now, not after the first steps
    done = 0
    if checkpoint is not None and Path(checkpoint).exists():
        done, history = resume(Path(checkpoint), state, run, device)

    autocast = partial(
        torch.autocast,
        device.type,
        precision,
        precision != torch.float32,
        cache_enabled=not capture,
    )
    if capture:
        images, _ = sample(batch_generator(seed, done, rank))
        with autocast():
            _capture(network, images.to(device, memory_format=torch.channels_last))
    started, pending = time.perf_counter() - history.seconds, []
    bar = tqdm(range(done, steps), initial=done, total=steps, disable=not progress or rank > 0)
    for step in bar:
        model.train()
        images, targets = sample(batch_generator(seed, step, rank))
        images = images.to(device, memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        with autocast():
            if isinstance(targets, Tensor):
                logits = network(images)
            else:
                targets = [{k: v.to(device) for k, v in target.items()} for target in targets]
                losses = network(images, targets)
        if isinstance(targets, Tensor):
            targets = targets.to(device)
            stages = (logits,) if isinstance(logits, Tensor) else logits
            value = torch.stack([loss(stage, targets) for stage in stages]).sum()
        else:
            value = sum(losses.values())
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        if average:
            mean.update_parameters(inner)
        pending.append(value.detach())

        last = step + 1 == steps
        # Reading a loss waits for the GPU, so they are read some at a time.
        if len(pending) == 20 or last or (step + 1) % every == 0:
            history.loss += _finite(pending, step, seed, sample, rank)
            pending = []
            bar.set_postfix(loss=f"{np.mean(history.loss[-20:]):.4f}")
        if (step + 1) % every == 0 or last:
            model.eval()
            if validate:
                judged = mean.module.eval() if average else model
                history.validation.append(to_builtin({"step": step + 1, **validate(judged)}))
            history.seconds = time.perf_counter() - started
            if checkpoint is not None and rank == 0:
                save(Path(checkpoint), step + 1, history, state, run)
                started = time.perf_counter() - history.seconds  # writing is not training
    if average:
        inner.load_state_dict(mean.module.state_dict())
    if capture:
        del network.forward  # the recorded one
    model.eval()
    return history


def _capture(model: nn.Module, images: Tensor) -> None:
    """Replace the model's forward by a recorded one; its weights and statistics stay."""
    if not images.is_cuda:
        raise ValueError("capture=True needs a GPU: CUDA graphs do not exist elsewhere.")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.cuda.make_graphed_callables(model.train(), (images,))  # runs it, to warm up
    model.load_state_dict(before)


def _moving_average(most: float) -> Callable[[Any, Any, Any], None]:
    """The update of an average of weights that soon forgets the random ones of the beginning."""

    def update(means: Any, weights: Any, steps: Any) -> None:
        stays = min(most, (1 + int(steps)) / (10 + int(steps)))
        get_ema_multi_avg_fn(stays)(means, weights, steps)

    return update


def batch_generator(seed: int, step: int, rank: int = 0) -> Generator:
    """The random generator of one batch: the same for the same seed, step and process.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 or more.
    step : int
        Number of the batch, from 0.
    rank : int, default 0
        Number of the process under `torchrun`.

    Returns
    -------
    Generator
        On the CPU, freshly seeded.

    Examples
    --------
    >>> import torch
    >>> again = [torch.rand(2, generator=batch_generator(seed=0, step=7)) for _ in range(2)]
    >>> torch.equal(*again)
    True
    """
    mixed = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(mixed) >> 1)


def _finite(losses: list[Tensor], step: int, seed: int, sample: Sample, rank: int) -> list[float]:
    """The numbers of the last losses, up to that of `step`; all must be finite."""
    values = torch.stack(losses).tolist()
    for i, value in enumerate(values):
        if not math.isfinite(value):
            bad = step - len(values) + 1 + i
            images, _ = sample(batch_generator(seed, bad, rank))
            cause = (
                "Its images are finite: lower the learning rate."
                if torch.isfinite(images).all()
                else "Its images hold values that are not finite: check the data."
            )
            raise FloatingPointError(
                f"The loss is {value} at step {bad}. Its batch is "
                f"sample(batch_generator(seed={seed}, step={bad}, rank={rank})). {cause}"
            )
    return values
