"""The losses against three libraries.

Their values are stored in results/loss_peers.json (benchmarks/lessons/loss_peers.py), because
segmentation_models_pytorch needs torchvision; MONAI is also asked directly where it is installed.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_losses import LOSSES, S, batch, value

from retina_course import results
from retina_course.training.losses import ClDiceLoss, FocalLoss

PEERS = results.read("loss_peers")
OURS = LOSSES | {"focal, alpha 0.25": FocalLoss(alpha=0.25), "clDice": ClDiceLoss(iterations=5)}
# smp averages one sigmoid focal loss a class; MONAI divides the softmax one by the classes.
OTHER_DEFINITIONS = {("focal", "three outputs", "smp"), ("focal", "three outputs", "MONAI")}


def stored(name):
    """Logits and target of results/loss_peers.json."""
    case = PEERS["inputs"][name]
    logits = torch.tensor([float(v) for v in case["logits"].split()]).view(case["logits_shape"])
    target = torch.tensor([int(v) for v in case["target"]]).view(case["target_shape"])
    return logits, target.float() if target.dim() == 4 else target


@pytest.mark.parametrize(
    "row", PEERS["agreement"], ids=lambda r: f"{r['loss']}-{r['input']}-{r['library']}"
)
def test_three_libraries_give_the_same_value_and_gradient(row):
    logits, target = stored(row["input"])
    logits.requires_grad_()
    found = value("", logits, target, OURS[row["loss"]])
    found.backward()
    if (row["loss"], row["input"], row["library"]) in OTHER_DEFINITIONS:
        return  # see below
    assert found.item() == pytest.approx(row["value"], abs=1e-5)
    if row["gradient_norm"] is not None:
        assert logits.grad.norm().item() == pytest.approx(row["gradient_norm"], abs=1e-5)


def test_the_focal_losses_of_the_libraries_with_several_outputs():
    logits, target = stored("three outputs")
    rows = {
        r["library"]: r["value"]
        for r in PEERS["agreement"]
        if r["loss"] == "focal" and r["input"] == "three outputs"
    }
    assert rows["MONAI"] == pytest.approx(FocalLoss()(logits, target).item() / 3, abs=1e-5)
    each = [FocalLoss()(logits[:, k : k + 1], (target == k).float()[:, None]) for k in range(3)]
    assert rows["smp"] == pytest.approx(sum(each).item() / 3, abs=1e-5)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_monai_agrees_where_it_is_installed(seed, share):
    monai = pytest.importorskip("monai.losses")
    logits, target = batch(seed, n=3, share=share)
    options = {"sigmoid": True, "batch": True}
    peers = {
        "Dice": monai.DiceLoss(**options),
        "Dice, squared": monai.DiceLoss(squared_pred=True, **options),
        "Dice, per image": monai.DiceLoss(sigmoid=True),
        "IoU": monai.DiceLoss(jaccard=True, **options),
        "Tversky": monai.TverskyLoss(alpha=0.3, beta=0.7, **options),
        "focal": monai.FocalLoss(),
        "cross-entropy + Dice": monai.DiceCELoss(**options),
    }
    for name, peer in peers.items():
        assert value(name, logits, target) == pytest.approx(peer(logits, target).item(), abs=1e-5)
    exact = {"smooth_nr": S, "smooth_dr": S, "smooth": 1e-12}
    peer = monai.SoftclDiceLoss(iter_=2, sigmoid=True, **exact)
    one = value("clDice", logits[:1], target[:1])
    assert one == pytest.approx(peer(logits[:1], target[:1]).item(), abs=1e-5)
