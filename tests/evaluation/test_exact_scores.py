"""Scores and intervals by hand and by loops, to the last digit and at every edge."""

import inspect
import math
from functools import cache

import numpy as np
import pytest
import torch

from retina_course.evaluation import bootstrap, evaluate, metrics
from retina_course.evaluation.detection_metrics import (
    average_precision,
    best_threshold,
    bootstrap_average_precision,
    precision_recall,
    true_positives,
)

FOV = np.ones((3, 12), dtype=bool)


def row(*columns, of=1):
    """A mask of 3 x 12 pixels with these columns of one row."""
    mask = np.zeros((3, 12), dtype=bool)
    mask[of, list(columns)] = True
    return mask


# --- vessel maps ----------------------------------------------------------------------------------


def test_centreline_dice_of_two_thin_lines_by_hand():
    found, target = row(*range(10)), row(*range(6, 12))
    precision, sensitivity = 4 / 10, 4 / 6
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert metrics.cldice(found, target) == pytest.approx(expected)
    assert metrics.cldice(row(0, 1, 2), row(4, 5)) == 0
    assert metrics.cldice(row(), row()) == 1
    assert metrics.cldice(row(), row(4)) == metrics.cldice(row(4), row()) == 0


def test_scores_that_are_zero_by_zero():
    nothing = metrics.confusion_scores([0, 0, 0, 9])
    assert nothing["f1"] == nothing["iou"] == nothing["specificity"] == nothing["accuracy"] == 1
    assert nothing["mcc"] == 0 and math.isnan(nothing["sensitivity"])
    everything = metrics.confusion_scores([9, 0, 0, 0])
    assert everything["sensitivity"] == 1 and math.isnan(everything["specificity"])
    with pytest.raises(ValueError, match="TP, FP, FN, TN = 0, 0, 0, 0 are not counts"):
        metrics.confusion_scores([0, 0, 0, 0])
    with pytest.raises(ValueError, match="four numbers.*got 7"):
        metrics.confusion_scores(7)


def test_what_is_not_binary_is_named_with_its_range():
    with pytest.raises(ValueError, match="prediction to be bool or 0 and 1, got float64 values"):
        metrics.binary_scores(np.array([0.25, 1.0]), np.array([0, 1]))
    with pytest.raises(ValueError, match="target to be .* got int64 values from 0 to 2"):
        metrics.binary_scores(np.array([0, 1]), np.array([0, 2]))
    with pytest.raises(ValueError, match="target to be"):
        metrics.confusion_curve(np.array([0.5, 1.0]), np.array([0, 2]), [0.5])


def test_means_and_spreads_leave_out_what_is_not_a_number():
    """Three images: F1 0.5, 1 and 1; the third has no vessel, and so no sensitivity."""
    targets = [row(0, 1, 2), row(3, 4), row()]
    maps = [row(2, 3), row(3, 4), row()]
    maps[0][1, 3] = False
    fovs = [FOV] * 3
    result = evaluate([m.astype(float) for m in maps], targets, fovs, threshold=0.5)
    assert result["threshold"] == 0.5 and result["empty_targets"] == 1
    parts = (*result["per_image"], result["pooled"], result["mean"], result["sd"])
    assert {type(value) for part in parts for value in part.values()} == {float}
    f1, sensitivity = [0.5, 1.0, 1.0], [1 / 3, 1.0]
    assert [image["f1"] for image in result["per_image"]] == pytest.approx(f1)
    assert result["mean"]["f1"] == pytest.approx(np.mean(f1))
    assert result["sd"]["f1"] == pytest.approx(np.std(f1, ddof=1))
    assert result["mean"]["sensitivity"] == pytest.approx(np.mean(sensitivity))
    assert result["sd"]["sensitivity"] == pytest.approx(np.std(sensitivity, ddof=1))
    alone = evaluate([maps[2].astype(float)], targets[2:], fovs[2:], threshold=0.5)
    assert math.isnan(alone["mean"]["sensitivity"]) and math.isnan(alone["sd"]["sensitivity"])
    assert alone["mean"]["f1"] == 1 and math.isnan(alone["sd"]["f1"])


def test_one_threshold_holds_for_all_images_and_all_scores():
    p, target = np.linspace(0, 1, 36).reshape(3, 12), row(*range(3, 12), of=2)
    for threshold in (0.25, 0.75):
        found = p.astype(np.float32) >= threshold
        result = evaluate([p, p], [target, found], [FOV, FOV], threshold)
        first, second = result["per_image"]
        assert first["f1"] == metrics.binary_scores(found, target)["f1"] and second["f1"] == 1
        assert first["cldice"] == metrics.cldice(found, target) and second["cldice"] == 1
        both = metrics.confusion(found, target) + metrics.confusion(found, found)
        assert result["pooled"]["mcc"] == metrics.confusion_scores(both)["mcc"]


def test_centrelines_and_empty_targets_are_those_inside_the_field_of_view():
    fov = FOV.copy()
    fov[:, 6:] = False
    found, target = row(*range(12)), row(*range(3, 12))
    result = evaluate([found.astype(float)], [target], [fov], threshold=0.5)
    inside = metrics.cldice(found & fov, target & fov)
    assert inside == pytest.approx(2 * 0.5 / 1.5)
    assert result["per_image"][0]["cldice"] == inside
    outside = evaluate([found.astype(float)], [row(8)], [fov], threshold=0.5)
    assert outside["empty_targets"] == 1


def test_the_best_threshold_is_the_lowest_of_the_best():
    # F1 is 2/3 at 0.2 (two of four are vessels) and at 0.8 (one of the two vessels), else less.
    p, t = np.array([0.8, 0.6, 0.4, 0.2]), np.array([True, False, False, True])
    assert metrics.best_threshold(p, t) == 0.2
    assert metrics.best_threshold(np.array([0.1, 0.3]), np.array([True, False])) == 0.1


@pytest.mark.parametrize(
    "value, inside", [(0.0, True), (1.0, True), (-1e-6, False), (1.001, False)]
)
def test_probabilities_lie_in_0_to_1_with_both_ends(value, inside):
    p = np.full((3, 12), value)
    if inside:
        assert metrics.pool([p], [row(1)], [FOV])[0].dtype == np.float32
        return
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        metrics.pool([p], [row(1)], [FOV])


def test_each_list_and_each_array_must_fit():
    one, mask = np.zeros((3, 12)), row(1)
    for lists in (([one], [mask], []), ([one], [], [FOV]), ([], [mask], [FOV])):
        with pytest.raises(ValueError, match="as many predictions as targets and FOVs"):
            metrics.pool(*lists)
    for arrays in ((one, mask, FOV[:2]), (one, mask[:2], FOV), (one[:2], mask, FOV)):
        with pytest.raises(ValueError, match="Image 1: .* one shape"):
            metrics.pool(*zip((one, mask, FOV), arrays, strict=True))
    for arrays in ((one, mask, FOV.astype(int)), (one, mask.astype(int), FOV)):
        with pytest.raises(ValueError, match="Image 0: target and FOV must be bool"):
            metrics.pool(*([array] for array in arrays))


# --- intervals ------------------------------------------------------------------------------------


def interval(statistic, units, samples, level, seed):
    """The percentile interval as `bootstrap` documents it."""
    draws = np.random.default_rng(seed).integers(0, len(units), (samples, len(units)))
    values = [statistic([i for unit in draw for i in units[unit]]) for draw in draws]
    half = 100 * (1 - level) / 2
    return np.percentile(values, half), np.percentile(values, 100 - half)


VALUES = np.array([0.5, 0.9, 0.7, 0.1, 0.4, 0.8, 0.35])
PATIENTS = ["b", "a", "b", "c", "a", "d", "b"]
UNITS = [[0, 2, 6], [1, 4], [3], [5]]
DEFAULTS = (2000, 0.95, 0)


@pytest.mark.parametrize(
    "given, expected", [({}, DEFAULTS), ({"samples": 70, "level": 0.6, "seed": 5}, (70, 0.6, 5))]
)
@pytest.mark.parametrize("patients, units", [(PATIENTS, UNITS), (None, [[i] for i in range(7)])])
def test_intervals_by_loops(given, expected, patients, units):
    found = bootstrap(lambda i: VALUES[i].mean(), 7, patients=patients, **given)
    assert found.value == pytest.approx(VALUES.mean())
    assert found[1:] == pytest.approx(interval(lambda i: VALUES[i].mean(), units, *expected))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"samples": 0}, "got 7, 0 and 0.95"),
        ({"level": 0.0}, "got 7, 2000 and 0.0"),
        ({"level": 1.0}, "got 7, 2000 and 1.0"),
        ({"patients": ["a"] * 7}, "got 1, 2000"),
        ({"patients": [["a"]] * 7}, "each of 7 images"),
    ],
)
def test_settings_that_give_no_interval(options, told):
    with pytest.raises(ValueError, match=told):
        bootstrap(lambda i: VALUES[i].mean(), 7, **options)


def test_the_fewest_images_and_draws():
    assert bootstrap(lambda i: VALUES[i].mean(), 2, samples=1).value == pytest.approx(0.7)
    with pytest.raises(ValueError, match="at least two"):
        bootstrap(lambda i: VALUES[i].mean(), 1)


def test_the_defaults_are_2000_draws_and_1000_for_average_precision():
    calls = []
    bootstrap(lambda i: calls.append(i) or 0.5, 3)
    assert len(calls) == 2000 + 1  # and once for all images
    detected = inspect.signature(bootstrap_average_precision).parameters
    assert [detected[name].default for name in ("threshold", "samples", "seed")] == [0.5, 1000, 0]


def test_a_score_that_is_not_finite_for_all_images_or_for_some_draws():
    for wrong in (lambda i: len(set(i)) == 3, lambda i: len(set(i)) < 3):
        with pytest.raises(ValueError, match="not finite for some draws"):
            bootstrap(lambda i, wrong=wrong: math.inf if wrong(i) else 1.0, 3, samples=50)


# --- detections -----------------------------------------------------------------------------------


def boxes(*corners):
    return torch.tensor([[x, y, x + 10.0, y + 10] for x, y in corners]).reshape(-1, 4)


def image(found, scores, objects):
    labels = torch.ones(len(found), dtype=torch.int64)
    detected = {"boxes": boxes(*found), "scores": torch.tensor(scores), "labels": labels}
    return detected, {"boxes": boxes(*objects), "labels": torch.ones(len(objects)).long()}


IMAGES = [
    image([(0, 0), (40, 0)], [0.9, 0.3], [(0, 0)]),
    image([(0, 0), (2, 0), (50, 50)], [0.5, 0.8, 0.6], [(0, 0), (20, 20)]),
    image([(3, 0)], [0.4], [(0, 0)]),
    image([(70, 7)], [0.7], [(7, 70)]),
]
FOUND, OBJECTS = ([pair[i] for pair in IMAGES] for i in (0, 1))


@pytest.mark.parametrize(
    "given, expected",
    [({}, (0.5, 1000, 0)), ({"threshold": 0.7, "samples": 60, "seed": 4}, (0.7, 60, 4))],
)
def test_interval_of_average_precision_by_loops(given, expected):
    threshold, samples, seed = expected

    @cache
    def sorted_draw(i):
        return average_precision([FOUND[k] for k in i], [OBJECTS[k] for k in i], 1, threshold)

    def drawn(i):
        return sorted_draw(tuple(sorted(i)))

    value, *ends = bootstrap_average_precision(FOUND, OBJECTS, 1, **given)
    assert value == pytest.approx(drawn(range(4)))
    assert ends == pytest.approx(interval(drawn, [[0], [1], [2], [3]], samples, 0.95, seed))
    assert ends[0] < value < ends[1]


def test_the_overlap_that_a_hit_needs():
    # 7 of 10 columns in common: an IoU of 70 / 130.
    assert average_precision(FOUND[2:3], OBJECTS[2:3], 1) == 1
    assert average_precision(FOUND[2:3], OBJECTS[2:3], 1, 0.54) == 0
    assert average_precision(FOUND[:1], OBJECTS[:1], 1, 1.0) == 1
    half = boxes((0, 0)) * torch.tensor([1, 1, 1, 0.5])
    assert true_positives(half, torch.ones(1), boxes((0, 0)), 0.5).tolist() == [True]
    curve = precision_recall(FOUND, OBJECTS, 1, 0.5)
    assert curve.threshold.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert curve.recall.tolist() == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4, 0.6, 0.6])
    expected = [1, 1, 2 / 3, 2 / 4, 2 / 5, 3 / 6, 3 / 7]
    assert curve.precision.tolist() == pytest.approx(expected)


def test_a_box_on_its_object_has_an_overlap_of_1_whatever_its_size():
    """In float64: the area of these boxes in float32 would be a little too large or too small."""
    sides = torch.tensor([[4097.3, 4099.7], [1e4 / 3, 1e4 / 7], [70.1, 90.3], [123.4, 4567.8]])
    exact = torch.cat([torch.zeros(4, 2), sides], dim=1)
    for i in range(4):
        box = exact[i : i + 1]
        assert true_positives(box, torch.ones(1), box.clone(), 1.0).tolist() == [True]


class Elsewhere:
    """A tensor on another device: all that can be done with it here is to fetch it."""

    def __init__(self, tensor):
        self.cpu = lambda: tensor


def test_detections_on_another_device_are_fetched():
    found, objects = (
        [{key: Elsewhere(value) for key, value in one.items()} for one in images]
        for images in (FOUND, OBJECTS)
    )
    expected = average_precision(FOUND, OBJECTS, 1)
    assert average_precision(found, objects, 1) == expected


def test_the_best_score_and_its_settings():
    # F1 is 2 TP / (boxes + 5): 4/7 at 0.8 is the best, and 4/10 where (2, 0) is no hit.
    assert best_threshold(FOUND, OBJECTS, [1]) == pytest.approx(0.8)
    assert best_threshold(FOUND, OBJECTS, [1], 0.7) == pytest.approx(0.5)
