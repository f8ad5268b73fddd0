"""The stored numbers behind a model card: each function finds those of one network, or nothing."""

import math
from typing import Any

import numpy as np

from retina_course.evaluation import intervals
from retina_course.inference.doubt import MARGIN
from retina_course.results import stored

Card = dict[str, Any]
Rows = list[list[str]]

SETS = {"chase": "CHASE_DB1, last 20 images", "hrf": "HRF, last 30 images"}
DAMAGED = "HRF, test"  # of each test half as many photographs were damaged
POOR = 0.6  # F1 below which chapter 15 calls a map poor
ROUNDING = 1e-4  # scores of weights that were rounded to half precision after their run


def of_vessels(name: str, card: Card) -> dict[str, Any]:
    """What the template shows of a network for vessels."""
    source = card.get("threshold_from")
    failures = {
        "damage": ("damaged photographs", damage_rows(name)),
        "changed": ("photographs with one property changed", changed_rows(name, card)),
        "lesions": ("lesions that are called vessel", lesion_rows(name)),
        "widths": ("the share of thin vessels that is found", width_rows(card)),
    }
    found = shift(name)
    return {
        "rule": one_camera(card)["protocol"]["threshold"] if source is None else None,
        "held_out": source is not None and source.startswith("held-out"),
        "scores": score_rows(card),
        "observer_f1": observer_f1(),
        "patients": patient_rows(card),
        "seeds": seeds(card),
        "shift": shift_rows(name),
        "temperature": found and found["temperature"],
        **{key: rows for key, (_, rows) in failures.items()},
        "damaged_photographs": len({p["name"] for p in damaged(name) if p["set"] == DAMAGED}),
        "missing": [words for words, rows in failures.values() if not rows],
        "warned": warned(name, card),
    }


def of_boxes(card: Card) -> dict[str, Any]:
    """What the template shows of a detector."""
    return {"boxes": box_rows(card)}


def any_camera(card: Card) -> dict[str, Any] | None:
    """The row of the test halves, for a network that was trained for any camera."""
    if "metrics_chase_db1" not in card:
        return None
    for row in stored.read_all(".json", "any_camera_test"):
        trained = row["network"], row["source"], row["recipe"], row.get("after")
        if trained == (card["model"], "both", "any camera", card["recipe"].get("after")):
            check(card["metrics"], row["hrf"]["pooled"])
            check(card["metrics_chase_db1"], row["chase"]["pooled"])
            return row
    raise ValueError(f"results/any_camera_test has no row of {card['model']} for any camera.")


def one_camera(card: Card) -> dict[str, Any]:
    """The stored run on CHASE_DB1 that the card's weights come from."""
    row = stored.read(f"{card['model']}_chase_db1")
    own = next(run for run in row["runs"] if run["seed"] == card["seed"])
    check(card["metrics"], own["flips"]["pooled"])
    return row | {"own": own}


def check(metrics: dict[str, Any], pooled: dict[str, float]) -> None:
    """A card and its row must be of the same weights."""
    if not math.isclose(metrics["f1"], pooled["f1"], abs_tol=ROUNDING):
        raise ValueError(
            f"The card says F1 {metrics['f1']:.4f} on {metrics['set']}, the stored row "
            f"{pooled['f1']:.4f}: one of the two is of other weights. Run the program again that "
            "wrote the card."
        )


def by_patient(photographs: list[dict[str, Any]]) -> list[str]:
    """Mean F1 with its interval over people, and F1 of the worst photograph."""
    f1 = [photo["f1"] for photo in photographs]
    # Image_05L and Image_05R are one child; in HRF each photograph counts as a person.
    patients = [photo["name"].removesuffix("L").removesuffix("R") for photo in photographs]
    mean = intervals.student(f1, patients=patients)
    return [f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})", f"{min(f1):.3f}"]


def score_rows(card: Card) -> Rows:
    """Header and one row for each score, pooled, with four flips; a column for each set."""
    tested = [card[key] for key in ("metrics", "metrics_chase_db1") if key in card]
    names = {"auc": "AUC", "f1": "F1", "sensitivity": "sensitivity", "specificity": "specificity"}
    head = ["Photographs", *(one["set"] for one in tested)]
    return [head] + [[name, *(f"{one[key]:.4f}" for one in tested)] for key, name in names.items()]


def patient_rows(card: Card) -> Rows:
    """Header and one row for each set: what differs between patients."""
    head = ["Photographs", "mean F1 (95 % interval over people)", "worst photograph"]
    row = any_camera(card)
    if row is None:
        return [head, [SETS["chase"], *by_patient(one_camera(card)["own"]["flips"]["per_image"])]]
    return [head] + [[SETS[part], *by_patient(row[part]["per_image"])] for part in ("hrf", "chase")]


def seeds(card: Card) -> dict[str, Any] | None:
    """F1 over the trainings with other seeds, where there are some."""
    if any_camera(card) is not None:
        return None
    row = one_camera(card)
    return row["summary"]["flips"]["f1"] | {"count": len(row["runs"])}


def observer_f1() -> float:
    """F1 of CHASE_DB1's second observer on the test photographs."""
    return stored.read("unet_small_chase_db1")["second_observer"]["pooled"]["f1"]


def shift(name: str) -> dict[str, Any] | None:
    """Threshold and calibration on both cameras, where they were measured."""
    rows = stored.read_all(".json", "camera_shift")
    return next((row for row in rows if row["model"] == name), None)


def histogram_ece(histogram: list[list[int]], bins: int = 10) -> float:
    """Expected calibration error from background and vessel pixels by their probability."""
    counts = np.array(histogram)
    p = (np.arange(counts.shape[1]) + 0.5) / counts.shape[1]
    which = np.minimum((p * bins).astype(int), bins - 1)
    pixels, vessels = (np.bincount(which, c, bins) for c in (counts.sum(axis=0), counts[1]))
    expected = np.bincount(which, p * counts.sum(axis=0), bins)
    return float(abs(expected - vessels).sum() / pixels.sum())


def shift_rows(name: str) -> Rows:
    """Header and rows: threshold, the best one, calibration error; a column for each camera."""
    found = shift(name)
    if found is None:
        return []
    tested = found["test"].values()
    return [
        ["Test half of", *found["test"]],
        ["F1 at the threshold", *(f"{seen['pooled']['f1']:.4f}" for seen in tested)],
        ["best threshold", *(f"{seen['best_threshold']:.2f}" for seen in tested)],
        ["F1 at the best threshold", *(f"{seen['best_f1']:.4f}" for seen in tested)],
        ["ECE", *(f"{histogram_ece(seen['histogram']):.4f}" for seen in tested)],
    ]


def damaged(name: str) -> list[dict[str, Any]]:
    """The photographs, as they are and damaged, that the network was scored on."""
    rows = stored.read_all(".json", "doubtful_maps")
    return next((row["photographs"] for row in rows if row["model"] == name), [])


def damage_rows(name: str) -> Rows:
    """Header and one row for each damage: mean F1 on the test photographs of both cameras."""
    photographs = damaged(name)
    sets = [part for part in dict.fromkeys(p["set"] for p in photographs) if "test" in part]
    rows = [["Damage", *(f"F1, {part}" for part in sets)]]
    for damage in dict.fromkeys(p["damage"] for p in photographs):
        f1 = [
            [p["f1"] for p in photographs if (p["damage"], p["set"]) == (damage, part)]
            for part in sets
        ]
        rows.append([damage, *(f"{np.mean(values):.3f}" for values in f1)])
    return rows if photographs else []


def warned(name: str, card: Card) -> dict[str, Any] | None:
    """Of how many test maps, damaged or not, `segment` warns."""
    photographs = [p for p in damaged(name) if "test" in p["set"]]
    if not photographs:
        return None
    low = card["expected_f1"][0] - MARGIN
    told = np.array([p["expected_f1"] < low for p in photographs])
    poor = np.array([p["f1"] < POOR for p in photographs])
    whole = np.array([p["damage"] == "as it is" for p in photographs])
    fair = ~whole & ~poor  # damaged, and still a map of use
    counts = {"poor": poor, "found": told & poor, "whole": whole, "false": told & whole}
    counts |= {"fair": fair, "of_fair": told & fair}
    return {"bound": POOR} | {key: int(count.sum()) for key, count in counts.items()}


def changed_rows(name: str, card: Card) -> Rows:
    """Header and one row for each change of a photograph: the difference in F1, worst first."""
    found = stored.read("changed_photographs")
    if found["weights_sha256"].get(name) != card["sha256"]:
        return []
    scores = found["scores"][name]
    changes = {
        change: scores[change]["f1_difference"] for change in scores if change != "unchanged"
    }
    ordered = sorted(changes.items(), key=lambda change: change[1]["value"])
    return [["Change", "difference in F1", "95 % interval"]] + [
        [change, f"{d['value']:+z.3f}", f"{d['low']:+z.3f} to {d['high']:+z.3f}"]
        for change, d in ordered
    ]


def lesion_rows(name: str) -> Rows:
    """Header and one row for each lesion: how much of its boxes is called vessel."""
    lesions = stored.read("lesions_and_disc")["lesions"].get(name)
    if lesions is None:
        return []
    return [["Lesion", "of its boxes", "of the mirrored place", "difference (95 % interval)"]] + [
        [
            lesion,
            f"{100 * seen['in_boxes']:.1f} %",
            f"{100 * seen['mirrored']:.1f} %",
            f"{100 * seen['difference']['value']:+.1f} "
            f"({100 * seen['difference']['low']:+.1f} to {100 * seen['difference']['high']:+.1f})",
        ]
        for lesion, seen in lesions.items()
    ]


def width_rows(card: Card) -> Rows:
    """Header and one row for each width: which part of the vessels' centrelines is found."""
    for row in stored.read_all(".json", "leaderboard"):
        same = row["model"] == card["model"] and row["seed"] == card["seed"]
        if same and math.isclose(
            row["flips"]["pooled"]["f1"], card["metrics"]["f1"], abs_tol=ROUNDING
        ):
            places = row["sensitivity_by_place"]
            widths = [place for place in places if place[0].isdigit() or place.startswith("below")]
            return [["Width in pixels", "found"]] + [
                [width, f"{100 * places[width]['sensitivity']:.1f} %"] for width in widths
            ]
    return []


def box_rows(card: Card) -> Rows:
    """Header and one row for each class of a detector: average precision with its interval."""
    runs = stored.read("idrid_boxes")["models"][card["model"]]["runs"]
    found = next(run for run in runs if run["seed"] == card["seed"])["flips"]
    rows = [["Class", "objects", "AP, IoU 0.5 (95 % interval)", "AP, IoU 0.1 (95 % interval)"]]
    for label in card["classes"]:
        ap = [found[label][f"ap_{iou}"] for iou in (0.5, 0.1)]
        if not math.isclose(card["metrics"][label], ap[0]["value"], abs_tol=ROUNDING):
            raise ValueError(f"The card and results/idrid_boxes.json differ in the AP of {label}.")
        cells = [f"{a['value']:.2f} ({a['interval'][0]:.2f} to {a['interval'][1]:.2f})" for a in ap]
        rows.append([label, str(found[label]["objects"]), *cells])
    return rows
