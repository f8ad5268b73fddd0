"""A run that was stopped goes on with everything that it is made of."""

import pytest
import torch
from short_runs import fresh_model, same, sample

from retina_course.training import batch_generator, fit, loop

STEPS, EVERY = 12, 4


class Stopped(Exception):
    """What stops a run between two checkpoints."""


def run(file, stop=None, steps=STEPS, **options):
    """A run of its own model; it stops before the batch `stop`."""
    end = None if stop is None else batch_generator(options.get("seed", 0), stop).initial_seed()

    def batches(generator):
        if generator.initial_seed() == end:
            raise Stopped
        return sample(generator)

    model = fresh_model()
    options = {"every": EVERY, "checkpoint": file, "progress": False} | options
    return model, fit(model, batches, steps, **options)


def stop_and_read(file, **options):
    with pytest.raises(Stopped):
        run(file, stop=7, **options)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    "options", [{}, {"average": 0.9}, {"precision": torch.float16}], ids=["plain", "mean", "half"]
)
def test_the_weights_are_those_of_an_uninterrupted_run(tmp_path, options):
    expected, history = run(tmp_path / "whole.pt", **options)
    assert stop_and_read(tmp_path / "a.pt", **options)["step"] == EVERY
    model, resumed = run(tmp_path / "a.pt", **options)
    assert same(model.state_dict(), expected.state_dict())
    assert resumed.loss == history.loss


def test_the_optimizer_and_the_scaler_go_on_where_they_were(tmp_path):
    run(tmp_path / "whole.pt", precision=torch.float16)
    stop_and_read(tmp_path / "a.pt", precision=torch.float16)
    run(tmp_path / "a.pt", precision=torch.float16)
    whole, resumed = (
        torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "a.pt")
    )
    assert whole["scaler"] == resumed["scaler"] and whole["scaler"]["_growth_tracker"] > EVERY
    assert whole["optimizer"]["param_groups"] == resumed["optimizer"]["param_groups"]
    for one, other in zip(
        whole["optimizer"]["state"].values(), resumed["optimizer"]["state"].values(), strict=True
    ):
        assert one["step"] == other["step"] == STEPS and same(one, other)


def test_its_seconds_count_on_and_leave_out_the_writing(tmp_path, monkeypatch):
    clock, write = [0.0], loop.save

    def slow_save(*arguments):
        write(*arguments)
        clock[0] += 1000

    def tick(generator):
        clock[0] += 1
        return sample(generator)

    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(loop, "save", slow_save)
    options = {"every": EVERY, "checkpoint": tmp_path / "a.pt", "progress": False}
    history = fit(fresh_model(), tick, STEPS, **options)
    assert history.seconds == STEPS
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content["step"], content["history"]["seconds"] = STEPS - 1, 500.0
    torch.save(content, tmp_path / "a.pt")
    assert fit(fresh_model(), tick, STEPS, **options).seconds == 501


@pytest.mark.parametrize(
    "other, told",
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"lr": 0.02}, "lr is 0.01 there, 0.02 here"),
        ({"average": 0.5}, "average is 0.9 there, 0.5 here"),
        ({"average": 0.0}, "average is 0.9 there, None here"),
        ({"steps": 13}, "steps is 12 there, 13 here"),
    ],
)
def test_what_differs_is_named(tmp_path, other, told):
    stop_and_read(tmp_path / "a.pt", average=0.9)
    with pytest.raises(ValueError, match=f"another run: {told}"):
        run(tmp_path / "a.pt", **({"average": 0.9} | other))


def test_the_bar_begins_where_the_run_goes_on(tmp_path, capsys):
    stop_and_read(tmp_path / "a.pt")
    run(tmp_path / "a.pt", progress=True)
    assert f"{EVERY}/{STEPS}" in capsys.readouterr().err
    run(tmp_path / "b.pt")
    assert capsys.readouterr().err == ""
