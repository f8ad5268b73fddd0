"""Tables of the results that `benchmarks/` measured, for the chapters."""

import html
import math
from collections.abc import Sequence
from typing import Any

from retina_course.results.stored import read, read_all

SCORES = (
    "auc",
    "average_precision",
    "f1",
    "f1_at_half",
    "mcc",
    "accuracy",
    "sensitivity",
    "specificity",
    "iou",
    "cldice",
)
COMPARISON = (
    "Prediction",
    "AUC",
    "F1",
    "sd of F1",
    "Parameters",
    "MACs",
    "at H x W",
    "FOV, pixels",
    "Steps",
    "Seeds",
    "Training, s",
    "Device",
)


class Table:
    """A table of text: HTML in a notebook and in the book, aligned text elsewhere.

    Parameters
    ----------
    head : sequence of str
        The titles of the columns.
    rows : sequence of sequence of str
        The cells of each row, as many as there are titles.

    Examples
    --------
    >>> from retina_course.results import Table
    >>> Table(["Network", "F1"], [["unet_small", "0.81"], ["segnet", "0.79"]])
    Network       F1
    unet_small  0.81
    segnet      0.79
    """

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.head, self.rows = list(head), [list(row) for row in rows]

    def __str__(self) -> str:
        table = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in table
        )

    __repr__ = __str__  # what a notebook stores beside the HTML

    def _repr_html_(self) -> str:
        def line(tag: str, cells: list[str]) -> str:
            sides = ["left"] + ["right"] * (len(cells) - 1)
            return "".join(
                f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
                for side, cell in zip(sides, cells, strict=True)
            )

        body = "".join(f"<tr>{line('td', row)}</tr>" for row in self.rows)
        return (
            f"<table><thead><tr>{line('th', self.head)}</tr></thead><tbody>{body}</tbody></table>"
        )


def facts(result: dict[str, Any]) -> Table:
    """Tabulate what a stored run on photographs is: protocol, data, network, recipe, machine.

    Parameters
    ----------
    result : dict
        A stored result `NETWORK_chase_db1`, from `read`.

    Returns
    -------
    Table
        Two columns, name and value.

    Examples
    --------
    >>> from retina_course import results
    >>> results.facts(results.read("unet_small_chase_db1")).head
    ['What', 'Value']
    """
    recipe, origin = result["recipe"], result["provenance"]
    data, network, runs = result["dataset"], result["model"], result["runs"]
    options = {k: v for k, v in network["options"].items() if k != "num_classes"}
    height, width = network["training_size"][2:]
    rows = result["protocol"] | {
        "data": data["name"],
        "training images": len(data["train"]),
        "test images": len(data["test"]),
        "SHA-256 of all": data["digest"][:16],
        "options": ", ".join(f"{k}={v}" for k, v in options.items()) or "none",
        "parameters": network["parameters"],
        "MACs": f"{_macs(network['macs'])} at {height} x {width}",
        "steps": recipe["steps"],
        "batch": f"{recipe['batch_size']} crops of side {recipe['crop']}",
        "scale": f"field of view of {recipe['fov_diameter']} pixels",
        "loss": recipe["loss"],
        "optimizer": recipe["optimizer"],
        "learning rate": recipe["lr"],
        "precision": recipe["precision"],
        "device": f"{origin['device']}, {origin['threads']} thread(s)",
        "torch": origin["torch"],
        "seeds": ", ".join(str(run["seed"]) for run in runs),
        "minutes a seed": ", ".join(f"{run['seconds'] / 60:.0f}" for run in runs),
        "commit": origin["commit"][:10] + origin["commit"][40:],
        "date": origin["date"],
    }
    return Table(
        ["What", "Value"], [[name.replace("_", " "), _text(v)] for name, v in rows.items()]
    )


def scores(result: dict[str, Any]) -> Table:
    """Tabulate the scores of a stored run, pooled over all test pixels inside the field of view.

    A cell has mean and standard deviation over the seeds, if there are several. clDice is the mean
    over images. "4 flips" means that the probabilities are averaged over the image and its three
    flips. `f1` uses the threshold from the training images, `f1_at_half` uses 0.5.

    Parameters
    ----------
    result : dict
        A stored result `NETWORK_chase_db1`, from `read`.

    Returns
    -------
    Table
        One row per score; columns for the network, the second observer and an empty prediction.

    Examples
    --------
    >>> from retina_course import results
    >>> results.scores(results.read("unet_small_chase_db1")).head[:3]
    ['Score', '4 flips', 'no flips']
    """

    def network(row: str, score: str) -> str:
        value = result["summary"][row][score]
        return f"{value['mean']:.4f}" + ("" if value["sd"] is None else f" ± {value['sd']:.4f}")

    def without(row: str, score: str) -> str:
        values = {"cldice": result[row]["mean"]["cldice"]} | result[row]["pooled"]
        return f"{values[score]:.4f}" if score in values else "-"

    return Table(
        ["Score", "4 flips", "no flips", "second observer", "empty prediction"],
        [
            [
                score,
                network("flips", score),
                network("no_flips", score),
                without("second_observer", score),
                without("empty", score),
            ]
            for score in SCORES
        ],
    )


def comparison() -> Table:
    """Tabulate all networks measured on CHASE_DB1, best AUC first.

    A score is the mean over the seeds of the pooled score, with averaging over flips. The last two
    rows are the second observer and an empty prediction.

    Returns
    -------
    Table
        One row per network, and two more.

    Examples
    --------
    >>> from retina_course import results
    >>> results.comparison().head[:3]
    ['Prediction', 'AUC', 'F1']
    """
    results = read_all("_chase_db1.json")
    rows = [_row(r) for r in sorted(results, key=lambda r: -r["summary"]["flips"]["auc"]["mean"])]
    for name, key in (("second observer", "second_observer"), ("empty prediction", "empty")):
        f1 = results[0][key]["pooled"]["f1"]
        rows.append([name, "", f"{f1:.4f}", *[""] * (len(COMPARISON) - 3)])
    return Table(COMPARISON, rows)


def speed(topic: str, device: str = "cpu") -> Table:
    """Tabulate the times of `benchmarks/speed/peers.py`, in milliseconds: medians over the rounds.

    For a peer, the number in brackets is the median, over the rounds, of our time divided by the
    peer's time in the same format. Below 1, ours is faster.

    Parameters
    ----------
    topic : {"retina_unet", "linknet", "encoder"}
        What was measured.
    device : str, default "cpu"
        "cpu", or "cuda" if the stored run had one.

    Returns
    -------
    Table
        One row per network and format, one column per task.

    Raises
    ------
    ValueError
        If nothing was measured for this topic and device.

    Examples
    --------
    >>> from retina_course import results
    >>> results.speed("linknet").head[:2]
    ['Network', 'Format']
    """
    measured = read("speed")["cases"]
    cases = [case for case in measured if (case["topic"], case["device"]) == (topic, device)]
    if not cases:
        known = sorted({f"{case['topic']} on {case['device']}" for case in measured})
        raise ValueError(f"No speed of {topic!r} on {device!r}. Available: {', '.join(known)}.")
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for column, case in enumerate(cases):
        for one in case["contenders"]:
            ratio = f" ({one['ours_to_this'][1]:.2f})" if "ours_to_this" in one else ""
            network = one["name"] if one["owner"] == "ours" else f"{one['owner']} {one['name']}"
            row = cells.setdefault((network, one["format"]), {})
            row[column] = f"{one['ms'][1]:.3g}{ratio}"
    head = [f"{c['task']}, {c['precision']}, {' x '.join(map(str, c['input']))}" for c in cases]
    return Table(
        ["Network", "Format", *head],
        [[*key, *(row.get(i, "-") for i in range(len(cases)))] for key, row in cells.items()],
    )


def _row(result: dict[str, Any]) -> list[str]:
    """The row of one network in `comparison`."""
    network, recipe, runs = result["model"], result["recipe"], result["runs"]
    summary = result["summary"]["flips"]
    sd = summary["f1"]["sd"]
    height, width = network["training_size"][2:]
    return [
        network["name"],
        f"{summary['auc']['mean']:.4f}",
        f"{summary['f1']['mean']:.4f}",
        "" if sd is None else f"{sd:.4f}",
        _text(network["parameters"]),
        _macs(network["macs"]),
        f"{height} x {width}",
        _text(recipe["fov_diameter"]),
        _text(recipe["steps"]),
        _text(len(runs)),
        f"{math.fsum(run['seconds'] for run in runs) / len(runs):,.0f}",
        result["provenance"]["device"],
    ]


def _text(value: object) -> str:
    """A value as text, with thousands separators."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _macs(value: int) -> str:
    """A number of multiply-accumulate operations with three digits and its unit."""
    unit, divisor = ("G", 1e9) if value >= 1e9 else ("M", 1e6)
    return f"{value / divisor:.3g} {unit}"
