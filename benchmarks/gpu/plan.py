"""What a GPU run does, in order: the jobs of each part."""

from typing import Any

from benchmarks.common.camera_variants import VARIANTS
from benchmarks.common.equal_budget import NAMES
from benchmarks.common.scales import SHARES

SEEDS = (0, 1, 2)
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # the same trials for every network
USUAL_RATE = 3e-3
TRIED = ("unet_small", "retina_segmentor")  # on these the recipe for any camera is chosen
CAMERA_NETWORKS = ("w_net", "retina_segmentor", "unet_small")
SIZES = {"crop": 256, "batch_size": 8}
FOLD_SCALES, VARIANT_SCALES = (14.0, 17.5, 21.3), (14.0, 21.3)  # pixels per degree


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


def variants(steps: int, rates: dict[str, float]) -> list[dict[str, Any]]:
    """The recipe for any camera chosen: trained on one set, tried on the other's training half."""
    found = []
    for network in TRIED:
        for name, change in VARIANTS.items():
            for source in ("chase", "hrf"):
                share = change.get("synthetic", 0)
                sources = {source: 1 - share} | ({"synthetic": share} if share else {})
                label = f"{source}_{name}"
                found.append(camera(network, label, sources, steps, rates[network], change))
        sources = {"synthetic": 1.0}
        found.append(camera(network, "synthetic_full", sources, steps, rates[network], {}))
    return [job | {"scales": VARIANT_SCALES, "keep": False} for job in found]


def best_change(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All changes of the recipe for any camera that raised the AUC on the other set, together.

    Of two levels of one setting the better one is taken. A variant counts by the mean, over
    networks and sets, of the AUC at its best scale.
    """
    auc = {}
    for name in VARIANTS:
        of_name = [row for row in rows if row["name"].endswith(f"_{name}_seed0")]
        best = [
            max(scores["auc"] for scores in row[held_out].values())
            for row in of_name
            for held_out in ("chase", "hrf")
            if held_out in row and not set(row["sources"]) == {"synthetic"}
        ]
        auc[name] = sum(best) / len(best) if best else 0.0
    better = [name for name in VARIANTS if auc[name] > auc["full"]]
    return together(sorted(better, key=lambda name: auc[name])) | {"auc": auc}


def together(names: list[str]) -> dict[str, Any]:
    """The changes of several variants; of two levels of one setting the later one counts."""
    chosen: dict[str, Any] = {"recipe": {}}
    for name in names:
        change = VARIANTS[name]
        chosen |= {key: value for key, value in change.items() if key != "recipe"}
        chosen["recipe"] |= change.get("recipe", {})
    return chosen


def cameras(
    steps: int,
    rates: dict[str, float],
    change: dict[str, Any],
    seeds: tuple[int, ...] = SEEDS,
) -> list[dict[str, Any]]:
    """The networks for any camera: both sets, their folds, each set alone, synthetic alone."""
    share = change.get("synthetic", 0)
    both = {name: part * (1 - share) for name, part in SHARES.items()}
    both |= {"synthetic": share} if share else {}

    def one(network: str, label: str, sources: dict[str, float], seed: int = 0) -> dict[str, Any]:
        return camera(network, label, sources, steps, rates[network], change, seed)

    first, *others = seeds
    found = [one(network, "both", both, first) for network in CAMERA_NETWORKS]
    for networks in (CAMERA_NETWORKS[:2], CAMERA_NETWORKS[2:]):  # the small one trains anywhere
        for fold in ("a", "b"):
            held = {"without": f"not {fold}", "keep": False, "scales": FOLD_SCALES}
            found += [one(name, f"both_not_{fold}", both) | held for name in networks]
        found += [one(name, "both", both, seed) for seed in others for name in networks]
    for source in ("chase", "hrf"):
        sources = {source: 1 - share} | ({"synthetic": share} if share else {})
        found += [one(name, f"{source}_alone", sources) for name in CAMERA_NETWORKS]
    found += [one(name, "synthetic_alone", {"synthetic": 1.0}) for name in CAMERA_NETWORKS]
    return found


def job(kind: str, network: str, label: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    name = f"{kind}_{network}_{label}"
    return {"kind": kind, "name": name, "network": network, "seed": seed} | SIZES | more


def camera(
    network: str,
    label: str,
    sources: dict[str, float],
    steps: int,
    rate: float,
    change: dict[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    recipe = {"steps": steps, "lr": rate} | SIZES | change.get("recipe", {})
    name = f"camera_{network}_{label}_seed{seed}"
    found = {"kind": "camera", "name": name, "network": network, "seed": seed}
    return found | {"sources": sources, "recipe": recipe, "keep": True}
