import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from retina_course import create_model, results, training
from retina_course.training import (
    Evaluate,
    Train,
    batch_generator,
    checkpoints,
    fit,
    seed_everything,
)
from retina_course.training.losses import DiceCELoss, DiceLoss, IoU

SIZE = 32


def sample(generator):
    """Bright stripes on noise: learnt in a few steps."""
    images = torch.rand(2, 3, SIZE, SIZE, generator=generator) * 0.3
    rows = torch.randint(2, SIZE - 4, (2,), generator=generator).tolist()
    targets = torch.zeros(2, 1, SIZE, SIZE)
    for target, row in zip(targets, rows, strict=True):
        target[:, row : row + 3] = 1
    return images + 0.6 * targets, targets


def fresh_model():
    seed_everything(0)
    return create_model("unet_small")


def train(steps=60, **options):
    model = fresh_model()
    return model, fit(model, sample, steps, progress=False, **options)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


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


def test_weights_follow_from_the_seed():
    (first, _), (again, _), (other, _) = train(5), train(5), train(5, seed=1)
    assert same(first.state_dict(), again.state_dict())
    assert not same(first.state_dict(), other.state_dict())


RUN = """
import sys, time, pathlib
sys.path.insert(0, {folder!r})
import test_training as t
def slow(generator):
    time.sleep(0.02)
    return t.sample(generator)
model = t.fresh_model()
t.fit(model, slow, 60, every=5, checkpoint={checkpoint!r}, progress=False)
"""


def test_a_run_killed_in_the_middle_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    expected, history = train(60, every=5)
    checkpoint = tmp_path / "run.pt"
    code = RUN.format(folder=os.path.dirname(__file__), checkpoint=str(checkpoint))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.time() + 120
    while not checkpoint.exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < stopped < 60, "the run must be killed before its end"
    model, resumed = train(60, every=5, checkpoint=checkpoint)
    assert same(model.state_dict(), expected.state_dict())
    assert resumed.loss == history.loss


def test_a_finished_run_is_not_run_again(tmp_path):
    file = tmp_path / "run.pt"
    model, history = train(6, checkpoint=file)
    again, stored = train(6, checkpoint=file)
    assert same(model.state_dict(), again.state_dict()) and stored == history


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused_and_kept(tmp_path):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)
    with pytest.raises(ValueError, match="another run.*'steps': 4.*'steps': 5"):
        train(5, checkpoint=file)
    with pytest.raises(ValueError, match="another run.*'crop': 8"):
        train(4, checkpoint=file, settings={"crop": 8})
    with pytest.raises(ValueError, match="another model"):
        fit(create_model("unet_small", num_classes=2), sample, 4, checkpoint=file, progress=False)
    content = file.read_bytes()[:100]
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        train(4, checkpoint=file)
    assert file.read_bytes() == content


def test_a_run_with_numbers_of_numpy_can_be_continued(tmp_path):
    file = tmp_path / "run.pt"
    settings = {"scale": (np.float32(0.5), 1.0), "seeds": np.arange(2)}
    options = {"checkpoint": file, "settings": settings}
    options["validate"] = lambda model: {"f1": np.mean([0.5, 0.75])}
    _, history = train(4, **options)
    _, stored = train(4, **options)
    assert stored == history and stored.validation == [{"step": 4, "f1": 0.625}]


def test_lack_of_memory_is_not_called_a_damaged_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)

    def no_memory(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(checkpoints.torch, "load", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        train(4, checkpoint=file)


def test_a_failed_save_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    train(4, checkpoint=file)
    before = file.read_bytes()
    monkeypatch.setattr(checkpoints.torch, "save", lambda content, f: f.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoints.save(file, 4, training.History(), {}, {})
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


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


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])  # float16: scaled
def test_autocast_learns_too(precision):
    _, history = train(60, precision=precision)
    assert sum(history.loss[-10:]) < 0.7 * sum(history.loss[:10])


TWO = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, {folder!r})
import test_training as t
with t.training.distributed():
    model = t.fresh_model()
    t.fit(model, t.sample, 6, checkpoint={checkpoint!r}, progress=False)
    mine = torch.cat([p.detach().flatten() for p in model.parameters()])
    both = [torch.empty_like(mine) for _ in range(2)]
    dist.all_gather(both, mine)
    assert torch.equal(*both), "the processes' weights differ"
    print("equal in process", dist.get_rank())
"""


def test_two_processes_train_one_model_under_torchrun(tmp_path):
    script, checkpoint = tmp_path / "two.py", tmp_path / "run.pt"
    script.write_text(TWO.format(folder=os.path.dirname(__file__), checkpoint=str(checkpoint)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal in process") == 2
    one, _ = train(6)
    two = torch.load(checkpoint, weights_only=True)["model"]
    assert not same(one.state_dict(), two), "the second process must see batches of its own"


def test_stored_speed_compares_runs_that_compute_the_same():
    for case in results.read("training_speed")["cases"]:
        rows = case["rows"]
        assert rows[0]["stage"] == "bare loop" and len(rows) + len(case["skipped"]) == 7
        assert {row["stage"] for row in rows}.isdisjoint(case["skipped"])
        for row, before in zip(rows, rows[:1] + rows, strict=False):
            assert row["loss_differs_by"] < 0.05
            assert sorted(row["ms"]) == row["ms"]
            # Medians of ratios and ratios of medians agree where the rounds do.
            ratio = row["ms"][1] / before["ms"][1]
            assert row["of_the_stage_before"][1] == pytest.approx(ratio, rel=0.3)


class TestTheDocumentedCalls:
    def test_train_and_evaluate(self):
        loader = [sample(batch_generator(0, step)) for step in range(8)]
        model = fresh_model()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        train = Train(dice=DiceLoss(), iou=IoU())
        evaluate = Evaluate(dice=DiceLoss(), iou=IoU())
        first = train.forward(model=model, loader=loader, optimizer=optimizer)
        for _ in range(6):
            last = train.forward(model=model, loader=loader, optimizer=optimizer)
        assert last[0] < first[0] and last[1] < first[1]
        before = {k: v.clone() for k, v in model.state_dict().items()}
        dice, iou = evaluate.forward(model=model, loader=loader)
        assert same(before, model.state_dict()) and not model.training
        assert 0 < dice < iou < 1

    def test_the_sum_of_both_losses_is_back_propagated_once(self):
        model = nn.Conv2d(3, 1, 1)
        twin = nn.Conv2d(3, 1, 1)
        twin.load_state_dict(model.state_dict())
        images, targets = sample(batch_generator(0, 0))
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = [(images, targets)]
        Train(dice=DiceLoss(), iou=IoU()).forward(model=model, loader=loader, optimizer=sgd)
        (DiceLoss()(twin(images), targets)[1] + IoU()(twin(images), targets)[1]).backward()
        torch.testing.assert_close(model.weight, twin.weight - 0.1 * twin.weight.grad)

    def test_an_empty_loader_is_named(self):
        with pytest.raises(ValueError, match="no batch"):
            Evaluate(dice=DiceLoss(), iou=IoU()).forward(model=nn.Conv2d(3, 1, 1), loader=[])
