"""The benchmark's rows: one file per run, read together, compared in pairs.

All standard errors and intervals are Student's over children, and over seeds where a line has
several: see `estimates.estimate`.
`benchmarks/scores/leaderboard.py` writes them into results/leaderboard/; nothing is typed by hand.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retina_course.evaluation.estimates import Estimate, estimate
from retina_course.results.stored import read_all
from retina_course.results.tables import Table


class Entry(NamedTuple):
    """The runs that differ in their seed only: one line of the leaderboard.

    Parameters
    ----------
    runs : list of dict
        The stored rows, by seed.
    """

    runs: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The network, and what tells it from the same network by another recipe."""
        first = self.runs[0]
        recipe = "" if first["training"] == "course" else f" {first['training']}"
        return f"{first['model']}{recipe} {first['recipe']['fov_diameter']}"

    def scores(self, score: str, row: str = "flips") -> list[float]:
        """The pooled score of each seed.

        Parameters
        ----------
        score : str
            E.g. "auc" or "f1", see `metrics.scores`.
        row : str, default "flips"
            "flips" with test-time augmentation by four flips, or "no_flips".

        Returns
        -------
        list of float
            One score per run.
        """
        return [run[row]["pooled"][score] for run in self.runs]

    def by_seed(self, score: str, row: str = "flips") -> NDArray[np.float64]:
        """The score of each test photograph, by each seed.

        Parameters
        ----------
        score : str
            E.g. "f1" or "cldice", see `metrics.evaluate`.
        row : str, default "flips"
            "flips" with test-time augmentation by four flips, or "no_flips".

        Returns
        -------
        ndarray of float
            `(S, M)`: seeds in the order of `runs`, photographs in the order of `images`.
        """
        tables = [
            {image["name"]: image[score] for image in run[row]["per_image"]} for run in self.runs
        ]
        return np.array([[table[name] for name in self.images] for table in tables])

    def per_image(self, score: str, row: str = "flips") -> NDArray[np.float64]:
        """The score of each test photograph, mean over the seeds.

        Parameters
        ----------
        score : str
            E.g. "f1" or "cldice", see `metrics.evaluate`.
        row : str, default "flips"
            "flips" with test-time augmentation by four flips, or "no_flips".

        Returns
        -------
        ndarray of float
            `(M,)`, in the order of `images`.
        """
        return self.by_seed(score, row).mean(axis=0)

    @property
    def images(self) -> list[str]:
        """The names of the M test photographs, sorted."""
        return sorted(image["name"] for image in self.runs[0]["flips"]["per_image"])

    @property
    def children(self) -> list[str]:
        """The child of each photograph, "05" of "Image_05L"; both eyes of a child are alike."""
        return [name.removeprefix("Image_")[:2] for name in self.images]


def read() -> list[Entry]:
    """All lines of the leaderboard, best mean AUC first; runs on other devices are other lines.

    Returns
    -------
    list of Entry
        One per network, recipe and device.

    Raises
    ------
    ValueError
        If no row is stored.

    Examples
    --------
    >>> import numpy as np
    >>> means = [float(np.mean(entry.scores("auc"))) for entry in read()]
    >>> means == sorted(means, reverse=True)
    True
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in read_all(".json", "leaderboard"):
        recipe = json.dumps(run["recipe"], sort_keys=True)
        options = json.dumps(run["options"], sort_keys=True)
        key = (run["model"], options, run["training"], recipe, run["provenance"]["device"])
        groups.setdefault(key, []).append(run)
    if not groups:
        raise ValueError(
            "There is no row yet: python -m benchmarks.scores.leaderboard run writes them."
        )
    entries = [Entry(sorted(runs, key=lambda run: run["seed"])) for runs in groups.values()]
    return sorted(entries, key=lambda entry: -np.mean(entry.scores("auc")))


def table(entries: Sequence[Entry]) -> Table:
    """The leaderboard: pooled AUC and F1 with four flips, mean over the seeds.

    The interval is that of the mean F1 over photographs: how far other children might have moved
    it, and other seeds, where the line has several.

    Parameters
    ----------
    entries : sequence of Entry
        The lines, from `read`.

    Returns
    -------
    Table
        One row per entry.

    Examples
    --------
    >>> table(read()[:2]).head[:3]
    ['Network and scale', 'AUC', 'F1']
    """
    head = [
        "Network and scale",
        "AUC",
        "F1",
        "sd over seeds",
        "mean F1, 95 %",
        "covers",
        "F1, no flips",
    ]
    head += ["Seeds", "Steps", "Crop", "Parameters", "Minutes", "Device"]
    return Table(head, [_line(entry) for entry in entries])


def mean(entry: Entry, score: str = "f1") -> Estimate:
    """The mean of a score over photographs and seeds.

    Parameters
    ----------
    entry : Entry
        A line of the leaderboard.
    score : str, default "f1"
        E.g. "f1" or "cldice", see `metrics.evaluate`.

    Returns
    -------
    Estimate
        Its `interval()` is about other children; with several seeds, about other seeds, too.
    """
    return estimate(entry.by_seed(score), patients=entry.children)


def difference(first: Entry, second: Entry, score: str = "f1") -> Estimate:
    """The mean of `second - first` over the same photographs.

    Parameters
    ----------
    first : Entry
        A line of the leaderboard.
    second : Entry
        Another, on the same photographs.
    score : str, default "f1"
        E.g. "f1" or "cldice", see `metrics.evaluate`.

    Returns
    -------
    Estimate
        Positive: the second is better. Its `interval()` is about other children; where both lines
        have several seeds, about other seeds, too.
    """
    return estimate(second.by_seed(score), minus=first.by_seed(score), patients=first.children)


def _line(entry: Entry) -> list[str]:
    """The cells of one row of `table`."""
    first = entry.runs[0]
    f1 = entry.scores("f1")
    found = mean(entry)
    around = found.interval()
    minutes = np.mean([run["seconds"] for run in entry.runs]) / 60
    return [
        entry.name,
        f"{np.mean(entry.scores('auc')):.4f}",
        f"{np.mean(f1):.4f}",
        f"{np.std(f1, ddof=1):.4f}" if len(f1) > 1 else "",
        f"{around.value:.3f} ({around.low:.3f} to {around.high:.3f})",
        found.covers.replace("patients", "children"),
        f"{np.mean(entry.scores('f1', 'no_flips')):.4f}",
        str(len(f1)),
        f"{first['recipe']['steps']:,}",
        str(first["recipe"]["crop"]),
        f"{first['parameters']:,}",
        f"{minutes:.0f}",
        first["provenance"]["device"],
    ]
