"""What all losses do with their inputs: check shapes and types, then compute in float32."""

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1e-6  # the documented constant
BATCH = (0, 2, 3)  # sums run over images and pixels, channel by channel


def check_inputs(logits: Tensor, target: Tensor) -> None:
    """Refuse logits and a target whose shapes or types do not belong together.

    Parameters
    ----------
    logits : Tensor
        Floating point, `(N, C, H, W)`.
    target : Tensor
        For one output channel float `(N, 1, H, W)`, for several int64 `(N, H, W)`.

    Raises
    ------
    ValueError
        If the logits are not floating-point numbers `(N, C, H, W)`, or if the target has another
        shape than they need.
    TypeError
        If the logits are not a tensor, or the target has another type than they need.
    """
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"Expected logits as one tensor, got {type(logits).__name__}. A network of several "
            "stages in training mode (WNet) returns the logits of each: add up their losses."
        )
    if logits.dim() != 4 or not torch.is_floating_point(logits):
        raise ValueError(
            "Expected floating-point logits (N, C, H, W), "
            f"got {tuple(logits.shape)} of {logits.dtype}."
        )
    n, channels, height, width = logits.shape
    expected: tuple[int, ...]
    if channels == 1:
        expected, right_type = (n, 1, height, width), target.is_floating_point()
        kind = "a float target of zeros and ones; convert with target.float()"
    else:
        expected, right_type = (n, height, width), target.dtype == torch.int64
        kind = "an int64 target of class numbers; convert with target.long()"
    if tuple(target.shape) != expected:
        raise ValueError(
            f"Logits {tuple(logits.shape)} need a target of shape {expected}, "
            f"got {tuple(target.shape)}."
        )
    if not right_type:
        raise TypeError(f"Logits {tuple(logits.shape)} need {kind}. Got {target.dtype}.")


def probabilities_and_target(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Turn logits and a target into probabilities and target maps of one shape.

    Parameters
    ----------
    logits : Tensor
        Floating point, `(N, C, H, W)`.
    target : Tensor
        As `check_inputs` expects it.

    Returns
    -------
    probabilities : Tensor
        float32 `(N, C, H, W)`: the sigmoid of one output channel, the softmax of several.
    target : Tensor
        float32 `(N, C, H, W)`, of zeros and ones.

    Raises
    ------
    ValueError, TypeError
        If logits and target do not belong together, see `check_inputs`.
    """
    check_inputs(logits, target)
    # Float32: a float16 sum over a mask passes 65,504, turns infinite, and learning stops.
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.sigmoid(logits), target.float()
    one_hot = F.one_hot(target, logits.shape[1]).movedim(-1, 1)
    return torch.softmax(logits, dim=1), one_hot.float()
