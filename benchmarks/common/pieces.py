"""The leaderboard's trainings, by name and in their order."""

from dataclasses import dataclass, field

import torch

from benchmarks.common.documented_linknet import FOV_DIAMETER, SIDE
from benchmarks.common.networks import LONGER, ON_CPU, ON_GPU, OWN_SCALE, SCALES, SEEDS


@dataclass(frozen=True)
class Piece:
    """One training of the leaderboard and its scores."""

    model: str
    seed: int
    training: str  # "course" or "documented"
    recipe: dict = field(hash=False)

    @property
    def name(self) -> str:
        r = self.recipe
        return (
            f"{self.model}_{self.training}_{r['fov_diameter']}px_{r['crop']}crop_"
            f"{r['steps']}steps_seed{self.seed}"
        )


def pieces(device: torch.device) -> list[Piece]:
    """All pieces in order: own scales, the documented recipe, more steps, then other scales."""
    own = {
        name: ON_GPU | (of_cpu if device.type == "cpu" else OWN_SCALE.get(name, {}))
        for name, of_cpu in ON_CPU.items()
    }
    found = [Piece(name, seed, "course", recipe) for seed in SEEDS for name, recipe in own.items()]
    documented = {"steps": 200, "crop": SIDE, "fov_diameter": FOV_DIAMETER}
    found += [Piece("linknet", seed, "documented", documented) for seed in SEEDS]
    if device.type == "cpu":
        found += [
            Piece(name, seed, "course", own[name] | longer)
            for seed in SEEDS
            for name, longer in LONGER.items()
        ]
    found += [
        Piece(name, seed, "course", recipe | {"fov_diameter": scale})
        for scale in SCALES
        for seed in SEEDS
        for name, recipe in own.items()
        if scale != recipe["fov_diameter"]
    ]
    return found
