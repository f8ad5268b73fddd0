"""What a GPU run does, in order: the jobs of each part."""

from typing import Any

from benchmarks.gpu.networks import NAMES

SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)  # the same trials for every network
TRIED = ("unet_small", "retina_segmentor")  # on these the recipe for any camera is chosen
CAMERA_NETWORKS = ("unet_small", "w_net", "retina_segmentor")
SIZES = {"crop": 256, "batch_size": 8}
BOTH = {"chase": 0.4, "hrf": 0.6}
# Of the recipe for any camera, one thing changed at a time.
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "appearance_half": {"recipe": {"strength": 0.5}},
    "appearance_unchanged": {"recipe": {"strength": 0.0}},
    "scale_narrow": {"recipe": {"pixels_per_degree": (18.1, 25.6)}},
    "synthetic_added": {"synthetic": 0.4},
    "average": {"recipe": {"average": 0.998}},
}


def search(steps: int) -> list[dict[str, Any]]:
    """Each network with each learning rate, on two of the four training children."""
    return [
        job("search", network, f"{rate:g}", lr=rate, steps=steps)
        for rate in RATES
        for network in reversed(NAMES)  # the slowest first
    ]


def folds(steps: int, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Each network without two of the four children, twice."""
    return [
        job("fold", network, fold, fold=fold, lr=rates[network], steps=steps)
        for network in reversed(NAMES)
        for fold in ("a", "b")
    ]


def equal(steps: int, rates: dict[str, float], seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """Each network by the equal budget."""
    return [
        job("equal", network, f"seed{seed}", seed=seed, lr=rates[network], steps=steps)
        for seed in seeds
        for network in reversed(NAMES)
    ]


def variants(steps: int) -> list[dict[str, Any]]:
    """The recipe for any camera chosen: trained on one set, tried on the other's training half."""
    found = []
    for network in TRIED:
        for name, change in VARIANTS.items():
            for source in ("chase", "hrf"):
                share = change.get("synthetic", 0)
                sources = {source: 1 - share} | ({"synthetic": share} if share else {})
                found.append(camera(network, f"{source}_{name}", sources, steps, change))
        found.append(camera(network, "synthetic_full", {"synthetic": 1.0}, steps, {}))
    return found


def cameras(
    steps: int, change: dict[str, Any], seeds: tuple[int, ...] = SEEDS
) -> list[dict[str, Any]]:
    """The networks for any camera: both sets, their folds, each set alone, synthetic alone."""
    share = change.get("synthetic", 0)
    both = {name: part * (1 - share) for name, part in BOTH.items()}
    both |= {"synthetic": share} if share else {}
    found = [
        camera(network, "both", both, steps, change, seed=seed)
        for seed in seeds
        for network in CAMERA_NETWORKS
    ]
    for network in CAMERA_NETWORKS:
        for fold in ("a", "b"):
            held = camera(network, f"both_not_{fold}", both, steps, change)
            found.append(held | {"without": f"not {fold}"})
        for source in ("chase", "hrf"):
            sources = {source: 1 - share} | ({"synthetic": share} if share else {})
            found.append(camera(network, f"{source}_alone", sources, steps, change))
    for network in CAMERA_NETWORKS:
        found.append(camera(network, "synthetic_alone", {"synthetic": 1.0}, steps, {}))
    return found


def job(kind: str, network: str, label: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    name = f"{kind}_{network}_{label}"
    return {"kind": kind, "name": name, "network": network, "seed": seed} | SIZES | more


def camera(
    network: str,
    label: str,
    sources: dict[str, float],
    steps: int,
    change: dict[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    lr = 1e-2 if network in ("unet_small", "w_net") else 2e-3
    recipe = {"steps": steps, "lr": lr} | SIZES | change.get("recipe", {})
    name = f"camera_{network}_{label}_seed{seed}"
    found = {"kind": "camera", "name": name, "network": network, "seed": seed}
    return found | {"sources": sources, "recipe": recipe}
