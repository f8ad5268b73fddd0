"""Use a GPU that is there for minutes: is everything right on it, and the trainings in order.

    python -m benchmarks.gpu.run pack DIR                      before: the data to carry
    python -m benchmarks.gpu.run --minutes 13 --output DIR     there: all parts, in order
    python -m benchmarks.gpu.run --minutes 5 --output DIR --parts smoke search
    python -m benchmarks.gpu.run take-up DIR [DIR ...]         after: the book's results
    python -m benchmarks.gpu.run more-seeds --output DIR --networks w_net --seeds 1 2

The parts: `smoke` (every network once, in each precision, against the CPU), `speed` (with the card
alone), `capture` (which networks train as CUDA graphs), `notebooks` (all of them with the GPU in
sight, beside the rest), `search` (learning rates on inner folds), `variants` (what the recipe for
any camera needs), `folds` and `equal` (the comparison by equal budgets), `cameras` (the networks
for any camera). Several processes share the card: one alone cannot launch its work fast enough.
Each job writes its results when it is done; at the end all are packed into at most eight files
below 16 MB. RETINA_COURSE_DATA names the data. `more-seeds` trains further seeds of the rows that
`take-up` has written, also where no GPU is; it can be killed at any time, and goes on.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tarfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.common.camera_variants import EYE_SCALE, EYES
from benchmarks.common.equal_budget import NAMES
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from benchmarks.gpu import data, jobs, more_seeds, plan, smoke, take_up
from retina_course.training.devices import default_device

PROGRAM = Program(
    __file__,
    question="What do minutes of a GPU give: is all right there, how fast, how good?",
    results=("gpu/*.json", "equal_budget/*.json", "equal_budget_observer.json"),
    commands=(
        "python -m benchmarks.gpu.run --minutes 13 --output gpu/",
        "python -m benchmarks.gpu.run take-up gpu/",
    ),
    data=("CHASE_DB1",),
    hours=0.25,
)

ACTIONS = ("run", "pack", "take-up", "more-seeds")
ALONE = ("smoke", "speed", "capture")
PARTS = (*ALONE, "notebooks", "search", "variants", "folds", "equal", "cameras")
PACKING = 12  # seconds
LARGEST = 15_500_000  # bytes of a packed file
SHARDS = 16  # parts in which the synthetic images are painted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", nargs="?", default="run", choices=ACTIONS)
    parser.add_argument("folders", nargs="*", type=Path, help="to write (pack), or to read")
    parser.add_argument("--minutes", type=float, default=13)
    parser.add_argument("--output", type=Path, default=Path("gpu"))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--steps", type=int, default=2000, help="of the equal budget")
    parser.add_argument("--search-steps", type=int, default=500)
    parser.add_argument("--camera-steps", type=int, default=4000)
    parser.add_argument("--variant-steps", type=int, default=1500)
    parser.add_argument("--race-steps", type=int, default=2000)
    parser.add_argument(
        "--changes",
        nargs="*",
        choices=plan.VARIANTS,
        help="variants to combine for the cameras; by default those that the variants chose",
    )
    parser.add_argument("--networks", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--tiny", action="store_true", help="a rehearsal: few photographs, small")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(plan.SEEDS))
    options = parser.parse_args()
    if options.action == "pack":
        data.pack(*options.folders)
        return
    if options.action == "take-up":
        take_up.take_up(options.folders)
        return
    if options.action == "more-seeds":
        source = provenance(default_device(), PROGRAM)
        more_seeds.more_seeds(options.networks, options.seeds, options.output, source)
        return
    end = time.time() + 60 * options.minutes - PACKING
    options.output.mkdir(parents=True, exist_ok=True)
    work = options.output.parent / f"{options.output.name}_work"
    work.mkdir(exist_ok=True)
    alone(options, work)
    beside = start_notebooks(work) if "notebooks" in options.parts else None
    try:
        if "search" in options.parts:
            finish(plan.search(options.search_steps), options, work, end)
        if "variants" in options.parts:
            wanted = plan.variants(options.variant_steps, best_rates(work))
            finish(wanted, options, work, end)
            print(json.dumps(chosen_change(work, None)), flush=True)
        finish(list_of_jobs(options, work), options, work, end)
        if beside:
            beside.wait(max(1, end - time.time()))
    except subprocess.TimeoutExpired:
        print("The notebooks were not finished in time.")
    finally:
        if beside:
            beside.kill()
        pack_results(work, options.output)


def alone(options: argparse.Namespace, work: Path) -> None:
    """The parts that need the whole card; their report is written after each."""
    report: dict[str, Any] = {"cpus": os.cpu_count()}
    report["provenance"] = provenance(default_device(), PROGRAM)
    (work / "provenance.json").write_text(json.dumps(report["provenance"]))
    for part, what in (("smoke", smoke.smoke), ("speed", smoke.speed)):
        if part in options.parts:
            began = time.perf_counter()
            what(report)
            report[f"seconds of {part}"] = time.perf_counter() - began
            (work / "report.json").write_text(json.dumps(report, indent=1))
    if "capture" in options.parts:
        smoke.capture(report, work)
        smoke.attempt(report, "race", lambda: smoke.race(work, options.race_steps))
        (work / "report.json").write_text(json.dumps(report, indent=1))


def list_of_jobs(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """The jobs of the parts that come after the search, in order."""
    found, seeds, rates = [], tuple(options.seeds), best_rates(work)
    if (work / "race.pt").exists():
        found.append(plan.job("race", "unet_small", "f1"))
    cameras = []
    if "cameras" in options.parts:
        change = chosen_change(work, options.changes)
        (work / "change.json").write_text(json.dumps(change))
        cameras = plan.cameras(options.camera_steps, rates, change, seeds)
    first = len(plan.CAMERA_NETWORKS)  # seed 0 before all other seeds
    found += cameras[:first]
    if "folds" in options.parts:
        found += plan.folds(options.steps, rates)
    if "equal" in options.parts:
        found += plan.equal(options.steps, rates, seeds[:1])
    found += cameras[first:]
    if "equal" in options.parts:
        found += plan.equal(options.steps, rates, seeds[1:])
    return found


def chosen_change(work: Path, names: list[str] | None) -> dict[str, Any]:
    """The recipe for any camera as the variants chose it, or with the changes of these names."""
    if names is None:
        rows = [json.loads(path.read_text()) for path in work.glob("camera_*.json")]
        return plan.best_change(rows)
    return plan.together(names)


def best_rates(work: Path) -> dict[str, float]:
    """For each network the learning rate with the highest AUC of the held-out children.

    A network whose trials all failed gets the usual rate, and fails in its own job.
    """
    rows = [json.loads(path.read_text()) for path in work.glob("search_*.json")]
    rows.sort(key=lambda row: row["held_out"]["auc"])  # of equal names the last one counts
    return dict.fromkeys(NAMES, plan.USUAL_RATE) | {row["network"]: row["lr"] for row in rows}


def finish(
    wanted: list[dict[str, Any]], options: argparse.Namespace, work: Path, end: float
) -> None:
    """Do the jobs in several processes, in order, until all are done or the time is over."""
    workers = options.workers
    wanted = [job for job in wanted if not (work / f"{job['name']}.json").exists()]
    wanted = [job for job in wanted if job["network"] in options.networks]
    for job in wanted:
        job["photographs"] = 4 if options.tiny else None
        if options.tiny:
            job.get("recipe", job).update(crop=64, batch_size=2)
    if not wanted:
        return
    context = multiprocessing.get_context("spawn")
    paint = needs_eyes(wanted, work, SHARDS if options.tiny else EYES)
    queue: Any = context.Queue()
    for item in [*paint, *wanted, *[None] * workers]:
        queue.put(item)
    if workers == 1:
        work_off(queue, work, end)
        return
    running = [context.Process(target=work_off, args=(queue, work, end)) for _ in range(workers)]
    for process in running:
        process.start()
    for process in running:
        process.join(max(0.1, end - time.time()))
    for process in running:
        process.kill()


def needs_eyes(wanted: list[dict[str, Any]], work: Path, eyes: int) -> list[dict[str, Any]]:
    """The jobs that paint the synthetic eyes, where a job needs them and they are not there."""
    needed = any("synthetic" in job.get("sources", {}) for job in wanted)
    if not needed or (work / "synthetic.pt").exists():
        return []
    return [
        {"kind": "paint", "name": f"paint_{i}", "shard": i, "eyes": eyes} for i in range(SHARDS)
    ]


def work_off(queue: Any, work: Path, end: float) -> None:
    """One process: job after job, while one like it would still be done in time."""
    while (job := queue.get()) is not None:
        seconds = [
            json.loads(path.read_text())["seconds"]
            for path in work.glob(f"{job['kind']}_{job.get('network', '')}_*.json")
        ]
        if time.time() + max(seconds, default=0) > end:
            continue
        began = time.time()
        try:
            if job["kind"] == "paint":
                jobs.paint(job["shard"], work, job["eyes"], SHARDS, EYE_SCALE)
            else:
                jobs.run(job, work)
            print(
                f"{end - time.time():6.0f} s left; {job['name']}: {time.time() - began:.0f} s",
                flush=True,
            )
        except Exception:  # the other jobs do not depend on this one
            (work / f"{job['name']}.error.txt").write_text(traceback.format_exc())
            print(f"FAILED {job['name']}: {traceback.format_exc(limit=-2)}", flush=True)


def start_notebooks(work: Path) -> subprocess.Popen:
    """All notebooks with the GPU in sight, compared with their stored outputs."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "notebooks",
        "-n",
        "5",
        "--dist",
        "loadfile",
    ]
    command += ["-q", "--tb=short"]
    command += [f"--junit-xml={work / 'notebooks.xml'}", "-p", "no:cacheprovider"]
    with open(work / "notebooks.txt", "w") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def pack_results(work: Path, output: Path) -> None:
    """Everything but the synthetic eyes, the small files first, in at most eight archives."""
    files = [path for path in work.iterdir() if path.is_file() and path.suffix != ".pt"]
    number, size, archive = 0, 0, None
    for path in sorted(files, key=lambda path: path.stat().st_size):
        length = path.stat().st_size
        if length > LARGEST:
            print(f"left out, too large: {path.name}")
            continue
        if archive is None or size + length > LARGEST:
            if archive:
                archive.close()
            if number == 8:
                print(f"left out from here: {path.name}")
                return
            archive, size, number = (
                tarfile.open(output / f"gpu_{number}.tar", "w"),
                0,
                number + 1,
            )
        archive.add(path, path.name)
        size += length + 1024
    if archive:
        archive.close()


if __name__ == "__main__":
    main()
