"""The soft skeleton and the clDice loss."""

import pytest
import torch

from retina_course.training.losses import ClDiceLoss, DiceLoss, soft_skeleton


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
