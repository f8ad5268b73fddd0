"""Average precision against loops, against pycocotools, and where nothing is there to be scored."""

import contextlib
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course.evaluation.detection_metrics import (
    average_precision,
    best_threshold,
    bootstrap_average_precision,
    precision_recall,
    true_positives,
)

BOX = [10.0, 10, 20, 20]


def detections(boxes=(), scores=(), labels=None):
    labels = [1] * len(boxes) if labels is None else labels
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def target(boxes=(), labels=None):
    return {k: v for k, v in detections(boxes, (), labels).items() if k != "scores"}


def synthetic(seed, images=4, ties=False, labels=(1, 2)):
    """Objects, and detections near some of them: true positives, doubles, misses,
    false positives."""
    rng, found, ground_truths = np.random.default_rng(seed), [], []
    for _ in range(images):
        corner = rng.integers(0, 40, (rng.integers(0, 5), 2))
        objects = np.concatenate([corner, corner + rng.integers(4, 20, corner.shape)], axis=1)
        kinds = rng.choice(labels, len(objects))
        near = rng.integers(0, max(1, len(objects)), rng.integers(0, 9) if len(objects) else 0)
        boxes = objects[near] + rng.integers(-3, 4, (len(near), 4))
        wrong = rng.integers(0, 40, (rng.integers(0, 4), 2))
        boxes = np.concatenate([boxes, np.concatenate([wrong, wrong + 9], axis=1)])
        given_labels = np.concatenate([kinds[near], rng.choice(labels, len(wrong))])
        scores = rng.integers(1, 5, len(boxes)) / 8 if ties else rng.random(len(boxes))
        found.append(detections(boxes.tolist(), scores.tolist(), given_labels.tolist()))
        ground_truths.append(target(objects.tolist(), kinds.tolist()))
    return found, ground_truths


def overlap(a, b):
    """IoU of two boxes, inverted ones overlap with nothing."""
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    if width <= 0 or height <= 0 or any(c[i + 2] <= c[i] for c in (a, b) for i in (0, 1)):
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def loops(found, ground_truths, label, threshold):
    """Average precision as its definition says it, one box after the other."""
    rows, objects = [], 0
    for detection, true in zip(found, ground_truths, strict=True):
        wanted = true["boxes"][true["labels"] == label].tolist()
        objects += len(wanted)
        own = detection["labels"] == label
        scores, boxes = detection["scores"][own].tolist(), detection["boxes"][own].tolist()
        taken = set()
        for i in np.argsort(-np.array(scores), kind="stable"):
            free = [(overlap(boxes[i], w), -j) for j, w in enumerate(wanted) if j not in taken]
            best, j = max(free, default=(-1, 0))
            if best >= threshold:
                taken.add(-j)
            rows.append((scores[i], best >= threshold))
    if not objects:
        return float("nan")
    points = []
    for cut in sorted({score for score, _ in rows}, reverse=True):
        kept = [hit for score, hit in rows if score >= cut]
        points.append((sum(kept) / objects, sum(kept) / len(kept)))
    total, before = 0.0, 0.0
    for recall, _ in points:
        total += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return total


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.1, 0.5, 0.75]))
def test_average_precision_is_that_of_the_loops(seed, ties, threshold):
    found, ground_truths = synthetic(seed, ties=ties)
    for label in (1, 2, 3):
        value = average_precision(found, ground_truths, label, threshold)
        expected = loops(found, ground_truths, label, threshold)
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


def coco(found, ground_truths, label, thresholds):
    """Average precision of pycocotools at these IoUs, on so fine a grid that it is the area."""
    COCO = pytest.importorskip("pycocotools.coco").COCO
    COCOeval = pytest.importorskip("pycocotools.cocoeval").COCOeval

    def rows(items):
        for image, item in enumerate(items):
            for i, (x1, y1, x2, y2) in enumerate(item["boxes"].tolist()):
                yield {
                    "image_id": image,
                    "category_id": int(item["labels"][i]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "score": float(item["scores"][i]) if "scores" in item else 1.0,
                }

    with contextlib.redirect_stdout(io.StringIO()):
        objects = COCO()
        objects.dataset = {
            "images": [{"id": image} for image in range(len(ground_truths))],
            "categories": [{"id": k} for k in (1, 2)],
            "annotations": [dict(row, id=i) for i, row in enumerate(rows(ground_truths), start=1)],
        }
        objects.createIndex()
        results = COCO()
        results.dataset = dict(
            objects.dataset,
            annotations=[dict(row, id=i) for i, row in enumerate(rows(found), start=1)],
        )
        results.createIndex()
        run = COCOeval(objects, results, "bbox")
        run.params.iouThrs, run.params.maxDets = np.array(thresholds), [10_000]
        run.params.recThrs = np.linspace(0, 1, 100_001)
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.params.catIds = [label]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, 0, 0, 0].mean(axis=1)


def test_average_precision_agrees_with_pycocotools():
    thresholds = [0.1, 0.5]
    for seed in range(8):
        found, ground_truths = synthetic(seed, images=12)
        for box in found:  # pycocotools knows no inverted boxes
            box["boxes"][:, 2:] = torch.maximum(box["boxes"][:, 2:], box["boxes"][:, :2] + 1)
        for label in (1, 2):
            ours = [average_precision(found, ground_truths, label, t) for t in thresholds]
            assert ours == pytest.approx(
                coco(found, ground_truths, label, thresholds).tolist(), abs=1e-3
            )
            assert 0 < ours[1] < ours[0] < 1


def test_by_hand():
    """Right, wrong, right, of three objects: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3."""
    away = [50.0, 50, 60, 60]
    ground_truths = [target([BOX, [30, 30, 40, 40]]), target([BOX])]
    found = [detections([BOX, away], [0.9, 0.8]), detections([BOX], [0.7])]
    curve = precision_recall(found, ground_truths, 1, 0.5)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert curve.threshold.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert average_precision(found, ground_truths, 1) == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)


def test_an_object_is_found_once():
    twice = [detections([BOX, BOX], [0.9, 0.8])]
    curve = precision_recall(twice, [target([BOX])], 1, 0.5)
    assert curve.precision.tolist() == [1, 0.5] and curve.recall.tolist() == [1, 1]
    assert average_precision(twice, [target([BOX])], 1) == 1
    # The double costs nothing behind the object, and half the precision before the next one.
    both = target([BOX, [30, 30, 40, 40]])
    then = [detections([BOX, BOX, [30, 30, 40, 40]], [0.9, 0.8, 0.7])]
    assert average_precision(then, [both], 1) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_a_box_takes_the_free_object_that_it_fits_best():
    objects = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10]])
    boxes = torch.tensor([[4.0, 0, 14, 10], [5, 0, 15, 10], [6, 0, 16, 10]])
    # The second fits the taken object best, and its IoU of 1/3 with the free one is enough.
    assert true_positives(boxes, torch.tensor([0.9, 0.8, 0.7]), objects, 0.3).tolist() == [
        True,
        True,
        False,
    ]
    assert true_positives(boxes, torch.tensor([0.9, 0.8, 0.7]), objects, 0.4).tolist() == [
        True,
        False,
        False,
    ]
    assert true_positives(boxes, torch.tensor([0.7, 0.8, 0.9]), objects, 0.3).tolist() == [
        False,
        True,
        True,
    ]
    exactly = torch.tensor([[0.0, 0, 10, 5]])
    assert true_positives(exactly, torch.tensor([0.1]), objects[:1], 0.5).tolist() == [True]
    assert true_positives(boxes[:0], torch.zeros(0), objects, 0.5).tolist() == []


def test_equal_scores_count_together():
    """Their order in the file must not matter: one point of the curve for all of them."""
    away = [50.0, 50, 60, 60]
    values = []
    for boxes in ([BOX, away], [away, BOX]):
        curve = precision_recall([detections(boxes, [0.5, 0.5])], [target([BOX])], 1, 0.5)
        assert curve.precision.tolist() == [0.5] and curve.threshold.tolist() == [0.5]
        values.append(average_precision([detections(boxes, [0.5, 0.5])], [target([BOX])], 1))
    assert values == [0.5, 0.5]


def test_classes_and_images_do_not_mix():
    other = [detections([BOX], [0.9], [2])]
    assert average_precision(other, [target([BOX])], 1) == 0
    elsewhere = [detections(), detections([BOX], [0.9])]
    assert average_precision(elsewhere, [target([BOX]), target()], 1) == 0
    found, ground_truths = synthetic(5, images=6)
    shuffled = [[items[i] for i in (3, 0, 5, 1, 4, 2)] for items in (found, ground_truths)]
    assert average_precision(*shuffled, 1) == pytest.approx(
        average_precision(found, ground_truths, 1)
    )


def test_nothing_to_find_is_nan_and_nothing_found_is_zero():
    assert np.isnan(average_precision([detections([BOX], [0.9])], [target()], 1))
    assert np.isnan(precision_recall([detections([BOX], [0.9])], [target()], 1, 0.5).recall).all()
    assert average_precision([detections()], [target([BOX])], 1) == 0
    assert average_precision([detections([[20, 20, 10, 10]], [0.9])], [target([BOX])], 1, 0.1) == 0
    assert len(precision_recall([detections()], [target([BOX])], 1, 0.5).precision) == 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="got 2 and 1"):
        average_precision([detections()] * 2, [target()], 1)
    for score in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            average_precision([detections([BOX], [score])], [target([BOX])], 1)
    with pytest.raises(ValueError, match="at least one detection"):
        best_threshold([detections()], [target([BOX])], [1])
    with pytest.raises(ValueError, match="images with objects"):
        best_threshold([detections([BOX], [0.5])], [target()], [1])
    with pytest.raises(ValueError, match="no images"):
        average_precision([], [], 1)
    with pytest.raises(ValueError, match="no label"):
        best_threshold([detections()], [target([BOX])], [])
    for threshold in (0, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="IoU threshold must lie in"):
            average_precision([detections()], [target([BOX])], 1, threshold)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.booleans())
def test_no_threshold_beats_the_best(seed, ties):
    found, ground_truths = synthetic(seed, images=3, ties=ties)
    scores = torch.cat([one["scores"] for one in found]).unique()
    objects = sum(len(one["labels"]) for one in ground_truths)
    if not len(scores) or not objects:
        return

    def f1(cut):
        kept = [{k: v[one["scores"] >= cut] for k, v in one.items()} for one in found]
        right = sum(
            true_positives(
                d["boxes"][d["labels"] == k], d["scores"][d["labels"] == k], t, 0.5
            ).sum()
            for d, true in zip(kept, ground_truths, strict=True)
            for k in (1, 2)
            for t in [true["boxes"][true["labels"] == k]]
        )
        return 2 * right / (sum(len(d["scores"]) for d in kept) + objects)

    best = best_threshold(found, ground_truths, [1, 2])
    assert f1(best) == pytest.approx(max(f1(float(cut)) for cut in scores))


def test_the_interval_holds_the_value_and_follows_from_the_seed():
    found, ground_truths = synthetic(7, images=12, labels=(1,))
    value, low, high = bootstrap_average_precision(found, ground_truths, 1, samples=200)
    assert value == average_precision(found, ground_truths, 1)
    assert 0 <= low < value < high <= 1
    again = bootstrap_average_precision(found, ground_truths, 1, samples=200)
    assert (value, low, high) == tuple(again)
    other = bootstrap_average_precision(found, ground_truths, 1, samples=200, seed=1)
    assert tuple(other) != tuple(again) and other[0] == value
    wide = high - low
    _, low, high = bootstrap_average_precision(found * 4, ground_truths * 4, 1, samples=200)
    assert high - low < 0.8 * wide  # more photographs, a narrower interval
    with pytest.raises(ValueError, match="finite"):
        bootstrap_average_precision(found, ground_truths, 2, samples=20)


def test_boxes_that_carry_gradients_are_scored():
    boxes = torch.tensor([[0.0, 0, 10, 10]])
    objects = {"boxes": boxes, "labels": torch.tensor([1])}
    found = {"boxes": boxes.clone().requires_grad_(), "labels": torch.tensor([1])}
    found["scores"] = torch.tensor([0.5], requires_grad=True)
    assert average_precision([found], [objects], 1) == 1
