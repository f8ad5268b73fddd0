"""Whether a vessel map is likely to be wrong, judged by the map itself."""

from torch import Tensor


def expected_f1(probability: Tensor, fov: Tensor, threshold: float) -> float:
    """The F1 that a map has if the probabilities of its pixels are right.

    Of the pixels that are called vessel, the expected number of true ones is the sum of their
    probabilities; of all pixels inside the field of view, that of vessels is the sum of all
    probabilities. F1 is twice the first over the second plus the number of called pixels. A
    network that hesitates expects little. One that is surely wrong expects much: no such number
    sees that.

    Parameters
    ----------
    probability : Tensor
        `(H, W)` in [0, 1], from `segment`.
    fov : Tensor of bool
        The field of view, `(H, W)`.
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
