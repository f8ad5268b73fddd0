"""The parts of `fit` that a plain run on one CPU does not show: scaler, processes, mean, stages."""

import pytest
import torch
from short_runs import fresh_model, same, sample, train
from torch import nn

from retina_course.training import batch_generator, fit, loop
from retina_course.training.losses import DiceCELoss


class Scaler:
    """Stands in for the scaler of gradients, and writes down what is asked of it."""

    def __init__(self, device, enabled):
        self.device, self.enabled, self.calls = device, enabled, []
        Scaler.last = self

    def scale(self, value):
        self.calls.append("scale")
        return value

    def unscale_(self, optimizer):
        assert "unscale_" not in self.calls[-1:]
        self.calls.append("unscale_")

    def step(self, optimizer):
        self.calls.append("step")
        optimizer.step()

    def update(self):
        self.calls.append("update")

    def state_dict(self):
        return {}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients_are_scaled_in_float16_alone_and_unscaled_before_they_are_clipped(
    precision, monkeypatch
):
    monkeypatch.setattr(torch.amp, "GradScaler", Scaler)
    clip = nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        nn.utils, "clip_grad_norm_", lambda *a: Scaler.last.calls.append("clip") or clip(*a)
    )
    train(2, precision=precision)
    assert (Scaler.last.device, Scaler.last.enabled) == ("cpu", precision == torch.float16)
    assert Scaler.last.calls == ["scale", "unscale_", "clip", "step", "update"] * 2


def test_without_a_precision_the_device_decides(monkeypatch):
    expected, _ = train(4, precision=torch.bfloat16)
    monkeypatch.setattr(loop, "default_precision", lambda device: torch.bfloat16)
    model, _ = train(4)
    assert same(model.state_dict(), expected.state_dict())


def test_the_second_process_has_its_own_batches_and_writes_nothing(tmp_path, monkeypatch, capsys):
    wrapped, seen = [], []

    class Wrapper(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model
            wrapped.append(model)

        def forward(self, x):
            seen.append("forward")
            return self.model(x)

    def batches(generator):
        seen.append(generator.initial_seed())
        return sample(generator)

    monkeypatch.setattr(loop.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(loop.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(loop, "DistributedDataParallel", Wrapper)
    model = fresh_model()
    fit(model, batches, 2, checkpoint=tmp_path / "run.pt")
    expected = [batch_generator(0, step, rank=1).initial_seed() for step in range(2)]
    assert seen == [expected[0], "forward", expected[1], "forward"] and wrapped == [model]
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ""


def test_a_moving_average_is_what_a_run_ends_with_and_what_is_judged():
    """Of weights and of what batch normalisation counts; little of the first, random ones stays."""
    states = []

    def batches(generator):
        states.append({k: v.clone() for k, v in model.state_dict().items()})
        return sample(generator)

    judged = []
    model = fresh_model()
    fit(
        model,
        batches,
        6,
        average=0.3,
        every=3,
        progress=False,
        validate=lambda m: judged.append((m.training, m.state_dict()["conv.weight"].clone())) or {},
    )
    plain, _ = train(6)  # the average changes no step
    states.append(plain.state_dict())
    mean = {k: v.double() for k, v in states[1].items()}  # the first step begins the mean
    for state, stays in zip(states[2:], (2 / 11, 3 / 12, 0.3, 0.3, 0.3), strict=True):
        mean = {k: stays * mean[k] + (1 - stays) * v for k, v in state.items()}
    assert not same(plain.state_dict(), model.state_dict())
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, mean[name].float(), msg=name)
    assert [training for training, _ in judged] == [False, False] and not model.training
    assert torch.equal(judged[-1][1], model.conv.weight)
    with pytest.raises(ValueError, match="average must be at least 0 and below 1, got 1"):
        train(2, average=1)


def test_the_losses_of_all_stages_are_added():
    class Stages(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = fresh_model()

        def forward(self, x):
            logits = self.network(x)
            return logits, 2 * logits

    images, targets = sample(batch_generator(0, 0))
    with torch.no_grad():
        logits = fresh_model().train()(images.to(memory_format=torch.channels_last))
    expected = DiceCELoss()(logits, targets) + DiceCELoss()(2 * logits, targets)
    history = fit(Stages(), sample, 1, progress=False)
    assert history.loss == [pytest.approx(expected.item(), rel=1e-6)]


def test_all_losses_that_a_detector_returns_are_added():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(()))

        def forward(self, images, targets):
            assert [one["labels"].tolist() for one in targets] == [[1], [2]]
            return {"classes": self.value, "boxes": 2 * self.value, "segmentation": 4 * self.value}

    def batch(generator):
        return torch.zeros(2, 3, 8, 8), [{"labels": torch.tensor([i])} for i in (1, 2)]

    assert fit(Detector(), batch, 1, progress=False).loss == [7.0]


def test_the_bar_shows_the_mean_of_the_last_twenty_losses(monkeypatch):
    shown = []
    monkeypatch.setattr(loop.tqdm, "set_postfix", lambda self, loss: shown.append(loss))
    _, history = train(45, every=45)
    means = [sum(history.loss[max(0, end - 20) : end]) / 20 for end in (20, 40, 45)]
    assert shown == [f"{mean:.4f}" for mean in means]


def test_a_loss_that_is_not_finite_is_seen_within_twenty_steps():
    steps = []

    def loss(logits, targets):
        steps.append(len(steps))
        return logits.mean() * (float("inf") if len(steps) == 3 else 1.0)

    with pytest.raises(FloatingPointError, match="step 2"):
        train(200, loss=loss)
    assert len(steps) == 20


def test_a_run_whose_end_is_no_multiple_of_every_is_stored_at_its_end(tmp_path):
    train(5, every=3, checkpoint=tmp_path / "run.pt")
    assert torch.load(tmp_path / "run.pt", weights_only=True)["step"] == 5


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"every": 0}])
def test_no_steps_at_all_is_an_error(wrong):
    with pytest.raises(ValueError, match="steps and every must be at least 1"):
        train(**({"steps": 2} | wrong))
