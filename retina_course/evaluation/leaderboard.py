"""The benchmark's rows: one file per run, read together, compared in pairs.

`benchmarks/scores/leaderboard.py` writes them into results/leaderboard/; nothing is typed by hand.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retina_course.evaluation.intervals import Interval, bootstrap, paired_difference
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
        tables = [
            {image["name"]: image[score] for image in run[row]["per_image"]} for run in self.runs
        ]
        return np.array([np.mean([table[name] for table in tables]) for name in sorted(tables[0])])

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

    The interval is that of the mean over photographs of F1, with children drawn again: it says how
    far other children might have moved the score, not how far another seed might.

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
        "mean F1 per photograph, 95 %",
        "F1, no flips",
    ]
    head += ["Seeds", "Steps", "Crop", "Parameters", "Minutes", "Device"]
    return Table(head, [_line(entry) for entry in entries])


def interval(entry: Entry, score: str = "f1") -> Interval:
    """The mean of a score over photographs, with its 95 % interval over children.

    Parameters
    ----------
    entry : Entry
        A line of the leaderboard.
    score : str, default "f1"
        E.g. "f1" or "cldice", see `metrics.evaluate`.

    Returns
    -------
    Interval
        Children are drawn, each with both eyes.
    """
    values = entry.per_image(score)
    return bootstrap(lambda chosen: values[chosen].mean(), len(values), patients=entry.children)


def difference(first: Entry, second: Entry, score: str = "f1") -> Interval:
    """The mean of `second - first` over the same photographs, with its 95 % interval.

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
    Interval
        Children are drawn, each with both eyes. Positive: the second is better.
    """
    return paired_difference(
        first.per_image(score), second.per_image(score), patients=first.children
    )


def _line(entry: Entry) -> list[str]:
    """The cells of one row of `table`."""
    first = entry.runs[0]
    f1 = entry.scores("f1")
    around = interval(entry)
    minutes = np.mean([run["seconds"] for run in entry.runs]) / 60
    return [
        entry.name,
        f"{np.mean(entry.scores('auc')):.4f}",
        f"{np.mean(f1):.4f}",
        f"{np.std(f1, ddof=1):.4f}" if len(f1) > 1 else "",
        f"{around.value:.3f} ({around.low:.3f} to {around.high:.3f})",
        f"{np.mean(entry.scores('f1', 'no_flips')):.4f}",
        str(len(f1)),
        f"{first['recipe']['steps']:,}",
        str(first["recipe"]["crop"]),
        f"{first['parameters']:,}",
        f"{minutes:.0f}",
        first["provenance"]["device"],
    ]
