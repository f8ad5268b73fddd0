"""The stored results, and the tables that chapters make of them."""

import copy
import json
import re

import pytest

from retina_course import results
from retina_course.figures import plotting
from retina_course.results import Table, budgets, stored

NAMES = sorted(
    file.name.removesuffix(".json")
    for file in stored._FOLDER.iterdir()
    if file.name.endswith("_chase_db1.json")
)


@pytest.fixture
def result():
    return results.read("unet_small_chase_db1")


def test_unknown_results_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unet_small_chase_db1"):
        results.read("unet_tiny_chase_db1")
    with pytest.raises(ValueError, match="errors.jpg"):
        results.image("nothing.jpg")


def test_results_by_device(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match="speed.py in benchmarks/ writes it"):
        results.by_device("speed")
    (tmp_path / "speed").mkdir()
    for device in ("BA", "AB"):  # sorted by the whole name
        content = {"device": device, "rows": [device]}
        (tmp_path / "speed" / f"{device}.json").write_text(json.dumps(content))
    found = results.by_device("speed")
    assert list(found) == ["AB", "BA"] and found["BA"]["rows"] == ["BA"]


@pytest.mark.parametrize("name", NAMES)
def test_summaries_are_those_of_the_stored_runs(name):
    result = results.read(name)
    for row in ("flips", "no_flips"):
        for score in ("auc", "f1", "sensitivity"):
            values = [run[row]["pooled"][score] for run in result["runs"]]
            mean = result["summary"][row][score]["mean"]
            assert mean == pytest.approx(sum(values) / len(values))
    assert result["protocol"] == results.read(NAMES[0])["protocol"]
    assert result["dataset"] == results.read(NAMES[0])["dataset"]
    for key in ("commit", "device", "torch", "date"):
        assert result["provenance"][key]


def test_scores_show_mean_and_spread_and_the_two_rows_for_free(result):
    table = results.scores(result)
    rows = {row[0]: row[1:] for row in table.rows}
    auc = result["summary"]["flips"]["auc"]
    assert rows["auc"] == [
        f"{auc['mean']:.4f} ± {auc['sd']:.4f}",
        *rows["auc"][1:2],
        "-",
        "-",
    ]
    assert rows["f1"][2] == f"{result['second_observer']['pooled']['f1']:.4f}"
    assert rows["f1"][3] == "0.0000"
    one = copy.deepcopy(result)
    for score in one["summary"]["flips"].values():
        score["sd"] = None
    assert re.fullmatch(r"0\.\d{4}", results.scores(one).rows[0][1])


def test_facts_name_protocol_recipe_and_machine(result):
    rows = dict(results.facts(result).rows)
    assert rows["steps"] == f"{result['recipe']['steps']:,}"
    assert rows["training images"] == "8" and rows["test images"] == "20"
    assert rows["device"].startswith(result["provenance"]["device"])


def test_comparison_has_one_row_a_network_sorted_by_auc():
    table = results.comparison()
    networks = table.rows[:-2]
    assert len(networks) == len(NAMES)
    aucs = [float(row[1]) for row in networks]
    assert aucs == sorted(aucs, reverse=True)
    assert [row[0] for row in table.rows[-2:]] == ["second observer", "empty prediction"]


def test_equal_budgets_are_means_over_the_seeds_beside_the_second_observer(result):
    rows = {row[0]: row for row in results.equal_budget("segnet", "w_net").rows}
    runs = [r for r in stored.read_all(".json", "equal_budget") if r["network"] == "segnet"]
    mean = sum(run["flips"]["pooled"]["f1"] for run in runs) / len(runs)
    assert rows["segnet"][2] == f"{mean:.4f}" and rows["segnet"][-1] == str(len(runs)) == "2"
    person = result["second_observer"]["pooled"]
    assert rows["second observer"][2] == f"{person['f1']:.4f}"
    scores = {row[0]: row[1:] for row in results.budget_scores("segnet").rows}
    assert scores["f1"] == [f"{mean:.4f}", f"{person['f1']:.4f}", "0.0000"]
    with pytest.raises(ValueError, match="No row of 'vgg'. Available: linknet, "):
        results.equal_budget("vgg")


def test_equal_compute_is_sorted_by_auc_and_has_one_training_time(monkeypatch):
    def row(network, auc, minutes=4.0):
        cost = {"minutes": minutes, "step_seconds": 0.2, "cpu_seconds": 239.6}
        pooled = {"auc": auc, "f1": 0.75}
        return {"network": network, **cost, "recipe": {"steps": 1200}, "flips": {"pooled": pooled}}

    rows = [row("segnet", 0.8), row("w_net", 0.9)]
    monkeypatch.setattr(budgets, "read_all", lambda *_: rows)
    assert results.equal_compute().rows == [
        ["w_net", "1,200", "0.9000", "0.7500", "0.20", "240"],
        ["segnet", "1,200", "0.8000", "0.7500", "0.20", "240"],
    ]
    rows.append(row("linknet", 0.7, minutes=8.0))
    with pytest.raises(ValueError, match=r"got rows of \[4.0, 8.0\] minutes"):
        results.equal_compute()
    rows.clear()
    with pytest.raises(ValueError, match="No network is stored at equal compute yet"):
        results.equal_compute()


def test_a_table_aligns_its_text_and_escapes_its_html():
    table = Table(["name", "n"], [["a<b", "1"], ["c", "1,000"]])
    assert str(table).splitlines() == ["name      n", "a<b       1", "c     1,000"]
    assert "a&lt;b" in table._repr_html_() and "a<b" not in table._repr_html_()


def test_stored_numbers_are_json_without_nan():
    for file in stored._FOLDER.rglob("*.json"):
        json.loads(file.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_figures_of_a_stored_run_show_every_seed_and_photograph(result):
    curves = plotting.run_curves(result).axes[0]
    assert len(curves.lines) == len(result["runs"])
    dots = plotting.per_image(result).axes[0]
    assert [len(line.get_xdata()) for line in dots.lines] == [20] * len(result["runs"])
    assert list(dots.lines[0].get_ydata()) == sorted(dots.lines[0].get_ydata())


@pytest.mark.parametrize("topic", ["retina_unet", "linknet", "encoder"])
def test_speed_has_every_network_and_format_and_its_medians(topic):
    cases = [
        case
        for case in results.read("speed")["cases"]
        if (case["topic"], case["device"]) == (topic, "cpu")
    ]
    table = results.speed(topic)
    for column, case in enumerate(cases, start=2):
        rows = {(row[0], row[1]): row[column] for row in table.rows if row[column] != "-"}
        assert len(rows) == len(case["contenders"])
        for one in case["contenders"]:
            peer = "" if one["owner"] == "ours" else f"{one['owner']} "
            text = rows[peer + one["name"], one["format"]]
            assert float(text.split(" (")[0]) == pytest.approx(one["ms"][1], rel=0.005)
            assert ("(" in text) == (one["owner"] != "ours" and "ours_to_this" in one)


def test_speed_that_was_not_measured_is_answered_with_what_was():
    with pytest.raises(ValueError, match="encoder on cpu.*retina_unet on cpu"):
        results.speed("unet_small")


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
