"""Every cell of the tables, from made results; and how a table shows itself."""

import copy
import json
import subprocess
import sys

import pytest

from retina_course import results
from retina_course.results import Table, stored, tables

SCORES = ["auc", "average_precision", "f1", "f1_at_half", "mcc", "accuracy", "sensitivity"]
SCORES += ["specificity", "iou", "cldice"]
WITHOUT_CURVE = [score for score in SCORES if score not in ("auc", "average_precision")]


def scored(offset, sd=0.001):
    """Ten different means, and as many different spreads."""
    return {
        score: {"mean": offset + i / 100, "sd": None if sd is None else sd * (i + 1)}
        for i, score in enumerate(SCORES)
    }


def binary(offset):
    """Scores of a binary map: clDice is a mean over images, all others are pooled."""
    pooled = {score: offset + i / 1000 for i, score in enumerate(WITHOUT_CURVE[:-1])}
    del pooled["f1_at_half"]
    return {"pooled": pooled, "mean": dict.fromkeys(pooled, 0.0) | {"cldice": offset + 0.5}}


@pytest.fixture
def result():
    return {
        "protocol": {"ground_truth": "first observer", "field_of_view": "a circle"},
        "dataset": {
            "name": "MADE",
            "train": ["a", "b", "c"],
            "test": ["d", "e"],
            "digest": "0123456789abcdefgh",
        },
        "model": {
            "name": "unet_tiny",
            "options": {"num_classes": 1, "fold": 4, "skip": "add"},
            "parameters": 1_234_567,
            "macs": 2_345_678_901,
            "training_size": [4, 3, 256, 320],
        },
        "recipe": {
            "steps": 12_000,
            "batch_size": 8,
            "crop": 192,
            "fov_diameter": 1_280,
            "loss": "Dice",
            "optimizer": "AdamW",
            "lr": 0.003,
            "precision": "bfloat16",
        },
        "provenance": {
            "device": "a CPU",
            "threads": 3,
            "torch": "2.13",
            "commit": "0123456789" + 30 * "a" + " and changes",
            "date": "2026-01-02",
        },
        "runs": [{"seed": 4, "seconds": 1_000.0}, {"seed": 5, "seconds": 3_200.0}],
        "summary": {"flips": scored(0.8), "no_flips": scored(0.7)},
        "second_observer": binary(0.6),
        "empty": binary(0.1),
    }


def test_every_line_of_the_facts(result):
    table = results.facts(result)
    assert table.head == ["What", "Value"]
    assert table.rows == [
        ["ground truth", "first observer"],
        ["field of view", "a circle"],
        ["data", "MADE"],
        ["training images", "3"],
        ["test images", "2"],
        ["SHA-256 of all", "0123456789abcdef"],
        ["options", "fold=4, skip=add"],
        ["parameters", "1,234,567"],
        ["MACs", "2.35 G at 256 x 320"],
        ["steps", "12,000"],
        ["batch", "8 crops of side 192"],
        ["scale", "field of view of 1280 pixels"],
        ["loss", "Dice"],
        ["optimizer", "AdamW"],
        ["learning rate", "0.003"],
        ["precision", "bfloat16"],
        ["device", "a CPU, 3 thread(s)"],
        ["torch", "2.13"],
        ["seeds", "4, 5"],
        ["minutes a seed", "17, 53"],
        ["commit", "0123456789 and changes"],
        ["date", "2026-01-02"],
    ]
    result["model"]["options"] = {"num_classes": 1}
    assert dict(results.facts(result).rows)["options"] == "none"


def test_every_score_of_a_run(result):
    result["summary"]["no_flips"] = scored(0.7, sd=None)
    table = results.scores(result)
    assert table.head == ["Score", "4 flips", "no flips", "second observer", "empty prediction"]
    assert table.rows == [
        ["auc", "0.8000 ± 0.0010", "0.7000", "-", "-"],
        ["average_precision", "0.8100 ± 0.0020", "0.7100", "-", "-"],
        ["f1", "0.8200 ± 0.0030", "0.7200", "0.6000", "0.1000"],
        ["f1_at_half", "0.8300 ± 0.0040", "0.7300", "-", "-"],
        ["mcc", "0.8400 ± 0.0050", "0.7400", "0.6020", "0.1020"],
        ["accuracy", "0.8500 ± 0.0060", "0.7500", "0.6030", "0.1030"],
        ["sensitivity", "0.8600 ± 0.0070", "0.7600", "0.6040", "0.1040"],
        ["specificity", "0.8700 ± 0.0080", "0.7700", "0.6050", "0.1050"],
        ["iou", "0.8800 ± 0.0090", "0.7800", "0.6060", "0.1060"],
        ["cldice", "0.8900 ± 0.0100", "0.7900", "1.1000", "0.6000"],
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of results in place of the stored ones."""
    monkeypatch.setattr(stored, "_FOLDER", tmp_path)

    def write(name, content):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")

    return write


def test_every_cell_of_the_comparison(result, folder):
    better = copy.deepcopy(result)
    better["model"] |= {"name": "best", "macs": 999_000_000, "parameters": 17}
    better["model"]["training_size"] = [1, 3, 64, 96]
    better["recipe"] |= {"fov_diameter": 512, "steps": 200}
    better["runs"], better["summary"]["flips"] = better["runs"][:1], scored(0.9, sd=None)
    better["provenance"]["device"] = "a GPU"
    folder("a_chase_db1.json", result)
    folder("b_chase_db1.json", better)
    folder("c_idrid.json", {"summary": "of something else"})
    table = results.comparison()
    assert table.head == ["Prediction", "AUC", "F1", "sd of F1", "Parameters", "MACs"] + [
        *["at H x W", "FOV, pixels", "Steps", "Seeds", "Training, s", "Device"]
    ]
    assert table.rows == [
        ["best", "0.9000", "0.9200", "", "17", "999 M", "64 x 96"]
        + ["512", "200", "1", "1,000", "a GPU"],
        ["unet_tiny", "0.8000", "0.8200", "0.0030", "1,234,567", "2.35 G", "256 x 320"]
        + ["1,280", "12,000", "2", "2,100", "a CPU"],
        ["second observer", "", "0.6000", *[""] * 9],
        ["empty prediction", "", "0.1000", *[""] * 9],
    ]


def test_the_comparison_of_one_network(result, folder):
    folder("a_chase_db1.json", result)
    assert [row[0] for row in results.comparison().rows] == [
        *["unet_tiny", "second observer", "empty prediction"]
    ]


@pytest.mark.parametrize(
    "macs, text", [(10**9, "1 G"), (10**9 - 10**6, "999 M"), (1_234_000, "1.23 M")]
)
def test_operations_have_three_digits_and_a_unit(macs, text):
    assert tables._macs(macs) == text


def contender(name, ms, kind="contiguous", owner="ours", **more):
    return {"name": name, "owner": owner, "format": kind, "ms": [1.0, ms, 9.0]} | more


def test_every_cell_of_the_speeds(folder):
    case = {"topic": "linknet", "device": "cpu", "task": "forward", "precision": "float32"}
    case |= {"input": [1, 3, 64, 96]}
    first = [
        contender("LinkNet", 12.345),
        contender("LinkNet", 8.0, "channels_last"),
        contender("LinkNet", 15.0, owner="smp", ours_to_this=[0.1, 0.823, 0.9]),
    ]
    other = [contender("UNet", 123.45), contender("LinkNet", 0.5)]
    cases = [
        case | {"contenders": first},
        case | {"device": "cuda", "contenders": [contender("LinkNet", 2.0)]},
        case | {"topic": "encoder", "contenders": [contender("ResNet", 3.0)]},
        case
        | {"task": "step", "precision": "bfloat16", "input": [4, 3, 32, 32]}
        | {"contenders": other},
    ]
    folder("speed.json", {"cases": cases})
    table = results.speed("linknet")
    assert table.head == ["Network", "Format"] + [
        *["forward, float32, 1 x 3 x 64 x 96", "step, bfloat16, 4 x 3 x 32 x 32"]
    ]
    assert table.rows == [
        ["LinkNet", "contiguous", "12.3", "0.5"],
        ["LinkNet", "channels_last", "8", "-"],
        ["smp LinkNet", "contiguous", "15 (0.82)", "-"],
        ["UNet", "contiguous", "-", "123"],
    ]
    assert results.speed("linknet", "cuda").rows == [["LinkNet", "contiguous", "2"]]
    known = "Available: encoder on cpu, linknet on cpu, linknet on cuda"
    with pytest.raises(ValueError, match=f"No speed of 'encoder' on 'cuda'. {known}"):
        results.speed("encoder", "cuda")


def test_a_table_as_text_and_as_html():
    table = Table(["a", "number"], [["longer", "1"], ["&", "22"]])
    assert str(table) == repr(table) == "a       number\nlonger       1\n&           22"
    left, right = 'style="text-align: left"', 'style="text-align: right"'
    assert table._repr_html_() == (
        f"<table><thead><tr><th {left}>a</th><th {right}>number</th></tr></thead><tbody>"
        f"<tr><td {left}>longer</td><td {right}>1</td></tr>"
        f"<tr><td {left}>&amp;</td><td {right}>22</td></tr></tbody></table>"
    )


def test_rows_of_another_length_than_the_head_are_refused():
    for rows in ([["a"]], [["a", "b", "c"]]):
        with pytest.raises(ValueError):
            str(Table(["one", "two"], rows))


def test_results_are_read_as_utf_8_whatever_the_machine_has():
    code = "from retina_course import results; results.comparison(); results.read('speed')"
    options = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning:" + stored.__name__]
    subprocess.run([sys.executable, *options, "-c", code], check=True)


def test_reading_by_name_and_by_ending(folder, tmp_path):
    (tmp_path / "dot.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    for name in ("b_x.json", "a_x.json", "a_y.json", "more/c_x.json", "a_x.json.old"):
        folder(name, {"name": name})
    assert results.read("a_y") == {"name": "a_y.json"}
    assert [r["name"] for r in stored.read_all("_x.json")] == ["a_x.json", "b_x.json"]
    assert [r["name"] for r in stored.read_all("_x.json", "more")] == ["more/c_x.json"]
    assert stored.read_all("_x.json", "nowhere") == []
    with pytest.raises(ValueError, match="No stored result 'c'. Available: a_x, a_y, b_x[.]$"):
        results.read("c")
    with pytest.raises(ValueError, match="No stored result 'c.png'. Available: none[.]$"):
        results.image("c.png")
    assert results.image("dot.jpg").data == b"\xff\xd8\xff\xe0 not much of a picture"
