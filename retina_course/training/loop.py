"""Training: one loop, `fit`, that a reader can follow from top to bottom, and the documented calls.

`fit` asks for a batch with a random generator that depends on the seed and the step alone. So a
run that was killed continues from its checkpoint to the very weights of an uninterrupted run (on a
GPU up to rounding), and no state of any random generator has to be stored.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from retina_course.training.checkpoints import History, plain, resume, save
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
    precision: torch.dtype | None = None,
    validate: Callable[[nn.Module], dict] | None = None,
    every: int = 100,
    checkpoint: str | os.PathLike | None = None,
    settings: dict | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place: AdamW, one cosine from `lr` to zero, gradients clipped at norm 1.

    Parameters
    ----------
    model : on the device to train on; it ends in eval mode.
    sample : `sample(generator) -> (images, targets)`, one batch, e.g. `RandomCrops`. Targets that
        are a list of dicts go to the model with the images, as detectors take them
        (`RandomAffine`): the loss is then the sum of those that the model returns.
    steps : number of batches.
    loss : scalar loss of logits and targets; cross-entropy plus Dice where not given.
    lr : highest learning rate: 1e-2 below 0.3 M weights, 1e-3 above.
    precision : type of the autocast; None chooses by device, see `default_precision`.
    validate : `validate(model) -> dict`, called each `every` steps on the model in eval mode.
    checkpoint : file written each `every` steps and at the end, atomically; where it exists, the
        run continues from it.
    settings : what else a run must agree in to be continued: batch, crop, loss, precision; not
        checked otherwise.

    Returns
    -------
    History : also stored in the checkpoint.

    Raises
    ------
    FloatingPointError : the loss is not finite; names the step and the batch.
    ValueError : a checkpoint of another run (seed, steps, learning rate or `settings` differ) or of
        another model.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    device = next(model.parameters()).device
    precision = precision or default_precision(device)
    loss = loss or DiceCELoss()
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    # float16 has a small range: the scaler keeps small gradients from vanishing.
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    network = DistributedDataParallel(model) if dist.is_initialized() else model
    history, rank = History(), dist.get_rank() if dist.is_initialized() else 0

    state = {"model": model, "optimizer": optimizer, "scaler": scaler}
    run = plain({"seed": seed, "steps": steps, "lr": lr, **(settings or {})})
    done = 0
    if checkpoint is not None and Path(checkpoint).exists():
        done, history = resume(Path(checkpoint), state, run, device)

    started, pending = time.perf_counter() - history.seconds, []
    bar = tqdm(range(done, steps), initial=done, total=steps, disable=not progress or rank > 0)
    for step in bar:
        model.train()
        images, targets = sample(batch_generator(seed, step, rank))
        images = images.to(device, memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            if isinstance(targets, Tensor):
                logits = network(images)
            else:
                targets = [{k: v.to(device) for k, v in target.items()} for target in targets]
                losses = network(images, targets)
        if isinstance(targets, Tensor):
            value = loss(logits, targets.to(device))
        else:
            value = sum(losses.values())
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
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
                history.validation.append(plain({"step": step + 1, **validate(model)}))
            history.seconds = time.perf_counter() - started
            if checkpoint is not None and rank == 0:
                save(Path(checkpoint), step + 1, history, state, run)
                started = time.perf_counter() - history.seconds  # writing is not training
    model.eval()
    return history


def batch_generator(seed: int, step: int, rank: int = 0) -> Generator:
    """The random generator of one batch: the same for the same seed, step and process."""
    mixed = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(mixed >> 1))


def _finite(losses: list[Tensor], step: int, seed: int, sample: Sample, rank: int) -> list[float]:
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
