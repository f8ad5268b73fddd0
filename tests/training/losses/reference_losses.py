"""The losses from their formulas in NumPy and float64, and logits and masks to compare them on."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy import ndimage

from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
)

S = 1e-6
LOSSES = {
    "cross-entropy": CrossEntropyLoss(),
    "focal": FocalLoss(),
    "focal, gamma 0.5": FocalLoss(0.5),
    "Dice": DiceLoss(),
    "Dice, squared": DiceLoss(squared=True),
    "Dice, per image": DiceLoss(per_image=True),
    "Dice, both": DiceLoss(squared=True, per_image=True),
    "IoU": IoU(),
    "Tversky": TverskyLoss(),
    "clDice": ClDiceLoss(iterations=2),
    "cross-entropy + Dice": DiceCELoss(),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def value(name, logits, target, loss=None):
    """The loss alone, whatever the call returns."""
    found = (loss or LOSSES[name])(logits, target)
    return found[1] if isinstance(found, tuple) else found


def reference(name, logits, target, rounded=False):
    """The same loss from its formula, in NumPy and float64.

    `rounded`: from probabilities in float32. clDice subtracts them; where two are as good as 1,
    what is left is their rounding, and s is of the same size.
    """
    x, t = logits.double().numpy(), target.numpy()
    if x.shape[1] == 1:
        t = t.astype(float)
        log_p = np.concatenate([-np.logaddexp(0, x), -np.logaddexp(0, -x)], axis=1)
        log_q = np.where(t == 1, log_p[:, 1:], log_p[:, :1])
        log_rest = np.where(t == 1, log_p[:, :1], log_p[:, 1:])
        p = np.exp(log_p[:, 1:])
    else:
        classes = np.arange(x.shape[1])[:, None, None]
        log_p = x - np.logaddexp.reduce(x, axis=1, keepdims=True)
        t = (t[:, None] == classes).astype(float)
        log_q = np.where(t == 1, log_p, 0).sum(axis=1)
        log_rest = np.logaddexp.reduce(np.where(t == 1, -np.inf, log_p), axis=1)
        p = np.exp(log_p)
    if rounded:
        x = logits.float()
        p = (x.sigmoid() if x.shape[1] == 1 else x.softmax(1)).double().numpy()
    over = (2, 3) if name in ("Dice, per image", "Dice, both") else (0, 2, 3)
    tp, fp, fn = ((a * b).sum(over) for a, b in ((p, t), (p, 1 - t), (1 - p, t)))
    sizes = (p**2 + t**2 if name in ("Dice, squared", "Dice, both") else p + t).sum(over)
    dice = (1 - (2 * tp + S) / (sizes + S)).mean()
    if name.startswith("Dice"):
        return dice
    if name == "IoU":
        return (1 - (tp + S) / (tp + fp + fn + S)).mean()
    if name == "Tversky":
        return (1 - (tp + S) / (tp + 0.3 * fp + 0.7 * fn + S)).mean()
    if name == "clDice":
        rows = range(1, p.shape[1]) if p.shape[1] > 1 else [0]
        return np.mean([centreline(p[:, k], t[:, k]) for k in rows])
    if name.startswith("focal"):
        gamma = 0.5 if "0.5" in name else 2
        return (-np.exp(gamma * log_rest) * log_q).mean()
    return -log_q.mean() + (dice if "Dice" in name else 0)


def centreline(p, t, iterations=2):
    """Soft clDice by scipy's grey morphology; `nearest` is as good as not looking outside."""
    cross = ndimage.generate_binary_structure(2, 1)[None]

    def skeleton(maps):
        found = np.zeros_like(maps)
        for _ in range(iterations + 1):
            eroded = ndimage.grey_erosion(maps, footprint=cross, mode="nearest")
            opened = ndimage.grey_dilation(eroded, size=(1, 3, 3), mode="nearest")
            found = np.maximum(maps - opened, 0) * (1 - found) + found
            maps = eroded
        return found

    of_p, of_t = skeleton(p), skeleton(t)
    precision = ((of_p * t).sum() + S) / (of_p.sum() + S)
    sensitivity = ((of_t * p).sum() + S) / (of_t.sum() + S)
    return 1 - 2 / (1 / precision + 1 / sensitivity)


@st.composite
def problems(draw, scales=(0.0, 1.0, 30.0, 1e4)):
    """Logits of any float type and size, up to extreme ones, and masks from empty to full."""
    n, classes = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 4]))
    height, width = draw(st.integers(1, 17)), draw(st.integers(1, 17))
    kind = draw(st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]))
    scale = draw(st.sampled_from(scales))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    shape = (n, 1, height, width)
    vessels = torch.rand(shape, generator=generator) < share
    logits = scale * (2 * torch.rand(n, classes, height, width, generator=generator) - 1)
    if classes == 1:
        return logits.to(kind), vessels.to(draw(st.sampled_from([torch.float32, kind])))
    chosen = torch.randint(classes, shape, generator=generator)
    return logits.to(kind), torch.where(vessels, chosen, 0)[:, 0]


def batch(seed, n=2, size=16, share=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 1, size, size, generator=generator)
    target = (torch.rand(n, 1, size, size, generator=generator) < share).float()
    return logits, target
