"""Further seeds of the comparison's rows, on any machine: a CPU has hours where a GPU has minutes.

A row's recipe, learning rate, threshold and temperature are those of the stored row of its network:
they were found once, with one seed, and hold for all seeds. The row names its device and its
precision.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.common.files import read_json, slug, write_json
from benchmarks.common.shape_scores import tolerance_of_observers
from benchmarks.gpu import jobs, plan, take_up

RECIPE = ("crop", "batch_size", "lr", "steps", "photographs", "threshold")


def more_seeds(
    networks: Iterable[str], seeds: Iterable[int], output: Path, source: dict[str, Any]
) -> None:
    """Train and score each network with each seed that has no row yet, and write its row."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "provenance.json", source)
    for network in networks:
        stored = [read_json(path) for path in sorted(take_up.EQUAL.glob(f"{network}_seed*.json"))]
        for seed in seeds:
            if seed in [row["seed"] for row in stored]:
                print(f"finished  {network} seed {seed}", flush=True)
                continue
            if not stored:
                raise ValueError(
                    f"No row of {network!r}: its learning rate and its threshold are not known. "
                    "Run the parts `search`, `folds` and `equal` first."
                )
            recipe = {key: stored[0][key] for key in RECIPE}
            job = plan.job("equal", network, f"seed{seed}", seed=seed) | recipe
            if not (output / f"{job['name']}.json").exists():
                jobs.run(job, output)
            row = json.loads((output / f"{job['name']}.json").read_text())
            made = [*output.glob(f"{job['name']}_*.png"), output / f"{job['name']}.safetensors"]
            files = {path.name: path.read_bytes() for path in made}
            temperature = stored[0].get("calibration", {}).get("temperature")
            tolerance = tolerance_of_observers()
            take_up.take_up_row(row, files, slug(source["device"]), tolerance, temperature)
            print(f"written   {network} seed {seed}", flush=True)
