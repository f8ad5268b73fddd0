"""Precision, seeds and several processes."""

import os
import subprocess
import sys

import pytest
import torch
from short_runs import same, train


def test_weights_follow_from_the_seed():
    (first, _), (again, _), (other, _) = train(5), train(5), train(5, seed=1)
    assert same(first.state_dict(), again.state_dict())
    assert not same(first.state_dict(), other.state_dict())


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])  # float16: scaled
def test_autocast_learns_too(precision):
    _, history = train(60, precision=precision)
    assert sum(history.loss[-10:]) < 0.7 * sum(history.loss[:10])


TWO = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, {folder!r})
import short_runs as t
from retina_course.training import distributed
with distributed():
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
