"""RetinaSegmentor and its three kinds of skip connection."""

import pytest
import torch
from model_contract import ModelContract

from retina_course import create_model


class TestRetinaSegmentor(ModelContract):
    name = "retina_segmentor"
    table, table_size = "retina_segmentor_concat_3x512x512", (1, 3, 512, 512)
    table_options = {"num_classes": 3}
    counts = [
        ({"num_classes": 3, "skip": "add"}, 1_795_891),
        ({"num_classes": 3, "skip": "none"}, 1_795_891),
    ]
    joins = [("upconv1", "layer5"), ("upconv2", "layer6"), ("upconv3", "layer7")]
    joins += [("upconv4", "layer8")]
    wrong = [({"skip": "cat"}, "'concat', 'add', 'none', got 'cat'")]

    @pytest.mark.parametrize("skip, linked", [("concat", True), ("add", True), ("none", False)])
    def test_only_the_links_carry_full_resolution(self, skip, linked, x):
        torch.manual_seed(0)
        model = create_model(self.name, skip=skip).eval()
        torch.nn.init.zeros_(model.upconv4.weight)
        assert bool((model(x) != model(x.flip(0))).any()) is linked

    def test_add_is_the_sum_of_upsampled_map_and_link(self, x):
        model = create_model(self.name, skip="add").eval()
        seen = {}
        for name in ("conv1", "upconv4"):
            getattr(model, name).register_forward_hook(
                lambda m, i, o, name=name: seen.__setitem__(name, o)
            )
        model.layer8.register_forward_pre_hook(lambda m, i: seen.__setitem__("in", i[0].clone()))
        model(x)
        torch.testing.assert_close(seen["in"], seen["upconv4"] + seen["conv1"])
