"""The losses against other implementations: NumPy's in float64 below, and three libraries'.

The libraries' values are stored in results/loss_peers.json (benchmarks/loss_peers.py), because
segmentation_models_pytorch needs torchvision; MONAI is also asked directly where it is installed.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from retina_course import results
from retina_course.training.losses import (
    ClDiceLoss,
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    IoU,
    TverskyLoss,
    soft_skeleton,
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


@every_loss
@settings(deadline=None, max_examples=40)
@given(problem=problems())
def test_every_loss_is_its_formula_on_any_input(name, problem):
    logits, target = problem
    logits.requires_grad_()
    found = value(name, logits, target)
    assert found.dtype == torch.float32 and found.shape == ()
    plain = target.float() if target.dim() == 4 else target
    expected = reference(name, logits.detach(), plain, rounded=name == "clDice")
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=2e-6)
    found.backward()
    assert logits.grad.isfinite().all()


@every_loss
@settings(deadline=None, max_examples=15)
@given(problem=problems(scales=(1.0,)))
def test_every_gradient_is_the_slope_of_the_formula(name, problem):
    logits, target = problem[0].float(), problem[1]
    target = target.float() if target.dim() == 4 else target
    # Distinct logits and a small step: clDice has a kink where two neighbours are equal.
    logits = logits + 1e-3 * torch.arange(logits.numel()).view(logits.shape).sin()
    logits.requires_grad_()
    value(name, logits, target).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).double()
    step, x = 1e-7, logits.detach().double()
    slope = (
        reference(name, x + step * direction, target)
        - reference(name, x - step * direction, target)
    ) / (2 * step)
    along = (logits.grad.double() * direction).sum().item()
    assert along == pytest.approx(slope, rel=2e-3, abs=1e-5)


@every_loss
@pytest.mark.parametrize("classes", [1, 3])
def test_no_loss_looks_at_values(name, classes):
    """Tensors without values: whatever reads one, and so would stall a GPU, raises here."""
    logits = torch.zeros(2, classes, 8, 8, device="meta")
    target = torch.zeros(2, 1, 8, 8, device="meta")
    if classes > 1:
        target = target[:, 0].long()
    assert value(name, logits, target).shape == ()


@every_loss
@pytest.mark.parametrize("classes", [1, 3])
def test_every_loss_has_the_same_value_and_type_under_autocast(name, classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 9, 7, generator=generator)
    target = torch.randint(max(classes, 2), (2, 9, 7), generator=generator)
    target = target[:, None].float() if classes == 1 else target
    with torch.autocast("cpu", torch.bfloat16):
        inside = value(name, logits, target)
    assert inside.dtype == torch.float32
    assert inside == value(name, logits, target)


def batch(seed, n=2, size=16, share=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 1, size, size, generator=generator)
    target = (torch.rand(n, 1, size, size, generator=generator) < share).float()
    return logits, target


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0.02, 0.98))
def test_on_hard_maps_the_scores_are_those_of_torchmetrics(seed, n, share):
    logits, target = batch(seed, n, share=share)
    target[0, 0, 0, 0] = 1
    hard = torch.where(logits > 0, 1e4, -1e4)
    dice, _ = DiceLoss()(hard, target)
    iou, _ = IoU()(hard, target)
    flat, truth = (hard > 0).int(), target.int()
    assert dice == pytest.approx(BinaryF1Score()(flat, truth).item(), abs=1e-5)
    assert iou == pytest.approx(BinaryJaccardIndex()(flat, truth).item(), abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_iou_is_a_function_of_dice_and_their_gradients_are_parallel(seed):
    logits, target = batch(seed)
    gradients = []
    for loss in (DiceLoss(), IoU()):
        x = logits.clone().requires_grad_()
        score, value = loss(x, target)
        assert value.item() == pytest.approx(1 - score.item())
        value.backward()
        gradients.append(x.grad.flatten())
    dice, iou = DiceLoss()(logits, target)[0], IoU()(logits, target)[0]
    assert iou.item() == pytest.approx((dice / (2 - dice)).item(), abs=1e-4)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9999


def test_the_losses_take_logits_a_perfect_probability_map_scores_poorly():
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0, :] = 1  # 10 % prevalence
    assert DiceLoss()(target, target)[0].item() == pytest.approx(0.23, abs=0.005)
    assert DiceLoss()(200 * target - 100, target)[0].item() == pytest.approx(1)


def test_an_empty_target_scores_about_zero_but_an_empty_prediction_of_it_one():
    target = torch.zeros(1, 1, 64, 64)
    assert DiceLoss()(torch.full_like(target, -5), target)[0] < 1e-3
    assert DiceLoss()(torch.full_like(target, -200), target)[0] == 1


@every_loss
def test_float16_logits_of_a_large_full_mask_do_not_overflow(name):
    logits = torch.full((1, 1, 512, 512), 2.0, dtype=torch.float16, requires_grad=True)
    target = torch.ones(1, 1, 512, 512)
    found = value(name, logits, target)
    exact = value(name, logits.detach().float(), target)
    assert found == exact and 0 <= found.item() < 0.5
    # A larger gradient: that of a mean over 262,144 pixels is below the smallest float16.
    (1e4 * found).backward()
    # A full mask has no centreline, and nothing to learn about one.
    assert (logits.grad.abs().sum() > 0) == (name != "clDice")


@pytest.mark.parametrize("loss", [DiceLoss(), IoU()])
def test_several_classes_average_the_scores_of_each(loss):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(3, (2, 8, 8), generator=generator)
    p = logits.softmax(1)
    single = []
    for k in range(3):
        q, t = p[:, k : k + 1], (target == k).float()[:, None]
        single.append(loss(torch.logit(q), t)[0])
    assert loss(logits, target)[0].item() == pytest.approx(sum(single).item() / 3, abs=1e-5)


def test_dice_ce_is_the_sum_of_its_parts():
    logits, target = batch(1)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    assert DiceCELoss()(logits, target) == bce + DiceLoss()(logits, target)[1]
    many, classes = torch.randn(2, 4, 8, 8), torch.randint(4, (2, 8, 8))
    ce = torch.nn.functional.cross_entropy(many, classes)
    assert DiceCELoss()(many, classes) == ce + DiceLoss()(many, classes)[1]


@every_loss
@pytest.mark.parametrize(
    "logits, target, error, told",
    [
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8), ValueError, r"\(2, 1, 8, 8\), got \(2, 8"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).long(), TypeError, "target.float"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8).bool(), TypeError, "target.float"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), ValueError, r"\(2, 8, 8\), got"),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), TypeError, "target.long"),
        (torch.zeros(2, 1, 8), torch.zeros(2, 1, 8), ValueError, r"\(N, C, H, W\)"),
    ],
)
def test_shapes_and_types_that_do_not_belong_together(name, logits, target, error, told):
    with pytest.raises(error, match=told):
        LOSSES[name](logits, target)


@pytest.mark.parametrize(
    "build, told",
    [
        (lambda: FocalLoss(-1), "got -1 and None"),
        (lambda: FocalLoss(alpha=1.5), "got 2.0 and 1.5"),
        (lambda: TverskyLoss(-0.1, 1), "got -0.1 and 1"),
        (lambda: TverskyLoss(0, 0), "not both 0"),
        (lambda: ClDiceLoss(-1), "got -1"),
        (lambda: soft_skeleton(torch.zeros(1, 1, 8, 8), -1), "got -1"),
        (
            lambda: FocalLoss(alpha=0.5)(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8).long()),
            r"one output channel, got logits \(2, 3",
        ),
    ],
)
def test_settings_that_make_no_loss(build, told):
    with pytest.raises(ValueError, match=told):
        build()


def test_the_losses_that_are_others_with_special_settings():
    logits, target = batch(3, n=3)

    def same(one, other):
        torch.testing.assert_close(value("", logits, target, one), value("", logits, target, other))

    same(FocalLoss(gamma=0), CrossEntropyLoss())
    same(TverskyLoss(0.5, 0.5), DiceLoss())
    same(TverskyLoss(1, 1), IoU())
    halved = FocalLoss(alpha=0.5)(logits, target)
    torch.testing.assert_close(2 * halved, FocalLoss()(logits, target))
    hard = 100 * logits.sign()
    a, b = DiceLoss()(hard, target)[0], DiceLoss(squared=True)(hard, target)[0]
    torch.testing.assert_close(a, b)


def test_alpha_weighs_the_pixels_of_1_and_the_rest_those_of_0():
    logits, target = batch(4)
    ones, zeros = FocalLoss(alpha=1.0)(logits, target), FocalLoss(alpha=0.0)(logits, target)
    alone = target == 1
    mean = FocalLoss()(logits[alone][None, None, None], target[alone][None, None, None])
    torch.testing.assert_close(ones, mean * target.mean())
    weighed = FocalLoss(alpha=0.25)(logits, target)
    torch.testing.assert_close(weighed, 0.25 * ones + 0.75 * zeros)


def test_dice_per_image_is_the_mean_of_the_images_and_not_that_of_the_batch():
    logits, target = batch(5, n=3)
    target[0] = (torch.rand(1, 16, 16) < 0.01).float()
    loss = DiceLoss(per_image=True)
    alone = [DiceLoss()(x[None], t[None])[0] for x, t in zip(logits, target, strict=True)]
    score, _ = loss(logits, target)
    torch.testing.assert_close(score, torch.stack(alone).mean())
    assert abs(score - DiceLoss()(logits, target)[0]) > 0.01


def test_tversky_weighs_misses_more_than_false_alarms():
    target = torch.zeros(1, 1, 10, 10)
    target[..., :5] = 1
    missed, extra = target.clone(), target.clone()
    missed[..., 4], extra[..., 5] = 0, 1  # ten pixels each
    for weights, sign in (((0.3, 0.7), 1), ((0.5, 0.5), None), ((0.7, 0.3), -1)):
        values = [TverskyLoss(*weights)(200 * m - 100, target) for m in (missed, extra)]
        if sign:
            assert sign * (values[0] - values[1]) > 0.01
    assert TverskyLoss(0, 1)(200 * extra - 100, target).item() == pytest.approx(0, abs=1e-6)


def test_the_soft_skeleton_of_a_line_is_the_line_and_of_a_bar_its_middle():
    bars = torch.zeros(1, 1, 30, 30)
    bars[..., 3, 2:28] = 1  # one pixel wide
    bars[..., 10:17, 5:25] = 1  # seven pixels wide: three erosions reach its middle
    skeleton = soft_skeleton(bars, iterations=3)
    assert torch.equal(skeleton[..., 3, :], bars[..., 3, :])
    assert (skeleton[..., 13, 8:22] == 1).all()  # away from the ends
    assert (skeleton[..., 10:13, 8:22] == 0).all() and (skeleton[..., 14:17, 8:22] == 0).all()
    assert (soft_skeleton(bars, iterations=2)[..., 10:17, 8:22] == 0).all()
    assert ((skeleton >= 0) & (skeleton <= bars)).all()


def test_cldice_sees_a_gap_and_no_width():
    target = torch.zeros(1, 1, 32, 32)
    target[..., 13:18, :] = 1
    thin, gap = torch.zeros_like(target), target.clone()
    thin[..., 15, :] = 1
    gap[..., 14:18] = 0
    loss = ClDiceLoss(iterations=3)
    scores = {
        name: loss(200 * m - 100, target).item() for name, m in (("thin", thin), ("gap", gap))
    }
    assert scores["thin"] == pytest.approx(0, abs=1e-5) and scores["gap"] > 0.03
    dice = DiceLoss()
    assert dice(200 * thin - 100, target)[1] > dice(200 * gap - 100, target)[1]


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
