"""One prediction, many scores: the same vessel maps, scored by the conventions found in papers.

    python -m benchmarks.analysis.conventions

UNetSmall with its shipped weights on CHASE_DB1 (folder RETINA_COURSE_DATA). The probability maps
wait in runs/conventions: a second call only scores. Writes retina_course/results/conventions.json:
the scores by each convention, and for each photograph the counts of pixels at many thresholds,
from which most of them can be computed again. `benchmarks.analysis.threshold_page` draws from the
same maps what the page book/threshold.md shows.
"""

import time
from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_dilation
from sklearn import metrics as sk

from benchmarks.common.convention_maps import GRID, MODEL, probability
from benchmarks.common.datasets import chase_facts
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.evaluation import metrics
from retina_course.inference import resize

PROGRAM = Program(
    __file__,
    question="How different are the scores of one prediction by the conventions of other papers?",
    results=("conventions.json",),
    commands=("python -m benchmarks.analysis.conventions",),
    hours=0.04,
    data=("CHASE_DB1",),
    inputs=("retina_course/weights/unet_small.*",),
)
SQUARE = 1024  # the black square that a photograph of 999 x 960 is padded to
SMALL = 512  # the side that labels are resized to
PATCH = 64
NEIGHBOURS = np.ones((3, 3), dtype=bool)
# An ROC curve needs more points where most pixels lie: near 0.
TAILS = np.array([0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.993, 0.997, 0.999])

Case = tuple[np.ndarray, np.ndarray, np.ndarray]  # probability, target, field of view


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    torch.set_num_threads(1)
    model, card = weights.load(MODEL)
    training, test = (list(ChaseDB1(split=split)) for split in ("train", "test"))
    maps = {photo.name: probability(model, card, photo) for photo in training + test}
    known = [(maps[p.name], p.ground_truth, p.fov) for p in training]
    cases = [(maps[p.name], p.ground_truth, p.fov) for p in test]
    second = [(maps[p.name], p.second_observer, p.fov) for p in test]
    threshold = metrics.best_threshold(*metrics.pool(*zip(*known, strict=True)))
    thresholds = np.sort(np.concatenate([GRID, TAILS, [threshold]]))
    content = {
        "model": MODEL,
        "weights_sha256": card["sha256"],
        "flips": True,
        "dataset": chase_facts(),
        "threshold": threshold,
        "sides": {"padded": SQUARE, "resized": SMALL, "patch": PATCH},
        "conventions": [
            {"group": group, "name": name, "scores": rounded(score)}
            for group, name, score in conventions(cases, second, threshold)
        ],
        "thresholds": thresholds.tolist(),
        "images": [
            image_row(photo, case, thresholds, split)
            for photographs, part, split in ((training, known, "train"), (test, cases, "test"))
            for photo, case in zip(photographs, part, strict=True)
        ],
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "conventions.json", content)


def image_row(photo: Photograph, case: Case, thresholds: np.ndarray, split: str) -> dict:
    """Counts of one photograph at each threshold, and all that the conventions need besides."""
    p, t, fov = case
    inside = metrics.pool([p], [t], [fov])
    curve = metrics.confusion_curve(*inside, thresholds)
    own = metrics.best_threshold(*inside)
    return {
        "name": photo.name,
        "patient": photo.patient,
        "split": split,
        "vessel": int(t[fov].sum()),
        "background": int((~t[fov]).sum()),
        "outside": int((~fov).sum()),
        "vessel_outside": int(t[~fov].sum()),
        "auc": float(sk.roc_auc_score(inside[1], inside[0])),
        "tp": curve[:, 0].tolist(),
        "fp": curve[:, 1].tolist(),
        "own_threshold": own,
        "own_counts": metrics.confusion(inside[0] >= own, inside[1]).tolist(),
        "second_observer": metrics.confusion(photo.second_observer[fov], t[fov]).tolist(),
    }


def conventions(
    cases: list[Case], second: list[Case], threshold: float
) -> Iterable[tuple[str, str, dict]]:
    """Each convention: its group, its name, and what a paper would print."""
    p, t = metrics.pool(*zip(*cases, strict=True))
    protocol = metrics.scores(p, t, threshold)
    yield "protocol", "the protocol", protocol

    whole = [(p, t, np.ones_like(fov)) for p, t, fov in cases]
    yield "pixels", "whole image", pooled(whole, threshold)
    yield "pixels", "zero-padded", pooled(map(padded, whole), threshold)
    yield "pixels", "labels resized", pooled(map(resized, cases), threshold)
    yield "pixels", "labels resized, whole image", pooled(map(resized, whole), threshold)
    yield "pixels", "one pixel of tolerance", {"f1": tolerant_f1(cases, threshold)}

    yield "threshold", "0.5", metrics.scores(p, t, 0.5)
    best = metrics.best_threshold(p, t)
    yield "threshold", "best on the test images", metrics.scores(p, t, best)
    own = [metrics.best_threshold(*metrics.pool([p], [t], [fov])) for p, t, fov in cases]
    binary = [(p >= at, t, fov) for (p, t, fov), at in zip(cases, own, strict=True)]
    mask, _ = metrics.pool(*zip(*binary, strict=True))
    yield "threshold", "best for each test image", metrics.binary_scores(mask > 0, t)

    each = [pooled([case], threshold) for case in cases]
    yield "mean", "mean over images", {key: np.mean([row[key] for row in each]) for key in each[0]}
    both = [
        metrics.scores(*metrics.pool([p], [t], [fov]), at)
        for (p, t, fov), at in zip(cases, own, strict=True)
    ]
    yield (
        "mean",
        "mean over images, best for each",
        {key: np.mean([row[key] for row in both]) for key in both[0]},
    )
    parts = list(patches(cases, threshold))
    for name, chosen in (
        ("mean over patches, empty ones 1", parts),
        ("mean over patches with vessels", [part for part in parts if part[1].any()]),
    ):
        rows = [metrics.binary_scores(*part) for part in chosen]
        found = {key: np.mean([row[key] for row in rows]) for key in ("f1", "accuracy", "iou")}
        yield "mean", name, found

    binary = {"y_true": t, "y_pred": p >= threshold}
    for average in ("weighted", "macro", "micro"):
        found = {"f1": sk.f1_score(**binary, average=average)}
        found["iou"] = sk.jaccard_score(**binary, average=average)
        yield "name", f"{average} average of both classes", found
    soft = 2 * float(p[t].sum(dtype=np.float64))
    soft /= float(p.sum(dtype=np.float64)) + int(t.sum())
    yield "name", "soft Dice, no threshold", {"f1": soft}
    yield "name", "AUC of the binary map", {"auc": sk.roc_auc_score(t, p >= threshold)}

    yield "ground_truth", "second observer as truth", pooled(second, threshold)
    yield "ground_truth", "last 8 photographs only", pooled(cases[-8:], threshold)


def pooled(cases: Iterable[Case], threshold: float) -> dict:
    return metrics.scores(*metrics.pool(*zip(*cases, strict=True)), threshold)


def padded(case: Case) -> Case:
    """Black on all sides; the field of view is everything: that is the convention's point."""
    height, width = case[0].shape
    top, left = (SQUARE - height) // 2, (SQUARE - width) // 2
    borders = ((top, SQUARE - height - top), (left, SQUARE - width - left))
    p, t = np.pad(case[0], borders), np.pad(case[1], borders)
    return p, t, np.ones_like(t)


def resized(case: Case) -> Case:
    """Probabilities bilinearly and antialiased, masks by nearest neighbour, to a small square."""
    size = (SMALL, SMALL)
    p = resize(torch.from_numpy(case[0])[None], size)[0].clamp(0, 1).numpy()
    masks = [
        np.asarray(Image.fromarray(m.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
        for m in case[1:]
    ]
    return p, masks[0] > 0, masks[1] > 0


def patches(cases: list[Case], threshold: float) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Prediction and target of all whole patches, side by side, of all images."""
    for p, t, _ in cases:
        for y in range(0, t.shape[0] - PATCH + 1, PATCH):
            for x in range(0, t.shape[1] - PATCH + 1, PATCH):
                part = np.s_[y : y + PATCH, x : x + PATCH]
                yield p[part] >= threshold, t[part]


def tolerant_f1(cases: list[Case], threshold: float) -> float:
    """F1 in which a pixel counts as right that has a neighbour (of 8) of the other map."""
    right = found = detected = labelled = 0
    for p, t, fov in cases:
        prediction, target = (p >= threshold) & fov, t & fov
        right += int((prediction & binary_dilation(target, NEIGHBOURS)).sum())
        found += int(prediction.sum())
        detected += int((target & binary_dilation(prediction, NEIGHBOURS)).sum())
        labelled += int(target.sum())
    precision, recall = right / found, detected / labelled
    return 2 * precision * recall / (precision + recall)


def rounded(scores: dict) -> dict:
    """Six digits: enough for any table, and no more than these pixels hold."""
    return {key: round(float(value), 6) for key, value in scores.items()}


if __name__ == "__main__":
    main()
