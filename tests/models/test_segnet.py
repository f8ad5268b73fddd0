"""SegNet: any size, unpooling by the indices, the documented head."""

import pytest
import torch
from model_contract import ModelContract

from retina_course import create_model, shapes


class TestSegNet(ModelContract):
    name = "segnet"
    table, table_size = "segnet_3cls_3x128x128", (1, 3, 128, 128)
    table_options = {"num_classes": 3, "head": "documented"}
    counts = [
        ({"num_classes": 3, "head": "documented", "separable": True}, 1_749_671),
        ({}, 15_273_735),
    ]
    wrong = [({"head": "softmax"}, "'logits', 'documented', got 'softmax'")]

    def test_odd_sides_come_back(self, model):
        rows = shapes.trace(model, (1, 3, 67, 45))
        pooled = [row.output_shape for row in rows if row.type == "MaxPool2d"]
        assert pooled == ["64x33x22", "128x16x11", "256x8x5", "512x4x2"]  # rounded down
        unpooled = [row.output_shape for row in rows if row.type == "MaxUnpool2d"]
        assert unpooled == ["512x8x5", "256x16x11", "128x33x22", "64x67x45"]
        assert rows[-1].output_shape == "1x67x45"
        with pytest.raises(ValueError, match="at least 16, got 15x64"):
            model(torch.rand(1, 3, 15, 64))

    def test_the_pooling_indices_are_used(self, model, x):
        model.train()  # in eval mode an untrained network's deep maps are almost constant
        expected = model(x)
        model.unpool.register_forward_pre_hook(
            # Each maximum moves to the other column of its window: all stay inside.
            lambda module, inputs: (inputs[0], inputs[1] ^ 1, *inputs[2:])
        )
        assert (model(x) - expected).abs().max() > 0.1 * expected.abs().max()

    def test_the_documented_head_is_never_negative(self, x):
        torch.manual_seed(0)
        model = create_model("segnet", num_classes=3, head="documented").eval()
        clipped = model(x)
        assert clipped.min() == 0
        # In training mode half of the values before the ReLU are below their mean.
        assert 0 < (model.train()(x) == 0).all(dim=1).float().mean() < 0.5
