"""What a command found in one photograph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Found:
    """What a network found in a photograph.

    Parameters
    ----------
    summary : str
        For the terminal.
    values : mapping
        For the table, by column.
    files : mapping
        Pixels, or a mapping for JSON, by the ending of the file's name.
    warnings : list of str
        Sentences.
    """

    summary: str
    values: Mapping[str, Any]
    files: Mapping[str, np.ndarray | Mapping[str, Any]]
    warnings: list[str]
