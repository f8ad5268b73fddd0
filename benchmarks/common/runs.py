"""The finished runs on CHASE_DB1 that make one row, and what is stored of them."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.files import RESULTS, read_json
from benchmarks.common.rows import mean_and_sd


def read_runs(name: str, output: Path) -> tuple[list[dict], Path]:
    """The finished runs of one recipe, by seed, and the folder of seed 0's weights."""
    files = sorted(output.glob(f"{name}_seed*/run.json"))
    return one_recipe(files, f"run of {name} under {output}"), output / f"{name}_seed0"


def read_rows(beginning: str, output: Path) -> tuple[list[dict], Path]:
    """The rows of leaderboard.py whose names begin so, and the folder of seed 0's weights."""
    files = sorted((RESULTS / "leaderboard").glob(f"{beginning}*.json"))
    runs = one_recipe(files, f"row of the leaderboard that begins with {beginning}")
    return runs, output / files[0].stem


def summary(runs: list[dict]) -> dict:
    """Mean and standard deviation over the seeds, of pooled scores and of clDice over images."""
    found = {}
    for kind in ("flips", "no_flips"):
        rows = [run[kind] for run in runs]
        found[kind] = {
            key: mean_and_sd([row["pooled"][key] for row in rows]) for key in rows[0]["pooled"]
        }
        found[kind]["f1_at_half"] = mean_and_sd([row["f1_at_half"] for row in rows])
        found[kind]["cldice"] = mean_and_sd([row["mean"]["cldice"] for row in rows])
    return found


def variant(name: str, folder: Path) -> dict:
    """What is stored of a recipe that was tried later: enough to compare, no weights."""
    runs, _ = read_runs(name, folder)
    return {
        "recipe": runs[0]["recipe"],
        "provenance": runs[0]["provenance"],
        "seeds": [run["seed"] for run in runs],
        "summary": summary(runs),
        "validation": read_validation(name, folder, runs[0]["recipe"]),
    }


def read_validation(name: str, folder: Path, recipe: dict) -> dict | None:
    """What `validate` wrote, which may be shorter than the runs, but of the same recipe."""
    file = folder / f"{name}_validation.json"
    if not file.exists():
        return None
    result = read_json(file)
    if any(result["recipe"][key] != recipe[key] for key in recipe if key != "steps"):
        raise SystemExit(f"{file} is of another recipe than the runs beside it.")
    return result


def one_recipe(files: Sequence[Path], what: str) -> list[dict]:
    """Runs that make one row: seed 0 among them, no seed twice, all by one recipe."""
    runs = [read_json(file) for file in files]
    if not runs or runs[0]["seed"] != 0:
        raise SystemExit(f"No finished {what} with seed 0.")
    if any(run["recipe"] != runs[0]["recipe"] for run in runs):
        raise SystemExit("They differ in their recipe, and are not one row: " + _names(files))
    if len({run["seed"] for run in runs}) < len(runs):
        raise SystemExit("They are of several devices, and not one row: " + _names(files))
    return runs


def _names(files: Sequence[Path]) -> str:
    return ", ".join(file.stem if file.stem != "run" else file.parent.name for file in files)
