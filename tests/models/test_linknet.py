"""LinkNet: additive links, ImageNet weights, the form without transposed convolutions."""

import copy

import pytest
import torch
from model_contract import ModelContract

from retina_course import create_model


class TestLinkNet(ModelContract):
    name, to_onnx = "linknet", False
    table, table_size = "linknet18_1cls_3x512x512", (1, 3, 512, 512)
    counts = [({"encoder": "resnet34"}, 21_641_537), ({"up": "upsample"}, 11_327_905)]
    wrong = [
        ({"encoder": "resnet50"}, "'resnet18', 'resnet34', got 'resnet50'"),
        ({"up": "nearest"}, "'transpose', 'upsample', got 'nearest'"),
        ({"in_channels": 4, "imagenet": True}, "3 input channels"),
    ]

    @pytest.mark.parametrize("level", [4, 3, 2, 1])
    def test_links_are_additions(self, model, x, level):
        # A decoder that gives 0 leaves the encoder's map alone: decoder1's is the pooled stem's.
        decoder = getattr(model, f"decoder{level}")
        torch.nn.init.zeros_(decoder.conv2[1].weight)
        torch.nn.init.zeros_(decoder.conv2[1].bias)
        after = [model.tp_conv1, model.decoder1, model.decoder2, model.decoder3][level - 1]
        seen = []
        after.register_forward_pre_hook(lambda m, i: seen.append(i[0]))
        model(x)
        torch.testing.assert_close(seen[0], model.encoder(x)[level - 1])

    def test_imagenet_weights_load_and_the_images_are_normalised_inside(self, model, x):
        public = model.encoder.state_dict() | {
            "fc.weight": torch.zeros(9),
            "fc.bias": torch.ones(9),
        }
        with pytest.raises(ValueError, match="imagenet=True"):
            model.load_imagenet(public)
        pretrained = create_model(self.name, imagenet=True).eval()
        pretrained.load_imagenet(public)
        seen = []
        pretrained.encoder.register_forward_pre_hook(lambda m, i: seen.append(i[0]))
        pretrained(x)
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        expected = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        torch.testing.assert_close(seen[0], expected)
        torch.testing.assert_close(pretrained.encoder(x)[4], model.encoder(x)[4])
        before = copy.deepcopy(pretrained.encoder.state_dict())
        with pytest.raises(RuntimeError, match="layer1"):
            pretrained.load_imagenet({k: v for k, v in public.items() if "layer1" not in k})
        assert all(torch.equal(v, pretrained.encoder.state_dict()[k]) for k, v in before.items())
        assert model.state_dict().keys() == pretrained.state_dict().keys()


class TestLinkNetUpsample(ModelContract):
    name, options = "linknet", {"up": "upsample"}

    def test_nothing_is_transposed(self, model):
        types = {type(module) for module in model.modules()}
        assert torch.nn.ConvTranspose2d not in types and torch.nn.Upsample in types
