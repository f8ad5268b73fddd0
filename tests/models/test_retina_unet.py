"""RetinaUNet: the constants and first weights of its Keras original."""

import torch
from model_contract import ModelContract

from retina_course import create_model, shapes


class TestRetinaUNet(ModelContract):
    name, side = "retina_unet", 32  # the widest network
    table, table_size = "retina_unet_2cls_3x512x512", (1, 3, 512, 512)
    table_options = {"num_classes": 2}
    counts = []
    joins = [("up4", "dec4"), ("up3", "dec3"), ("up2", "dec2"), ("up1", "dec1")]

    def test_constants_and_first_weights_are_those_of_keras(self, model):
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
        keras = shapes.read("retina_unet_keras_2cls_512x512x3")
        parameters = sum(p.numel() for p in create_model(self.name, num_classes=2).parameters())
        total = next(row.params for row in keras if row.name == "TOTAL")
        assert total - parameters == 2 * sum(norm.num_features for norm in norms) == 11_776
        bound = (6 / (9 * (64 + 64))) ** 0.5  # Glorot-uniform for 3x3, 64 -> 64 channels
        weight = model.enc1[3].weight.abs().max().item()
        assert 0.95 * bound < weight <= bound and not model.enc1[3].bias.any()
