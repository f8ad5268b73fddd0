"""The figures of book/interactive.md compute what torch and the package's losses compute."""

import json
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from book._ext.figure_tables import IMAGE, LOSSES, PIXELS, gradient_rows, gradients, unpooling

HERE = Path(__file__).parent
BOOK = HERE.parents[1] / "book"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def run(folder, jobs):
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [NODE, HERE / "figures.js", BOOK / "_static" / "figures", folder / "jobs.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_node
def test_unpooling_is_that_of_torch(tmp_path):
    rng = np.random.default_rng(0)
    sides = [(4, 4), (5, 5), (6, 6), (3, 8), (2, 2)] * 6
    images = [IMAGE, *(rng.integers(0, 4, side).tolist() for side in sides)]  # with many ties
    answers = run(tmp_path, [{"kind": "unpooling", "image": image} for image in images])
    for image, found in zip(images, answers, strict=True):
        pooled, indices, back = unpooling(image)
        assert [one["value"] for one in found["windows"]] == sum(pooled, [])
        assert [one["index"] for one in found["windows"]] == sum(indices, [])
        assert found["unpooled"] == back
        assert [found["pooledHeight"], found["pooledWidth"]] == [len(pooled), len(pooled[0])]


@needs_node
def test_gradients_are_those_of_the_losses(tmp_path):
    cases = [
        {"logit": logit, "target": target, "gamma": gamma, "alpha": alpha}
        | {"pixels": PIXELS, "share": share, "right": right}
        for logit, target, (gamma, alpha, share, right) in product(
            (-6, -1.5, 0, 3),
            (0, 1),
            [(0, 0.3, 0.1, 0.9), (2, 0.5, 0.01, 0.5), (3.5, 0.9, 0.5, 0.98), (1, 0.05, 0.2, 0.1)],
        )
    ]
    answers = run(tmp_path, [{"kind": "gradients", **case} for case in cases])
    for case, found in zip(cases, answers, strict=True):
        np.testing.assert_allclose(found, gradients(**case), rtol=1e-3, atol=1e-4)


def test_the_page_and_its_tables_begin_with_the_same_numbers():
    page = (BOOK / "interactive.md").read_text(encoding="utf-8")
    assert json.loads(re.search(r'data-image="(.*?)"', page)[1]) == IMAGE
    assert f'data-pixels="{PIXELS}"' in page
    assert gradient_rows()[0][2:] == list(LOSSES)
