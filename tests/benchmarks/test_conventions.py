"""The stored scores by many conventions, and the page with the slider, which shows their counts."""

import base64
import csv
import json
import re
import zlib

import numpy as np
import pytest
from bs4 import BeautifulSoup
from run_notebooks import ROOT

from retina_course import results, weights
from retina_course.evaluation import metrics

STORED = results.read("conventions")
ROWS = {split: [r for r in STORED["images"] if r["split"] == split] for split in ("train", "test")}
STATIC = ROOT / "book" / "_static"


def counts(split, i):
    """TP, FP, FN, TN of all photographs of a split at the threshold number i."""
    rows = ROWS[split]
    tp, fp = (sum(row[key][i] for row in rows) for key in ("tp", "fp"))
    vessel, background = (sum(row[key] for row in rows) for key in ("vessel", "background"))
    return np.array([tp, fp, vessel - tp, background - fp])


def convention(name):
    (found,) = [c["scores"] for c in STORED["conventions"] if c["name"] == name]
    return found


def test_they_are_scores_of_the_shipped_weights():
    _, card = weights.load(STORED["model"])
    assert STORED["weights_sha256"] == card["sha256"]
    assert STORED["threshold"] == pytest.approx(card["threshold"], abs=1e-5)
    run = results.read("unet_small_chase_db1")
    assert STORED["dataset"]["digest"] == run["dataset"]["digest"]
    (row,) = [r["flips"] for r in run["runs"] if r["seed"] == card["seed"]]
    for key, value in convention("the protocol").items():
        assert value == pytest.approx(row["pooled"][key], abs=2e-5), key
    assert [r["name"] for r in ROWS["test"]] == run["dataset"]["test"]


def test_the_threshold_is_the_best_of_the_training_photographs():
    thresholds = STORED["thresholds"]
    f1 = [metrics.confusion_scores(counts("train", i))["f1"] for i in range(len(thresholds))]
    assert thresholds[int(np.argmax(f1))] == STORED["threshold"]


def test_conventions_follow_from_the_counts():
    at = counts("test", STORED["thresholds"].index(STORED["threshold"]))
    extra = sum(row["outside"] for row in ROWS["test"])
    drawn = sum(row["vessel_outside"] for row in ROWS["test"])
    padding = len(ROWS["test"]) * (STORED["sides"]["padded"] ** 2 - 999 * 960)
    half = counts("test", STORED["thresholds"].index(0.5))
    expected = {
        "the protocol": at,
        "whole image": at + [0, 0, drawn, extra - drawn],
        "zero-padded": at + [0, 0, drawn, extra - drawn + padding],
        "0.5": half,
        "best for each test image": np.sum([row["own_counts"] for row in ROWS["test"]], axis=0),
    }
    for name, pixels in expected.items():
        for key, value in metrics.confusion_scores(pixels).items():
            assert convention(name)[key] == pytest.approx(value, abs=1e-6), (name, key)
    for row in ROWS["test"] + ROWS["train"]:
        assert row["vessel"] + row["background"] + row["outside"] == 999 * 960


def test_curves_fall_and_give_nearly_the_stored_auc():
    for row in STORED["images"]:
        assert (np.diff(row["tp"]) <= 0).all() and (np.diff(row["fp"]) <= 0).all()
        assert row["tp"][0] <= row["vessel"] and row["fp"][0] <= row["background"]
        x = np.array([row["background"], *row["fp"], 0]) / row["background"]
        y = np.array([row["vessel"], *row["tp"], 0]) / row["vessel"]
        area = float(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum())
        assert row["auc"] - 0.002 < area <= row["auc"] + 1e-6, row["name"]


def test_whole_photographs_have_the_numbers_of_pixels_that_others_counted():
    experiments = pytest.importorskip("mlscorecheck.experiments")
    known = experiments.get_experiment("retina.chase_db1")["manual1"]["images"]
    known = {f"Image_{row['identifier']}": (row["p"], row["n"]) for row in known}
    for row in STORED["images"]:
        vessel = row["vessel"] + row["vessel_outside"]
        assert known[row["name"]] == (vessel, 999 * 960 - vessel)


# --- the page with the slider --------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    text = (STATIC / "threshold_data.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(r"window\.thresholdData = (.*);\n", text)[1])


def test_slider_has_the_stored_counts(data):
    assert data["chosen"] == STORED["threshold"]
    for i, threshold in enumerate(data["thresholds"]):
        found = counts("test", STORED["thresholds"].index(threshold))
        assert [data["tp"][i], data["fp"][i]] == found[:2].tolist()
    assert [data["vessel"], data["background"]] == [found[0] + found[2], found[1] + found[3]]


def test_slider_has_a_map_of_its_photograph(data):
    pixels = np.frombuffer(zlib.decompress(base64.b64decode(data["pixels"])), dtype=np.uint8)
    assert pixels.size == data["side"] ** 2
    levels, vessel = pixels & 127, pixels > 127
    assert levels.max() <= len(data["thresholds"])
    assert data["photograph"] in [row["name"] for row in ROWS["test"]]
    # The middle of a photograph is easier than its rim, but it is the same network.
    f1 = metrics.binary_scores(levels >= 39, vessel)["f1"]
    assert f1 == pytest.approx(convention("the protocol")["f1"], abs=0.1)


def test_table_without_script_has_the_same_numbers():
    with open(STATIC / "threshold.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) >= 10
    for row in table:
        i = STORED["thresholds"].index(float(row.pop("Threshold")))
        scores = metrics.confusion_scores(counts("test", i))
        assert {key.lower(): value for key, value in row.items()} == {
            key.lower(): f"{scores[key.lower()]:.3f}" for key in row
        }


def test_what_the_page_claims_of_its_numbers():
    scores = {
        at: metrics.confusion_scores(counts("test", STORED["thresholds"].index(at)))
        for at in (0.01, 0.99, STORED["threshold"])
    }
    assert scores[0.99]["accuracy"] > 0.9 and scores[0.99]["sensitivity"] < 0.5
    best = convention("best on the test images")["f1"]
    assert 0 < best - scores[STORED["threshold"]]["f1"] < 0.01


def test_slider_can_be_used_by_keyboard_and_read_without_script():
    page = ROOT / "_build" / "html" / "book" / "threshold.html"
    if not page.is_file():
        pytest.skip("the book is not built: make book")
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    slider = soup.select_one("input[type=range]")
    assert soup.select_one(f"label[for={slider['id']}]").get_text(strip=True)
    assert soup.select_one(f"output[for={slider['id']}]")
    (demo,) = [box for box in slider.parents if box.has_attr("hidden")]
    shown = soup.select("article figure img[src*=threshold], article table")
    outside = {tag.name for tag in shown if demo not in tag.parents}
    assert outside == {"img", "table"}  # not hidden, so there without script, too
    named = set(re.findall(r'at\("(\w+)"\)', (STATIC / "threshold.js").read_text()))
    assert all(soup.find(id=f"threshold-{name}") for name in named)
