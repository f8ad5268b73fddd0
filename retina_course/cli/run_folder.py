"""The folder of a training run: what is in it, whose it is, and whether the run can go on there."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from retina_course import weights
from retina_course.cli.output import make_folder, write_json
from retina_course.data.files import clear_leftovers
from retina_course.training.checkpoints import differences

SETTINGS = ("model", "data", "digest", "seed", "recipe")  # what every settings.json holds


class RunFolder:
    """The files of a training run.

    Parameters
    ----------
    folder : Path
        The folder; it may be absent.
    model : str
        Name of the network.

    Raises
    ------
    ValueError
        `folder` is a file, or holds a file of the run's names that no run has made.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder
        self.weights = folder / f"{model}.safetensors"
        self.checkpoint, self.history = folder / "checkpoint.pt", folder / "history.json"
        self.settings = folder / "settings.json"
        for place in (folder, *folder.parents):
            if place.exists() and not place.is_dir():
                raise ValueError(f"{place} is a file; -o takes the name of a folder.")
        card = self.weights.with_suffix(".json")
        files = [self.settings, self.checkpoint, self.weights, card, self.history]
        if made_by_us(self.settings, SETTINGS):
            # What comes after the checkpoint and the weights cannot be there before them.
            begun = self.checkpoint.exists() or self.weights.exists()
            files = [] if begun else [card, self.history]
        foreign = [str(file) for file in files if file.exists()]
        if foreign:
            raise ValueError(
                f"{folder} holds files that retina-course train did not make and would replace: "
                f"{', '.join(foreign)}. Give another folder, or move them away."
            )

    def compare(self, settings: Mapping[str, Any]) -> None:
        """Refuse to go on with the run of other settings.

        Parameters
        ----------
        settings : mapping
            Those asked for. Where the data lie does not count: their digest does.

        Raises
        ------
        ValueError
            A run with others has begun here; the message names them.
        """
        begun = self.checkpoint.exists() or any(self.folder.glob("*.safetensors"))
        if begun and self.settings.exists():
            stored = json.loads(self.settings.read_text(encoding="utf-8"))
            different = differences(
                {**stored, "data": None, "digest": stored["digest"] == settings["digest"]},
                {**settings, "data": None, "digest": True},
            ).replace("digest is False there, True here", "the files of the data differ")
            if different:
                raise ValueError(
                    f"{self.folder} holds a run with other settings: {different}. Give another "
                    "folder, or the same settings to continue it."
                )

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make the folder, remove what a killed run left half-written, and write the settings.

        Parameters
        ----------
        settings : mapping
            With the keys `SETTINGS`.
        """
        make_folder(self.folder)
        clear_leftovers(self.folder, older_than=0)
        write_json(self.settings, settings)

    def card(self) -> dict[str, Any] | None:
        """The card of a run that has ended, with its threshold.

        Returns
        -------
        dict or None
            None where the run has not ended.
        """
        try:
            _, card = weights.load(self.weights)
        except (OSError, ValueError):
            return None
        return card if "threshold" in card and self.history.exists() else None


def made_by_us(file: Path, keys: Collection[str]) -> bool:
    """Whether a JSON file was written by one of the commands.

    Parameters
    ----------
    file : Path
        Any file, or none.
    keys : collection of str
        The keys that such a file has.

    Returns
    -------
    bool
        False where there is no such file.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and set(keys) <= content.keys()
