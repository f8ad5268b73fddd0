"""How far measurements of real photographs differ: between people, networks, views and eyes.

    python -m benchmarks.measurement.real [--only PART ...]

CHASE_DB1: the second observer against the first (28 photographs); each shipped network against the
first observer, on the 20 photographs of ten children that it was not trained on; two of them
against themselves on ten photographs turned by 5 degrees or cropped; left against right eye. The
widths of a network are read from its mask and from its probability map. A correction of the mean
width is taken from the four training children. Which of four scores predicts an error is a rank
correlation over the 20 photographs. HRF at half its size: healthy, diabetic and glaucomatous eyes,
by the ground truth and by UNetSmall. Vessel maps and rows wait in runs/measurement, so that a
second call only compares.

A part is a network, or hrf. Each is written when it is finished, with a provenance of its own; the
other parts stay as they are. The observers are compared in each call.

Writes retina_course/results/measurement_real.json. It needs both sets (folder RETINA_COURSE_DATA).
"""

import time

import numpy as np
import torch
from scipy import stats

from benchmarks.common.datasets import chase_facts
from benchmarks.common.files import RESULTS, read_json, write_json
from benchmarks.common.index import Program
from benchmarks.common.measured_maps import NETWORKS, SHIFT, TURN, VARIANTS, loaded, vessel_map
from benchmarks.common.measured_rows import (
    COLUMNS,
    MAIN,
    SOURCES,
    by_network,
    by_person,
    scores,
    table,
)
from benchmarks.common.provenance import provenance
from benchmarks.common.shape_scores import tolerance_of_observers
from retina_course.data.datasets import HRF, ChaseDB1
from retina_course.data.photographs import Photograph
from retina_course.evaluation.agreement import bland_altman, icc_interval
from retina_course.evaluation.intervals import student

PROGRAM = Program(
    __file__,
    question="How far do measurements differ between people, networks, views of an eye and eyes?",
    results=("measurement_real.json",),
    commands=("python -m benchmarks.measurement.real",),
    hours=1.5,
    data=("CHASE_DB1", "HRF"),
    inputs=("retina_course/weights/*.safetensors",),
)
RETESTED = ("unet_small", "unet_large")
ON_HRF = ("unet_small",)
HALF = 2  # of the pixels of HRF, 54 per degree, every second one is taken
GROUPS = {"h": "healthy", "dr": "diabetic retinopathy", "g": "glaucoma"}
PARTS = (*NETWORKS, "hrf")
FILE = RESULTS / "measurement_real.json"
Table = dict[str, np.ndarray]


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parts = parser.parse_args().only
    began = time.perf_counter()
    torch.set_num_threads(1)
    training, test = (list(ChaseDB1(split=split)) for split in ("train", "test"))
    everyone = training + test
    first = table(by_person(photo, "first") for photo in everyone)
    second = table(by_person(photo, "second") for photo in everyone)
    held_out = part(first, len(training), None)
    tolerance = tolerance_of_observers()
    content = {
        "dataset": chase_facts(),
        "columns": list(COLUMNS),
        "main": list(MAIN),
        "pixels_per_degree": float(np.mean([scale(photo) for photo in everyone])),
        "observers": agreement(held_out, part(second, len(training), None), test),
        "observers_all": agreement(first, second, everyone),
        "eyes": {"first": left_right(first, everyone), "second": left_right(second, everyone)},
        "variants": {"turn_degrees": TURN, "crop": SHIFT},
        "rows": {"first": rows(first, everyone), "second": rows(second, everyone)},
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    stored = read_json(FILE) if FILE.exists() else {}
    done = dict(stored.get("networks", {})) | {"hrf": stored.get("hrf", {})}
    for made in filter(None, done.values()):  # a part of an older file has the file's provenance
        made.setdefault("provenance", stored["provenance"])
    for name in parts:
        began = time.perf_counter()
        made = hrf() if name == "hrf" else network(name, training, test, first, tolerance)
        own = {"provenance": provenance(torch.device("cpu"), PROGRAM, since=began)}
        done[name] = made | own
        networks = {one: done[one] for one in NETWORKS if one in done}
        write_json(FILE, content | {"networks": networks, "hrf": done["hrf"]})
        print(f"written   {name}", flush=True)


def network(
    name: str, training: list[Photograph], test: list[Photograph], first: Table, tolerance: float
) -> dict:
    """All that is known of one network's measurements."""
    known, truth = part(first, 0, len(training)), part(first, len(training), None)
    found: dict = {"weights_sha256": loaded(name)[1]["sha256"]}
    for source in SOURCES:
        own = table(by_network(name, photo, source) for photo in training)
        ours = table(by_network(name, photo, source) for photo in test)
        offset, slope = fitted(own["calibre_mean_px"], known["calibre_mean_px"])
        corrected = offset + slope * ours["calibre_mean_px"]
        column = {"calibre_mean_px": truth["calibre_mean_px"]}
        found[source] = {
            "agreement": agreement(truth, ours, test),
            "on_training": agreement(known, own, training),
            "width_correction": {
                "offset_px": offset,
                "slope": slope,
                "corrected": agreement(column, {"calibre_mean_px": corrected}, test),
            },
            "eyes": left_right(ours, test),
            "rows": rows(ours, test),
        }
    left = [photo for photo in test if photo.name.endswith("L")] if name in RETESTED else []
    found["retest"] = {
        variant: agreement(*retested(name, left, variant), left) for variant in VARIANTS[1:] if left
    }
    found["scores"] = [scores(name, photo, tolerance) for photo in test]
    errors = {
        column: np.abs(np.array(found["mask"]["rows"][column]) / truth[column] - 1)
        for column in MAIN
    }
    found["score_predicts"] = {
        key: {
            column: float(stats.spearmanr([s[key] for s in found["scores"]], e).statistic)
            for column, e in errors.items()
        }
        for key in found["scores"][0]
    }
    return found


def fitted(network: np.ndarray, observer: np.ndarray) -> tuple[float, float]:
    """The correction of a width: observer = offset + slope x network.

    With eight photographs a slope is hardly known: it is 1, and the offset takes off the bias.
    """
    return float(np.mean(observer - network)), 1.0


def retested(name: str, photos: list[Photograph], variant: str) -> tuple[Table, Table]:
    """A network's measurements with and without the change, where both maps are valid."""
    before, after = [], []
    for photo in photos:
        common = vessel_map(name, photo, variant).fov & photo.fov
        before.append(by_network(name, photo, "mask", fov=common))
        after.append(by_network(name, photo, "mask", variant, fov=common))
    return table(before), table(after)


def agreement(a: Table, b: Table, photos: list[Photograph]) -> dict:
    """Bias, limits of agreement and ICC by column; differences in percent of the first."""
    patients = [photo.patient for photo in photos]
    found = {}
    for column in a:
        good = np.isfinite(a[column]) & np.isfinite(b[column]) & (a[column] != 0)
        x, y = a[column][good], b[column][good]
        own = np.array(patients)[good]
        correlation = icc_interval(x, y, patients=own)
        limits = bland_altman(x, y, percent=True)
        found[column] = {
            "bias_percent": limits.bias,
            "low_percent": limits.low,
            "high_percent": limits.high,
            "n": limits.n,
            "mean_first": float(x.mean()),
            "mean_second": float(y.mean()),
            "icc": correlation.value,
            "icc_low": correlation.low,
            "icc_high": correlation.high,
        }
    return found


def left_right(values: Table, photos: list[Photograph]) -> dict:
    """The right eye against the left one of each child."""
    names = [photo.name for photo in photos]
    left = [i for i, name in enumerate(names) if name.endswith("L")]
    right = [names.index(names[i][:-1] + "R") for i in left]
    return agreement(
        {column: array[left] for column, array in values.items()},
        {column: array[right] for column, array in values.items()},
        [photos[i] for i in left],
    )


def hrf() -> dict:
    """Groups of HRF, by the ground truth and by networks."""
    found: dict = {}
    photos = HRF(split="test")  # the other half trained one of the networks
    values: dict[str, list[dict]] = {name: [] for name in ("ground truth", *ON_HRF)}
    groups = []
    for photo in photos:
        groups.append(GROUPS[photo.name.split("_")[1]])
        values["ground truth"].append(by_person(photo, "first", HALF))
        for name in ON_HRF:
            values[name].append(by_network(name, photo, "mask", step=HALF))
        print(photo.name, flush=True)
    for name, measured in values.items():
        columns = table(measured)
        found[name] = {
            column: {
                group: student(columns[column][np.array(groups) == group])._asdict()
                | {"sd": float(columns[column][np.array(groups) == group].std(ddof=1))}
                for group in GROUPS.values()
            }
            | {"p": p_value(columns[column], groups)}
            for column in COLUMNS
        }
        if name != "ground truth":
            truth = table(values["ground truth"])
            found[name]["agreement"] = agreement(truth, columns, list(photos))
    return found


def p_value(values: np.ndarray, groups: list[str]) -> float:
    """Kruskal and Wallis: how often groups of one distribution would differ so much."""
    parts = [values[np.array(groups) == group] for group in GROUPS.values()]
    return float(stats.kruskal(*parts).pvalue)


def part(values: Table, start: int, stop: int | None) -> Table:
    return {column: array[start:stop] for column, array in values.items()}


def rows(values: Table, photos: list[Photograph]) -> dict:
    """What was measured in each photograph, for figures."""
    return {"names": [photo.name for photo in photos]} | {
        column: [round(float(value), 5) for value in values[column]] for column in MAIN
    }


def scale(photo: Photograph) -> float:
    """Pixels per degree."""
    across = max(np.ptp(np.flatnonzero(photo.fov.any(axis=axis))) + 1 for axis in (0, 1))
    return float(across / photo.field_angle)


if __name__ == "__main__":
    main()
