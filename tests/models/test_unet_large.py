"""UNetLarge, plain and with folded images."""

import pytest
import torch
import torch.nn.functional as F
from model_contract import ModelContract

from retina_course import create_model
from retina_course.models import Folded, UNetLarge


class TestUNetLarge(ModelContract):
    name, to_onnx = "unet_large", False
    table, table_size = "unet_large_3x80x80_out256", (1, 3, 80, 80)
    table_options = {"num_classes": 256}
    counts = [
        ({"num_classes": 4, "fold": 4}, 280_716),
        ({"num_classes": 4, "fold": 8}, 302_796),
        ({}, 273_615),
    ]
    joins = [("upconv3", "dec3"), ("upconv2", "dec2"), ("upconv1", "dec1")]

    def test_no_relu_after_conv_p3_and_batch_norm_after_the_last_convolution(self, model, x):
        seen = []
        model.conv_p3.register_forward_hook(lambda m, i, o: seen.append(o))
        model(x)
        assert seen[0].min() < 0
        assert isinstance(model.conv[-1], torch.nn.BatchNorm2d)


class TestUNetLargeFolded(ModelContract):
    name, options = "unet_large", {"fold": 2}

    def test_it_is_fold_network_unfold(self, model, x):
        inside = model.network(F.pixel_unshuffle(x, 2))
        assert inside.shape == (2, 4, 32, 32)
        torch.testing.assert_close(model(x), F.pixel_shuffle(inside, 2))

    @pytest.mark.parametrize("fold", [0, -2, 1.5, "2", True])
    def test_a_fold_that_is_no_positive_integer_is_refused(self, fold):
        with pytest.raises(ValueError, match="fold must be a positive integer"):
            create_model("unet_large", fold=fold)

    def test_channels_that_do_not_fit_the_fold_are_named(self):
        with pytest.raises(ValueError, match="num_classes is a multiple of 16, got 4"):
            Folded(UNetLarge(48, 4), 4)
