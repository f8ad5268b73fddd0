"""How wrong every measurement is where the truth is exact.

    python -m benchmarks.measurement.exact

Straight tubes of 1 to 20 pixels at all angles and places between the pixels, waves, forks, and the
vessels of synthetic eyes at 21 pixels per degree (640 pixels across 30 degrees). Widths are
measured in the mask, by the profile and by the distance transform, in a soft map, and in a
photograph. Lengths are measured by four estimators. Nothing is tuned here: the eyes have seeds
that no test and no chapter uses.

Writes retina_course/results/measurement_exact.json. It needs no dataset.
"""

import time
from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage

from benchmarks.common import exact_equivalents
from benchmarks.common.exact_vessels import compare, crossings, exact, visible_length
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course.data.synthetic import draw_tubes, make_fundus, vessel_geometry
from retina_course.evaluation.agreement import bland_altman
from retina_course.measurement.calibre import widths_by_fit
from retina_course.measurement.equivalents import central_equivalents
from retina_course.measurement.lengths import corner_count, freeman, pixel_count, smoothed
from retina_course.measurement.measure import measure
from retina_course.measurement.tortuosity import tortuosity
from retina_course.measurement.vessels import SHORTEST, find_vessels

PROGRAM = Program(
    __file__,
    question="How wrong is each measurement of vessels where the truth is known exactly?",
    results=("measurement_exact.json",),
    commands=("python -m benchmarks.measurement.exact",),
    hours=0.1,
)
WIDTHS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20)
ANGLES = tuple(range(0, 91, 5))
SIDE, LENGTH = 192, 140
BLUR, NOISE, DARK = 1.2, 0.01, 0.2  # of a photograph of a tube: pixels, and of white
WAVES = tuple((h, p, w) for h in (2, 5, 10, 20) for p in (60, 120) for w in (3, 6, 10))
FORKS = tuple(range(30, 121, 10))  # degrees
EYES, SIZE = range(1000, 1016), 640
SIZES = (320, 480, 640, 960, 1280)  # of one eye, for the fractal dimension
WIDE = 3  # pixels, from which on the aims hold


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    torch.set_num_threads(1)
    eyes = [eye for seed in EYES for eye in measured_eye(seed)]
    content = {
        "tubes": [tubes(width) for width in WIDTHS],
        "lengths": list(length_curves()),
        "waves": [wave(*one) for one in WAVES],
        "curvature_of_straight_per_px": [straight_curvature(width) for width in WIDTHS[2:]],
        "forks": [fork(angle) for angle in FORKS],
        "fractal": list(fractal()),
        "eyes": {
            "seeds": list(EYES),
            "size": SIZE,
            "from_width": WIDE,
            "equivalents": exact_equivalents.agreement(
                *zip(*(equivalents(seed) for seed in EYES), strict=True)
            ),
            **{kind: summary([e for e in eyes if e["kind"] == kind]) for kind in KINDS},
        },
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "measurement_exact.json", content)


KINDS = ("artery", "vein", "vessel")


def tubes(width: float) -> dict:
    """Errors of straight tubes of one width, over angles and places between the pixels."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for angle in ANGLES:
        ahead = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = SIDE / 2 + rng.random(2)
        line = np.stack([middle - ahead * LENGTH / 2, middle + ahead * LENGTH / 2])
        cover = draw_tubes([line], [width], (SIDE, SIDE))
        seen = ndimage.gaussian_filter(0.5 - DARK * cover, BLUR)
        seen += NOISE * rng.standard_normal(seen.shape)
        vessels = find_vessels(cover >= 0.5)
        soft = find_vessels(cover >= 0.5, cover)
        fitted = widths_by_fit(seen, vessels.lines, vessels.widths)
        longest = int(np.argmax([one.length for one in vessels.lines]))
        for name, value, true in (
            ("profile", vessels.mean_widths[longest], width),
            ("distance", np.nanmean(vessels.widths_distance[longest]), width),
            ("soft_map", np.nanmax(soft.mean_widths), width),
            ("photograph", fitted[longest], width),
            ("length", vessels.length, LENGTH),
        ):
            found.setdefault(name, []).append(100 * (float(value) / true - 1))
    return {
        "width": width,
        "error_percent": {
            name: {"mean": float(np.nanmean(e)), "sd": float(np.nanstd(e)), "failed": nans(e)}
            for name, e in found.items()
        },
    }


def nans(values: list[float]) -> int:
    return int(np.isnan(values).sum())


def length_curves() -> Iterator[dict]:
    """The error of four estimators for a straight line of pixels at each angle."""
    for angle in range(0, 46):
        x = np.arange(round(200 * np.cos(np.radians(angle))) + 1)
        pixels = np.column_stack([x, np.round(x * np.tan(np.radians(angle)))])
        true = x[-1] / np.cos(np.radians(angle))
        estimates = (pixel_count, freeman, corner_count, smoothed)
        yield {"angle": angle, **{e.__name__: 100 * (e(pixels) / true - 1) for e in estimates}}


def wave(height: float, period: float, width: float) -> dict:
    """A tortuous vessel: the arc by its chord, measured and true."""
    x = np.arange(20.0, 261, 0.5)
    line = np.column_stack([x, 100 + height * np.sin(2 * np.pi * (x - 20) / period)])
    arc = float(np.hypot(*np.diff(line, axis=0).T).sum())
    vessels = find_vessels(draw_tubes([line], [width], (200, 281)) >= 0.5)
    found = max(vessels.lines, key=lambda one: one.length)
    ratio = arc / 240
    bent = tortuosity(found)
    return {
        "curvature_rms_per_px": (rms := wave_curvature(height, period)),
        "curvature_error_percent": 100 * (np.sqrt(bent.total_squared / bent.arc) / rms - 1),
        "height": height,
        "period": period,
        "width": width,
        "arc_chord": ratio,
        "smallest_radius": period**2 / (4 * np.pi**2 * height),
        "error_percent": 100 * (found.length / found.chord / ratio - 1),
        "length_error_percent": 100 * (vessels.length / arc - 1),
    }


def wave_curvature(height: float, period: float) -> float:
    """The root of the mean squared curvature of a wave of four or two periods, in 1/pixel."""
    at = np.linspace(0, 2 * np.pi, 2001)
    slope = 2 * np.pi / period * height * np.cos(at)
    second = (2 * np.pi / period) ** 2 * height * np.sin(at)
    step = np.hypot(1, slope)
    return float(np.sqrt(np.average((second / step**3) ** 2, weights=step)))


def straight_curvature(width: float) -> dict:
    """What is measured where there is none: the mean over the angles."""
    found = []
    for angle in ANGLES:
        ahead = LENGTH / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        line = SIDE / 2 + np.stack([-ahead, ahead])
        vessels = find_vessels(draw_tubes([line], [width], (SIDE, SIDE)) >= 0.5)
        bent = tortuosity(max(vessels.lines, key=lambda one: one.length))
        found.append(np.sqrt(bent.total_squared / bent.arc))
    return {"width": width, "mean": float(np.mean(found)), "highest": float(np.max(found))}


def fork(angle: float) -> dict:
    """The branching angle of symmetric forks in eight positions."""
    errors = []
    for turn in range(0, 360, 45):
        directions = np.radians([turn + 180, turn - angle / 2, turn + angle / 2])
        ends = 100 + 95 * np.column_stack([np.cos(directions), np.sin(directions)])
        lines = [np.array([[100.0, 100.0], end]) for end in ends]
        values = measure(draw_tubes(lines, [8, 5, 5], (200, 200)) >= 0.5).values
        errors.append(values["branching_angle_mean_degrees"] - angle)
    return {"angle": angle, "mean": float(np.nanmean(errors)), "sd": float(np.nanstd(errors))}


def fractal() -> Iterator[dict]:
    """One eye at several sizes: boxes of fixed pixels, and of fixed degrees."""
    for size in SIZES:
        eye = make_fundus(size, EYES[0])
        mask, fov = eye.vessel.numpy(), eye.fov.numpy()
        by_degree = measure(mask, fov, pixels_per_degree=size / 30).values["fractal_dimension"]
        by_pixel = measure(mask, fov, pixels_per_degree=SIZE / 30).values["fractal_dimension"]
        yield {"size": size, "boxes_in_degrees": by_degree, "boxes_in_pixels": by_pixel}


def measured_eye(seed: int) -> Iterator[dict]:
    """One synthetic eye: its arteries, its veins and all its vessels, measured."""
    eye, truth = make_fundus(SIZE, seed), vessel_geometry(SIZE, seed)
    fov = eye.fov.numpy()
    for kind in KINDS:
        mask = getattr(eye, kind).numpy()
        started = time.process_time()
        vessels = find_vessels(mask)
        seconds = time.process_time() - started
        fitted = widths_by_fit(eye.image[1].numpy(), vessels.lines, vessels.widths)
        known = exact(truth, kind)
        yield {
            "kind": kind,
            "seed": seed,
            "length": visible_length(known, fov),
            "measured_length": vessels.length,
            "branch_points": inside(truth.branch_points, fov),
            "measured_branch_points": len(vessels.graph.branch_points),
            "crossings": inside(crossings(truth), fov),
            "measured_crossings": len(vessels.graph.crossings),
            "segments": compare(vessels, known, fitted),
            "cpu": seconds,
        }
    print(f"eye {seed}", flush=True)


def equivalents(seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """CRAE, CRVE and AVR of one eye: exact, and measured in its masks."""
    eye, truth = make_fundus(SIZE, seed), vessel_geometry(SIZE, seed)
    disc = exact_equivalents.disc_of(truth)
    return (
        exact_equivalents.exact_equivalents(truth, eye.fov.numpy()),
        central_equivalents(eye.artery.numpy(), eye.vein.numpy(), disc),
    )


def inside(points: np.ndarray, fov: np.ndarray) -> int:
    """How many points lie in the field of view."""
    x, y = points[((points > -0.5) & (points < SIZE - 0.5)).all(axis=1)].round().astype(int).T
    return int(fov[y, x].sum())


def summary(eyes: list[dict]) -> dict:
    """Errors over the segments of all eyes, and over the eyes."""
    rows = [row for eye in eyes for row in eye["segments"]]
    wide = [row for row in rows if row["width"] >= WIDE]
    thin = [row for row in rows if row["width"] < WIDE]
    arcs = [row for row in rows if row["chord"] >= SHORTEST]

    def agreement(rows: list[dict], true: str, measured: str) -> dict:
        pairs = np.array([[row[true], row[measured]] for row in rows])
        found = bland_altman(pairs[:, 0], pairs[:, 1], percent=True)
        median = float(np.nanmedian(100 * (pairs[:, 1] / pairs[:, 0] - 1)))
        return {**found._asdict(), "median": median}

    ratios = [
        {"true": r["arc"] / r["chord"], "found": r["measured_arc"] / r["measured_chord"]}
        for r in arcs
    ]
    lengths = [{"true": eye["length"], "found": eye["measured_length"]} for eye in eyes]
    found = {
        "width": agreement(wide, "width", "measured_width"),
        "width_by_distance": agreement(wide, "width", "by_distance"),
        "width_in_photograph": agreement(wide, "width", "in_photograph"),
        "width_of_thin": agreement(thin, "width", "measured_width"),
        "segment_length": agreement(arcs, "arc", "measured_arc"),
        "tortuosity": agreement(ratios, "true", "found"),
        "tortuosity_of_eye": agreement([of_eye(eye) for eye in eyes], "true", "found"),
        "total_length": agreement(lengths, "true", "found"),
        "mean_width_of_eye": agreement(
            [
                {k: np.mean([r[k] for r in eye["segments"]]) for k in ("width", "measured_width")}
                for eye in eyes
            ],
            "width",
            "measured_width",
        ),
        "cpu_seconds": float(np.mean([eye["cpu"] for eye in eyes])),
    }
    if eyes[0]["kind"] == "vessel":
        for name in ("branch_points", "crossings"):
            found[name] = {
                "true": float(np.mean([eye[name] for eye in eyes])),
                "found": float(np.mean([eye[f"measured_{name}"] for eye in eyes])),
            }
    return found


def of_eye(eye: dict) -> dict[str, float]:
    """All arcs by all chords of an eye, true and measured."""
    arcs = [row for row in eye["segments"] if row["chord"] >= SHORTEST]
    total = {key: sum(row[key] for row in arcs) for key in arcs[0]}
    return {
        "true": total["arc"] / total["chord"],
        "found": total["measured_arc"] / total["measured_chord"],
    }


if __name__ == "__main__":
    main()
