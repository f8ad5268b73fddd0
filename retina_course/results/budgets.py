"""The rows of the benchmark whose networks had the same budget of pixels or of compute."""

import math
from typing import Any

from retina_course.results.stored import read, read_all
from retina_course.results.tables import Table


def equal_budget(*networks: str) -> Table:
    """Tabulate networks that were trained on the same number of pixels.

    Scores are pooled over the test pixels of CHASE_DB1 inside the field of view, with averaging
    over flips; mean over the seeds. The last row is the second observer.

    Parameters
    ----------
    *networks : str
        Names of networks, in the order of the rows.

    Returns
    -------
    Table
        One row per network, and the second observer.

    Raises
    ------
    ValueError
        If there is no such row; the message lists the networks that have one.

    Examples
    --------
    >>> from retina_course import results
    >>> results.equal_budget("unet_small", "segnet").head[:3]
    ['Prediction', 'AUC', 'F1']
    """
    scores = ("auc", "f1", "sensitivity", "specificity")
    rows = []
    for name in networks:
        runs = _runs(name)
        pooled = [run["flips"]["pooled"] for run in runs]
        means = [math.fsum(one[score] for one in pooled) / len(pooled) for score in scores]
        recipe = [f"{runs[0]['steps']:,}", f"{runs[0]['lr']:g}", str(len(runs))]
        rows.append([name, *(f"{mean:.4f}" for mean in means), *recipe])
    person = read("unet_small_chase_db1")["second_observer"]["pooled"]
    values = [f"{person[score]:.4f}" if score in person else "" for score in scores]
    head = ["Prediction", "AUC", "F1", "Sensitivity", "Specificity"]
    head += ["Steps", "Learning rate", "Seeds"]
    return Table(head, [*rows, ["second observer", *values, "", "", ""]])


def equal_compute() -> Table:
    """Tabulate networks that were trained for the same time on one CPU thread.

    Scores are pooled over the test pixels of CHASE_DB1 inside the field of view, with averaging
    over flips; one seed; the threshold is that of children held out of a training as long.

    Returns
    -------
    Table
        One row per network, sorted by AUC. "Seconds a step" are CPU seconds, measured before the
        training; the number of steps follows from them. "CPU seconds" are those of the training.

    Raises
    ------
    ValueError
        If nothing is stored yet, or if the rows differ in their time.

    Examples
    --------
    >>> from retina_course import results
    >>> results.equal_compute().head
    ['Network', 'Steps', 'AUC', 'F1', 'Seconds a step', 'CPU seconds']
    """
    stored = read_all(".json", "equal_compute")
    if not stored:
        raise ValueError(
            "No network is stored at equal compute yet. The program scores/equal_compute.py in "
            "benchmarks/ writes them."
        )
    if len(minutes := sorted({run["minutes"] for run in stored})) > 1:
        raise ValueError(f"Expected rows of one training time, got rows of {minutes} minutes.")
    rows = []
    for run in sorted(stored, key=lambda run: -run["flips"]["pooled"]["auc"]):
        scores = [f"{run['flips']['pooled'][score]:.4f}" for score in ("auc", "f1")]
        cost = [f"{run['step_seconds']:.2f}", f"{run['cpu_seconds']:.0f}"]
        rows.append([run["network"], f"{run['recipe']['steps']:,}", *scores, *cost])
    return Table(["Network", "Steps", "AUC", "F1", "Seconds a step", "CPU seconds"], rows)


def budget_scores(network: str) -> Table:
    """Tabulate all pooled scores of a network's rows in `equal_budget`.

    Parameters
    ----------
    network : str
        Name of the network.

    Returns
    -------
    Table
        One row per score: mean over the seeds, the second observer, an empty prediction.

    Raises
    ------
    ValueError
        If there is no row of this network.

    Examples
    --------
    >>> from retina_course import results
    >>> results.budget_scores("segnet").head
    ['Score', 'segnet', 'second observer', 'empty prediction']
    """
    pooled = [run["flips"]["pooled"] for run in _runs(network)]
    base = read("unet_small_chase_db1")
    others = [base[key]["pooled"] for key in ("second_observer", "empty")]
    rows = [
        [
            score,
            f"{math.fsum(one[score] for one in pooled) / len(pooled):.4f}",
            *(f"{other[score]:.4f}" if score in other else "-" for other in others),
        ]
        for score in pooled[0]
    ]
    return Table(["Score", network, "second observer", "empty prediction"], rows)


def _runs(network: str) -> list[dict[str, Any]]:
    """The stored rows of one network, one per seed."""
    stored = read_all(".json", "equal_budget")
    found = [run for run in stored if run["network"] == network]
    if not found:
        known = sorted({run["network"] for run in stored})
        raise ValueError(f"No row of {network!r}. Available: {', '.join(known)}.")
    return found
