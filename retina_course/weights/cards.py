"""What a card says, in words: for the command `retina-course models` and the book's model cards."""

from collections.abc import Mapping
from typing import Any


def scale_text(card: Mapping[str, Any]) -> str:
    """The scale that a network was trained at.

    Parameters
    ----------
    card : mapping
        A network's card.

    Returns
    -------
    str
        Pixels per degree and their range in the training, or the diameter of the field of view.

    Examples
    --------
    >>> scale_text({"pixels_per_degree": 21.3, "pixels_per_degree_range": [10, 28]})
    '21.3 pixels per degree (trained at 10.0 to 28.0)'
    """
    if "pixels_per_degree" not in card:
        return f"field of view of {card.get('fov_diameter', '?')} pixels, whatever its angle"
    low, high = card.get("pixels_per_degree_range", [card["pixels_per_degree"]] * 2)
    return f"{card['pixels_per_degree']:.1f} pixels per degree (trained at {low:.1f} to {high:.1f})"


def main_scores(scores: Mapping[str, Any]) -> str:
    """AUC and F1 of a card's `metrics`, or whatever scores they have instead.

    Parameters
    ----------
    scores : mapping
        `card["metrics"]`, with the photographs that were scored under `set`.

    Returns
    -------
    str
        The scores, and in brackets the photographs.

    Examples
    --------
    >>> main_scores({"set": "HRF, last 30 images", "auc": 0.98, "f1": 0.8, "mcc": 0.78})
    'auc 0.980, f1 0.800 (HRF, last 30 images)'
    """
    numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
    main = {key: numbers[key] for key in ("auc", "f1") if key in numbers} or numbers
    shown = ", ".join(f"{key} {value:.3f}" for key, value in main.items())
    return f"{shown} ({scores.get('set', 'set not stated')})"
