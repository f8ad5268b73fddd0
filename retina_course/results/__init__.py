"""What `benchmarks/` measured: JSON with provenance, and pictures, read by the chapters."""

import html
import json
import math
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.display import Image

_FOLDER = files(__package__)


def read(name: str) -> dict:
    """The stored result `name` (without `.json`).

    Raises
    ------
    ValueError : no such result; the message lists those that exist.
    """
    return json.loads(_file(f"{name}.json").read_text(encoding="utf-8"))


def picture(name: str) -> "Image":
    """A stored picture, e.g. "unet_small_chase_db1_errors.jpg", to end a notebook cell with.

    Raises
    ------
    ValueError : no such picture; the message lists those that exist.
    """
    from IPython.display import Image  # there in every notebook; the package needs it nowhere else

    return Image(data=_file(name).read_bytes())


class Comparison:
    """The running comparison on CHASE_DB1: one row per network, and the two rows for free.

    `rows` holds dictionaries; a score is the mean over the seeds of the pooled score, with flip
    averaging, and `sd` (of the F1) its standard deviation.
    """

    COLUMNS = {
        "name": "Prediction",
        "auc": "AUC",
        "f1": "F1",
        "sd": "sd of F1",
        "parameters": "Parameters",
        "macs": "MACs",
        "size": "at H x W",
        "seconds": "Training, s",
        "steps": "Steps",
        "seeds": "Seeds",
        "device": "Device",
    }

    def __init__(self, rows: list[dict]):
        self.rows = rows

    def __str__(self) -> str:
        lines = [[self._text(key, row.get(key)) for key in self.COLUMNS] for row in self.rows]
        table = [list(self.COLUMNS.values()), *lines]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zipped))
            for zipped in (list(zip(line, widths, strict=True)) for line in table)
        )

    __repr__ = __str__  # what a notebook stores beside the HTML

    def _repr_html_(self) -> str:
        def line(tag: str, cells: list[str]) -> str:
            sides = ["left"] + ["right"] * (len(cells) - 1)
            return "".join(
                f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
                for side, cell in zip(sides, cells, strict=True)
            )

        head = f"<thead><tr>{line('th', list(self.COLUMNS.values()))}</tr></thead>"
        body = "".join(
            f"<tr>{line('td', [self._text(key, row.get(key)) for key in self.COLUMNS])}</tr>"
            for row in self.rows
        )
        return f"<table>{head}<tbody>{body}</tbody></table>"

    @staticmethod
    def _text(key: str, value: object) -> str:
        if value is None:
            return ""
        if key in ("auc", "f1", "sd"):
            return f"{value:.4f}"
        if key == "macs":
            unit, divisor = ("G", 1e9) if value >= 1e9 else ("M", 1e6)
            return f"{value / divisor:.3g} {unit}"
        if key == "seconds":
            return f"{value:,.0f}"
        return f"{value:,}" if isinstance(value, int) else str(value)


def comparison() -> Comparison:
    """All networks measured on CHASE_DB1, best AUC first, then second observer and empty map."""
    results = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(_FOLDER.iterdir(), key=lambda f: f.name)
        if file.name.endswith("_chase_db1.json")
    ]
    rows = sorted((_row(result) for result in results), key=lambda row: -row["auc"])
    for name, key in (("second observer", "second_observer"), ("empty prediction", "empty")):
        if results:
            rows.append({"name": name, "f1": results[0][key]["pooled"]["f1"]})
    return Comparison(rows)


def _row(result: dict) -> dict:
    runs, summary = result["runs"], result["summary"]["flips"]
    height, width = result["model"]["training_size"][2:]
    return {
        "name": result["model"]["name"],
        "parameters": result["model"]["parameters"],
        "macs": result["model"]["macs"],
        "size": f"{height} x {width}",
        "seconds": math.fsum(run["seconds"] for run in runs) / len(runs),
        "device": result["provenance"]["device"],
        "steps": result["recipe"]["steps"],
        "seeds": len(runs),
        "auc": summary["auc"]["mean"],
        "f1": summary["f1"]["mean"],
        "sd": summary["f1"]["sd"],
    }


def _file(name: str):
    file = _FOLDER / name
    ending = name[name.rfind(".") :]
    names = sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(ending))
    if name not in names:
        raise ValueError(
            f"No stored result {name.removesuffix('.json')!r}. "
            f"Available: {', '.join(n.removesuffix('.json') for n in names) or 'none'}."
        )
    return file
