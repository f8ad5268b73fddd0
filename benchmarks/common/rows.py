"""The parts that stored rows are made of."""

from collections.abc import Sequence

import numpy as np

OPTIMIZER = "AdamW, one cosine to zero, gradients clipped at 1"  # that of `fit`


def mean_and_sd(values: Sequence[float]) -> dict:
    """Mean and standard deviation (n - 1); None for the sd of one value."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd}


def smooth(losses: Sequence[float], points: int = 100) -> list[list[float]]:
    """[step, mean loss up to it] at about `points` steps: a curve small enough to store."""
    parts = np.array_split(np.asarray(losses), min(points, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return [[int(end), round(float(part.mean()), 5)] for end, part in zip(ends, parts, strict=True)]
