"""The training loop `fit`."""

import math

import pytest
import torch
from short_runs import fresh_model, same, sample, train
from torch import nn

from retina_course.training import batch_generator, fit
from retina_course.training.losses import DiceCELoss, DiceLoss


def test_it_learns_and_ends_in_eval_mode():
    model, history = train(80)
    assert len(history.loss) == 80 and not model.training and history.seconds > 0
    assert sum(history.loss[-10:]) < 0.6 * sum(history.loss[:10])
    images, targets = sample(batch_generator(7, 0))
    with torch.no_grad():
        score, _ = DiceLoss()(model(images), targets)
    assert score > 0.6


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_fit_is_the_plain_loop(precision):
    """AdamW on one cosine, clipped, one autocast a step: nothing else may change a weight."""
    steps, losses = 23, []  # more than the losses that are read at once
    model = fresh_model().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
    for step in range(steps):
        images, targets = sample(batch_generator(0, step))
        images = images.to(memory_format=torch.channels_last)
        optimizer.param_groups[0]["lr"] = 1e-2 * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            logits = model(images)
        value = DiceCELoss()(logits, targets)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(value.item())
    fitted, history = train(steps, precision=precision)
    assert history.loss == losses
    assert same(fitted.state_dict(), model.state_dict())


def test_a_damaged_batch_does_not_stop_the_learning():
    """Clipping: else the spike stays in AdamW's second moment for about a thousand steps."""
    count = iter(range(80))

    def loss(logits, targets):
        spike = 1e6 if next(count) == 10 else 1.0
        return spike * DiceCELoss()(logits, targets)

    _, history = train(80, loss=loss)
    assert history.loss[10] > 1e5
    assert sum(history.loss[-10:]) < 0.6 * sum(history.loss[:10])


def test_every_step_and_process_has_a_batch_of_its_own():
    seeds = {
        batch_generator(seed, step, rank).initial_seed()
        for seed in range(4)
        for step in range(50)
        for rank in range(4)
    }
    assert len(seeds) == 4 * 50 * 4


@pytest.mark.parametrize(
    "poison, told",
    [
        (lambda x, y: (x * float("nan"), y), "images hold values that are not finite"),
        (lambda x, y: (x, y * float("inf")), "images are finite"),
    ],
)
def test_a_loss_that_is_not_finite_names_the_step_and_the_batch(poison, told):
    bad = batch_generator(3, 7).initial_seed()

    def poisoned(generator):
        clean = sample(generator)
        return poison(*clean) if generator.initial_seed() == bad else clean

    with pytest.raises(FloatingPointError, match=r"step 7\b.*seed=3, step=7.*" + told):
        fit(fresh_model(), poisoned, 30, seed=3, progress=False)


def test_validation_runs_in_eval_mode_each_so_many_steps():
    modes = []
    _, history = train(10, every=4, validate=lambda m: modes.append(m.training) or {"dice": 0.5})
    assert [row["step"] for row in history.validation] == [4, 8, 10]
    assert modes == [False] * 3 and history.validation[0]["dice"] == 0.5
