"""The rows of the benchmark whose networks had the same budget, for the chapters."""

import math

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
    stored = read_all(".json", "equal_budget")
    known = sorted({run["network"] for run in stored})
    rows = []
    for name in networks:
        if name not in known:
            raise ValueError(f"No row of {name!r}. Available: {', '.join(known)}.")
        runs = [run for run in stored if run["network"] == name]
        pooled = [run["flips"]["pooled"] for run in runs]
        means = [math.fsum(one[score] for one in pooled) / len(pooled) for score in scores]
        recipe = [f"{runs[0]['steps']:,}", f"{runs[0]['lr']:g}", str(len(runs))]
        rows.append([name, *(f"{mean:.4f}" for mean in means), *recipe])
    person = read("unet_small_chase_db1")["second_observer"]["pooled"]
    values = [f"{person[score]:.4f}" if score in person else "" for score in scores]
    head = ["Prediction", "AUC", "F1", "Sensitivity", "Specificity"]
    head += ["Steps", "Learning rate", "Seeds"]
    return Table(head, [*rows, ["second observer", *values, "", "", ""]])
