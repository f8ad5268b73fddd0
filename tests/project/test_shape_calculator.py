"""The shape calculator of the book: its script in node, beside the traced models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from book._ext.shape_page import OPTIONS, description, table
from retina_course import create_model, list_models
from retina_course.shapes.networks import describe
from retina_course.shapes.steps import follow, has_row, predict_macs, predict_table, receptive_field

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "shapes"))
from network_cases import CASES  # noqa: E402

SCRIPT = HERE.parents[1] / "book" / "_static" / "shapes" / "shapes.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def usual(name):
    """The first value of each option, as the page begins with them."""
    options = OPTIONS.get(name, {})
    first = {key: value[0] if isinstance(value, list) else value for key, value in options.items()}
    return {"in_channels": 3, "num_classes": 1, **first}


def run(folder, cases):
    """What the script answers to networks, options and sizes."""
    keys = ("channels", "height", "width")
    jobs = [
        {"name": name, "options": {**usual(name), **options}, "image": size}
        for name, options, size in cases
    ]
    for job in jobs:
        size = (job["options"]["in_channels"], *job["image"])
        job["image"] = dict(zip(keys, size, strict=True))
    text = json.dumps({"description": description(list_models()), "cases": jobs})
    (folder / "jobs.json").write_text(text, encoding="utf-8")
    command = [NODE, HERE / "shape_calculator.js", SCRIPT, folder / "jobs.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_node
def test_tables_are_those_of_the_package(tmp_path):
    """`tests/shapes/test_networks.py` compares the package's with the traced models."""
    assert len(CASES) >= 60
    for (name, options, size), found in zip(CASES, run(tmp_path, CASES), strict=True):
        rows = predict_table(describe(name, **options), (options["in_channels"], *size))
        assert found["said"] == ""
        layers = [(r["name"], r["type"], r["shape"], r["parameters"]) for r in found["rows"]]
        assert layers == [tuple(row) for row in rows[1:-1]]
        assert found["output"] == rows[-1].output_shape
        assert sum(row["parameters"] for row in found["rows"]) == rows[-1].params


@needs_node
def test_operations_and_receptive_fields_are_those_of_the_package(tmp_path):
    for (name, options, size), found in zip(CASES, run(tmp_path, CASES), strict=True):
        steps, shape = describe(name, **options), (options["in_channels"], *size)
        assert [row["macs"] for row in found["rows"]] == predict_macs(steps, shape)
        shapes = [y for step, _, y, _ in follow(steps, shape) if has_row(step)]
        ends = [i for i, step in enumerate(steps, 1) if has_row(step)]
        for row, end, y in zip(found["rows"], ends, shapes, strict=True):
            field = receptive_field(steps[:end], y.height // 2)
            assert (row["first"], row["last"]) == field, (name, row["name"])


SIZES = [(100, 96), (7, 96), (0, 0), (96, 95), (33, 8)]


@needs_node
def test_what_does_not_fit_is_told_in_the_words_of_the_package(tmp_path):
    cases = [(name, {}, size) for name in list_models() for size in SIZES]
    cases += [("unet_large", {"fold": 3}, (96, 64)), ("segnet", {}, (15, 40))]
    answers = run(tmp_path, cases)
    assert sum(answer["said"] != "" for answer in answers) > 35
    for (name, options, size), found in zip(cases, answers, strict=True):
        with torch.device("meta"):
            model = create_model(name, **options).eval()
            image = torch.empty(1, 3, *size)
        if found["said"]:
            with pytest.raises(ValueError) as error:
                model(image)
            assert found["said"] == str(error.value)
        try:
            list(follow(describe(name, **options), (3, *size)))
        except ValueError as error:
            assert found["broken"] == str(error)
        else:
            assert "broken" not in found
    with pytest.raises(ValueError) as error:
        create_model("unet_small", num_classes=0)
    (answer,) = run(tmp_path, [("unet_small", {"num_classes": 0}, (96, 96))])
    assert answer["said"] == str(error.value)


@needs_node
def test_the_stored_table_is_what_the_script_computes(tmp_path):
    (found,) = run(tmp_path, [("unet_small", {}, (256, 256))])
    for line, row in zip(table("unet_small", (3, 256, 256))[1:], found["rows"], strict=True):
        numbers = [row["parameters"], row["macs"], row["last"] - row["first"] + 1]
        assert line[:3] == [row["name"], row["type"], row["shape"]]
        assert line[3:6] == [f"{number:,}" for number in numbers]


def test_every_option_that_changes_the_table_is_offered():
    described = description(list_models())["networks"]
    assert list(described) == list_models()
    for name in list_models():
        described_options = set(described[name]["options"]) - {"num_classes"}
        assert described_options == set(OPTIONS.get(name, {}))
