"""The lines of the leaderboard from made rows: grouping, order, means, spreads and intervals."""

import json

import numpy as np
import pytest
from scipy import stats

from retina_course.evaluation import leaderboard
from retina_course.results import stored

NAMES = ("Image_05L", "Image_05R", "Image_06L", "Image_06R", "Image_07L", "Image_07R")
CHILDREN = ["05", "05", "06", "06", "07", "07"]


def run(seed=0, auc=0.9, f1=0.7, **changes):
    """A stored row, with scores that differ by seed, flips and photograph."""

    def scored(auc, f1):
        images = [{"name": n, "f1": f1 + 0.01 * i**2, "cldice": i} for i, n in enumerate(NAMES)]
        return {"pooled": {"auc": auc, "f1": f1}, "per_image": images[::-1]}

    row = {
        "model": "unet_small",
        "options": {"num_classes": 1},
        "training": "course",
        "recipe": {"fov_diameter": 640, "steps": 6000, "crop": 256},
        "provenance": {"device": "a CPU"},
        "seed": seed,
        "seconds": 6000.0 * (1 + seed),
        "parameters": 63445,
        "flips": scored(auc, f1),
        "no_flips": scored(auc - 0.2, f1 - 0.05),
    }
    return row | changes


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A leaderboard of these rows."""
    monkeypatch.setattr(stored, "_FOLDER", tmp_path)

    def read(*rows):
        (tmp_path / "leaderboard").mkdir()
        for i, row in enumerate(rows):
            (tmp_path / "leaderboard" / f"{i}.json").write_text(json.dumps(row))
        return leaderboard.read()

    return read


def test_runs_that_differ_in_their_seed_alone_are_one_line(board):
    (entry,) = board(run(2), run(0, options={"num_classes": 1}), run(1))
    assert [one["seed"] for one in entry.runs] == [0, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"model": "linknet"},
        {"options": {"num_classes": 1, "fold": 4}},
        {"training": "documented"},
        {"recipe": {"fov_diameter": 512, "steps": 6000, "crop": 256}},
        {"provenance": {"device": "a GPU"}},
    ],
)
def test_any_other_difference_is_another_line(board, change):
    lines = board(run(0), run(1, **change), run(1))
    assert sorted(len(entry.runs) for entry in lines) == [1, 2]


def test_the_order_of_keys_is_no_difference(board):
    turned = {"crop": 256, "steps": 6000, "fov_diameter": 640}
    assert len(board(run(0), run(1, recipe=turned))) == 1


def test_the_best_mean_auc_comes_first(board):
    lines = board(
        run(0, auc=0.91, model="b"),
        run(0, auc=0.99, model="a"),
        run(1, auc=0.81, model="a"),
        run(0, auc=0.95, model="c"),
    )
    assert [entry.name for entry in lines] == ["c 640", "b 640", "a 640"]


def test_the_name_says_the_recipe_where_it_is_another(board):
    (entry,) = board(run(training="documented"))
    assert entry.name == "unet_small documented 640"


def test_scores_per_seed_and_per_photograph(board):
    (entry,) = board(run(1, auc=0.9, f1=0.5), run(0, auc=0.8, f1=0.6))
    assert entry.scores("auc") == [0.8, 0.9]
    assert entry.scores("auc", "no_flips") == pytest.approx([0.6, 0.7])
    assert entry.images == list(NAMES) and entry.children == CHILDREN
    squares = 0.01 * np.arange(6) ** 2
    assert entry.per_image("f1") == pytest.approx(0.55 + squares)
    assert entry.per_image("f1", "no_flips") == pytest.approx(0.5 + squares)
    assert entry.by_seed("f1") == pytest.approx(np.add.outer([0.6, 0.5], squares))
    assert entry.per_image("cldice").tolist() == [0, 1, 2, 3, 4, 5]


def of_three_children(values):
    """The 95 % interval of the mean over three children of two photographs each."""
    by_child = [np.mean(values[:2]), np.mean(values[2:4]), np.mean(values[4:])]
    theirs = stats.ttest_1samp(by_child, 0).confidence_interval()
    return np.mean(values), theirs.low, theirs.high


def test_the_unit_of_the_interval_is_the_child_and_not_the_photograph(board):
    (entry,) = board(run())
    f1, cldice = leaderboard.mean(entry), leaderboard.mean(entry, "cldice")
    assert f1.interval() == pytest.approx(of_three_children(entry.per_image("f1")))
    assert cldice.interval() == pytest.approx(of_three_children([0, 1, 2, 3, 4, 5]))
    assert f1.covers == "patients"


def test_seeds_that_differ_widen_the_interval(board):
    (entry,) = board(run(0, f1=0.60), run(1, f1=0.64))
    found = leaderboard.mean(entry)
    children = np.var([0.005, 0.065, 0.205], ddof=1) / 3  # (0 + 1) / 200, (4 + 9) / 200, ...
    assert found.error**2 == pytest.approx(children + 0.04**2 / 2 / 2)
    assert found.covers == "patients and seeds"
    assert found.value == pytest.approx(np.mean(entry.by_seed("f1")))


def test_the_difference_is_second_less_first_over_children(board):
    better = run(f1=0.8, auc=0.95, model="better")
    for image, more in zip(better["flips"]["per_image"], (0.3, 0.1, 0, 0, 0.2, 0), strict=True):
        image["f1"] += more  # 07R, 07L, ...
    second, first = board(run(), better)
    found = leaderboard.difference(first, second)
    assert found.interval() == pytest.approx(of_three_children([0.1, 0.3, 0.1, 0.1, 0.2, 0.4]))
    assert found.value > 0 and leaderboard.difference(second, first).value == -found.value
    assert leaderboard.difference(first, second, "cldice").interval() == (0, 0, 0)


def test_every_cell_of_the_table(board):
    rows = [run(0, auc=0.9, f1=0.60), run(1, auc=0.92, f1=0.64), run(2, auc=0.91, f1=0.71)]
    other = run(0, auc=0.5, f1=0.4, model="linknet", training="documented", parameters=11_533_377)
    entries = board(other, *rows)
    table = leaderboard.table(entries)
    assert table.head == [
        "Network and scale",
        "AUC",
        "F1",
        "sd over seeds",
        "mean F1, 95 %",
        "covers",
        "F1, no flips",
        "Seeds",
        "Steps",
        "Crop",
        "Parameters",
        "Minutes",
        "Device",
    ]
    intervals = [
        "{:.3f} ({:.3f} to {:.3f})".format(*leaderboard.mean(e).interval()) for e in entries
    ]
    # The sd of 0.60, 0.64, 0.71 with n - 1; 100, 200 and 300 minutes are 200.
    assert table.rows == [
        [
            "unet_small 640",
            "0.9100",
            "0.6500",
            "0.0557",
            intervals[0],
            "children and seeds",
            "0.6000",
        ]
        + ["3", "6,000", "256", "63,445", "200", "a CPU"],
        ["linknet documented 640", "0.5000", "0.4000", "", intervals[1], "children"]
        + ["0.3500", "1", "6,000", "256", "11,533,377", "100", "a CPU"],
    ]


def test_two_seeds_have_a_spread(board):
    ((_, _, f1, spread, *_),) = leaderboard.table(board(run(0, f1=0.6), run(1, f1=0.7))).rows
    assert (f1, spread) == ("0.6500", "0.0707")


def test_without_rows_the_message_says_what_writes_them(board):
    with pytest.raises(ValueError, match="no row yet: python -m benchmarks.scores.leaderboard run"):
        board()
