"""Whether a vessel map is likely to be wrong, judged by the map itself."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Below the lowest of the photographs that a card's range is of. Of 31 poor maps of damaged training
# photographs it finds 27, and takes none of 23 others: benchmarks/analysis/doubtful_maps.py.
MARGIN = 0.02


def expected_f1(probability: Tensor, fov: Tensor, threshold: float) -> float:
    """The F1 that a map has if the probabilities of its pixels are right.

    Of the pixels that are called vessel, the expected number of true ones is the sum of their
    probabilities; of all pixels inside the field of view, that of vessels is the sum of all
    probabilities. F1 is twice the first over the second plus the number of called pixels. A
    network that hesitates expects little. One that is surely wrong expects much: no such number
    sees that.

    Give it the map as the network saw it. A map that was resampled to a coarse photograph has
    averages of probabilities, which look like hesitation.

    Parameters
    ----------
    probability : Tensor
        `(H, W)` in [0, 1], such as `segment(...).seen.probability`.
    fov : Tensor of bool
        The field of view, `(H, W)`, such as `segment(...).seen.fov`.
    threshold : float
        Vessel is what has this probability or more.

    Returns
    -------
    float
        In [0, 1]; 0 where nothing is called vessel.

    Raises
    ------
    ValueError
        If the two differ in shape.

    Examples
    --------
    >>> import torch
    >>> probability = torch.tensor([[1.0, 1.0, 0.0]])
    >>> inside = torch.ones(1, 3, dtype=torch.bool)
    >>> expected_f1(probability, inside, threshold=0.5)
    1.0
    >>> round(expected_f1(0.6 * probability, inside, threshold=0.5), 3)
    0.75
    """
    if probability.shape != fov.shape:
        raise ValueError(
            f"Expected one field of view of the map's shape {tuple(probability.shape)}, got "
            f"{tuple(fov.shape)}."
        )
    inside = probability[fov].double()
    called = inside[inside >= threshold]
    if not len(called):
        return 0.0
    return float(2 * called.sum() / (len(called) + inside.sum()))


def doubt_warnings(expected: float, card: Mapping[str, Any]) -> list[str]:
    """What to say of a map of which its own network expects little.

    Parameters
    ----------
    expected : float
        See `expected_f1`.
    card : mapping
        The network's card. Its `expected_f1` is the range on sharp photographs of the training
        cameras; without it nothing is said.

    Returns
    -------
    list of str
        One sentence, or none.

    Raises
    ------
    ValueError
        The range in the card is none.

    Examples
    --------
    >>> doubt_warnings(0.88, {"expected_f1": [0.87, 0.89]})
    []
    >>> print(*doubt_warnings(0.7, {"expected_f1": [0.87, 0.89]}))  # doctest: +ELLIPSIS
    The network is unsure of this map: by its own probabilities its F1 would be 0.70; ...
    """
    if "expected_f1" not in card:
        return []
    try:
        low, high = map(float, card["expected_f1"])
    except (TypeError, ValueError):
        raise ValueError(
            f"The card says expected_f1 {card['expected_f1']!r}; expected the lowest and the "
            "highest value, such as [0.87, 0.89]."
        ) from None
    if expected >= low - MARGIN:
        return []
    return [
        f"The network is unsure of this map: by its own probabilities its F1 would be "
        f"{expected:.2f}; {low:.2f} to {high:.2f} is usual. Look at the overlay before you use it."
    ]
