"""The shared blocks against plain calls of torch.nn.functional, and the checks at their edges."""

import re

import pytest
import torch
import torch.nn.functional as F
from reference_networks import fill, noise
from torch import nn

from retina_course.models import Folded, UNetLarge, blocks, create_model, fold, unfold
from retina_course.models.blocks import BasicBlock, Bottleneck, check_input, shortcut
from retina_course.models.linknet import DecoderBlock, bilinear
from retina_course.models.resnet import stage


class Plain:
    """Calls of torch.nn.functional with the tensors of a state dict."""

    def __init__(self, state, training):
        # A copy: batch norm in training mode changes the running statistics.
        self.state = {name: value.clone() for name, value in state.items()}
        self.training = training

    def conv(self, x, name, transposed=False, **options):
        function = F.conv_transpose2d if transposed else F.conv2d
        bias = self.state.get(f"{name}.bias")
        return function(x, self.state[f"{name}.weight"], bias, **options)

    def norm(self, x, name, eps=1e-5, momentum=0.1):
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, self.training, momentum, eps)

    def basic(self, x, stride):
        short = x
        if "downsample.0.weight" in self.state:
            short = self.norm(self.conv(x, "downsample.0", stride=stride), "downsample.1")
        x = F.relu(self.norm(self.conv(x, "conv1", stride=stride, padding=1), "bn1"))
        return F.relu(self.norm(self.conv(x, "conv2", padding=1), "bn2") + short)

    def bottleneck(self, x, stride):
        short = x
        if "downsample.0.weight" in self.state:
            short = self.norm(self.conv(x, "downsample.0", stride=stride), "downsample.1")
        x = F.relu(self.norm(self.conv(x, "conv1"), "bn1"))
        x = F.relu(self.norm(self.conv(x, "conv2", stride=stride, padding=1), "bn2"))
        return F.relu(self.norm(self.conv(x, "conv3"), "bn3") + short)

    def decoder(self, x, stride, up):
        x = F.relu(self.norm(self.conv(x, "conv1.0"), "conv1.1"))
        if up == "transpose":
            extra = {"output_padding": 1} if stride == 2 else {}
            x = self.conv(x, "up.0", transposed=True, stride=stride, padding=1, **extra)
            x = F.relu(self.norm(x, "up.1"))
        elif stride == 2:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.relu(self.norm(self.conv(x, "conv2.0"), "conv2.1"))


def agrees(block, plain, x, *arguments):
    """In both modes, and with the running statistics after training mode."""
    fill(block).double()
    for training in (False, True):
        reference = Plain(block.state_dict(), training)
        expected = getattr(reference, plain)(x, *arguments)
        torch.testing.assert_close(block.train(training)(x), expected)
        for name, value in block.state_dict().items():
            if "running" in name:
                torch.testing.assert_close(value, reference.state[name])


@pytest.mark.parametrize("plain, kind", [("basic", BasicBlock), ("bottleneck", Bottleneck)])
@pytest.mark.parametrize("channels, stride", [((8, 8), 1), ((8, 8), 2), ((4, 12), 1), ((4, 8), 2)])
def test_a_residual_block_is_its_formula(plain, kind, channels, stride):
    block = kind(*channels, stride)
    assert (block.downsample is None) == (channels == (8, 8) and stride == 1)
    x = 4 * noise("x", 2, channels[0], 7, 6) - 2
    agrees(block, plain, x, stride)
    agrees(block, plain, x - 100, stride)  # all of the shortcut is below 0


@pytest.mark.parametrize("up", ["transpose", "upsample"])
@pytest.mark.parametrize("stride", [1, 2])
def test_linknets_decoder_block_is_its_formula(up, stride):
    block = DecoderBlock(12, 5, stride=stride, up=up)
    assert block.conv1[0].out_channels == 3
    agrees(block, "decoder", 4 * noise("x", 2, 12, 5, 6) - 2, stride, up)


def test_default_strides_are_1():
    for kind in (BasicBlock, Bottleneck):
        assert kind(4, 8)(torch.rand(2, 4, 6, 6)).shape == (2, 8, 6, 6)
    assert shortcut(4, 4, 1) is None
    assert shortcut(4, 8, 1)[0].stride == (1, 1) and shortcut(4, 4, 2)[0].stride == (2, 2)


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_a_stage_changes_channels_and_sides_in_its_first_block_alone(kind):
    blocks_of_stage = stage(4, 8, 3, 2, kind)
    assert [type(block) for block in blocks_of_stage] == [kind] * 3
    assert [block.downsample is None for block in blocks_of_stage] == [False, True, True]
    assert blocks_of_stage(torch.rand(2, 4, 8, 8)).shape == (2, 8, 4, 4)
    assert type(stage(4, 4, 1, 1)[0]) is BasicBlock


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_convolution_batch_norm_and_relu(size, bias):
    layers = blocks.conv_bn_relu(2, 3, size, bias=bias)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    module = fill(nn.Sequential(*layers)).double()
    x = 2 * noise("x", 2, 2, 6, 7) - 1
    plain = Plain(module.state_dict(), training=True)
    assert ("0.bias" in plain.state) == bias
    expected = F.relu(plain.norm(plain.conv(x, "0", padding=size // 2), "1"))
    torch.testing.assert_close(module(x), expected)


def test_the_defaults_of_the_small_parts():
    conv, *_ = blocks.conv_bn_relu(2, 3)
    assert conv.kernel_size == (3, 3) and conv.bias is not None
    up = fill(blocks.upconv3x3(2, 3)).double()
    x = noise("x", 1, 2, 3, 4)
    expected = F.conv_transpose2d(x, up.weight, up.bias, stride=2, padding=1, output_padding=1)
    assert expected.shape == (1, 3, 6, 8)
    torch.testing.assert_close(up(x), expected)
    assert blocks.upconv3x3(2, 3, bias=False).bias is None
    corners = bilinear()(torch.tensor([[[[0.0, 4.0]]]])).flatten().tolist()
    assert corners == [0, 1, 3, 4] * 2  # pixel centres, not corners, are aligned


def test_a_folded_network_is_the_network_between_folding_and_unfolding():
    model = create_model("unet_large", in_channels=2, num_classes=3, fold=2)
    assert type(model) is Folded and type(model.network) is UNetLarge
    assert (model.fold, model.in_channels, model.num_classes, model.size_multiple) == (2, 2, 3, 16)
    assert (model.network.in_channels, model.network.num_classes) == (8, 12)
    fill(model).double().eval()
    x = noise("x", 1, 2, 16, 32)
    torch.testing.assert_close(model(x), F.pixel_shuffle(model.network(F.pixel_unshuffle(x, 2)), 2))
    assert type(create_model("unet_large", fold=1)) is UNetLarge
    for channels in ((6, 4), (4, 6)):
        name = "in_channels" if channels[0] == 6 else "num_classes"
        with pytest.raises(ValueError, match=f"{name} is a multiple of 4, got 6"):
            Folded(UNetLarge(*channels), 2)


@pytest.mark.parametrize("before", [(), (2,), (2, 3)])
def test_images_are_folded_whatever_stands_before_their_channels(before):
    x = noise("x", *before, 2, 4, 6)
    folded = fold(x, 2)
    assert folded.shape == (*before, 8, 2, 3)
    assert torch.equal(folded[..., 5, :, :], x[..., 1, ::2, 1::2])  # channel 1, row 0, column 1
    assert torch.equal(unfold(folded, 2), x)
    for wrong in (noise("x", *before, 2, 3, 6), noise("x", *before, 2, 4, 5)):
        with pytest.raises(ValueError, match="fold=2 must divide height and width, got"):
            fold(wrong, 2)


@pytest.mark.parametrize(
    "shape, multiple, smallest, told",
    [
        ((1, 3, 33, 64), 32, 1, "multiples of 32, got 33x64.*: 32 or 64 (height), 64 (width)"),
        ((1, 3, 64, 31), 32, 1, "multiples of 32, got 64x31.*: 64 (height), 32 (width)"),
        ((1, 3, 0, 8), 8, 1, "multiples of 8, got 0x8.*: 8 (height), 8 (width)"),
        ((1, 3, 8, 0), 8, 1, "multiples of 8, got 8x0.*: 8 (height), 8 (width)"),
        ((1, 3, 15, 99), 1, 16, "at least 16, got 15x99"),
        ((1, 3, 99, 15), 1, 16, "at least 16, got 99x15"),
    ],
)
def test_sizes_that_do_not_fit(shape, multiple, smallest, told):
    with pytest.raises(ValueError, match=re.escape(told).replace(r"\.\*", ".*")):
        check_input(torch.empty(shape), 3, multiple, smallest)


@pytest.mark.parametrize("shape, multiple", [((1, 3, 8, 16), 8), ((2, 3, 1, 1), 1)])
def test_sizes_that_fit(shape, multiple):
    for kind in (torch.float16, torch.float32, torch.float64):
        check_input(torch.empty(shape, dtype=kind), 3, multiple)
    check_input(torch.empty(1, 3, 16, 16), 3, 8, smallest=16)


@pytest.mark.parametrize(
    "x, error, told",
    [
        ([[1.0]], TypeError, "got list"),
        (torch.empty(3, 8, 8), ValueError, r"\(3, 8, 8\).*x.unsqueeze\(0\)"),
        (torch.empty(1, 1, 3, 8, 8), ValueError, r"\(1, 1, 3, 8, 8\)\.$"),
        (torch.empty(8, 8), ValueError, r"\(8, 8\)\.$"),
        (torch.empty(1, 3, 8, 8, dtype=torch.int64), TypeError, "got torch.int64"),
        (torch.empty(1, 4, 8, 8), ValueError, r"Expected 3 channels, got 4 \(shape"),
    ],
)
def test_what_is_no_batch_of_images(x, error, told):
    with pytest.raises(error, match=told):
        check_input(x, 3, 8)


@pytest.mark.parametrize(
    "name, option",
    [
        ("segnet", "head"),
        ("retina_segmentor", "skip"),
        ("linknet", "encoder"),
        ("linknet", "up"),
        ("retina_net", "encoder"),
        ("retina_net", "class_loss"),
    ],
)
def test_a_choice_that_does_not_exist_is_named(name, option):
    with pytest.raises(ValueError, match=f"^{option} must be one of '.*', got 'other'[.]"):
        create_model(name, **{option: "other"})


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_what_is_no_positive_integer(value):
    with pytest.raises(ValueError, match=f"sides must be a positive integer, got {value!r}"):
        blocks.check_positive(first=1, sides=value)
    with pytest.raises(ValueError, match="in_channels"):
        blocks.check_channels(value, 1)
    with pytest.raises(ValueError, match="num_classes"):
        blocks.check_channels(1, value)
    with pytest.raises(ValueError, match="in_channels"):
        UNetLarge(value)
    with pytest.raises(ValueError, match="num_classes"):
        UNetLarge(num_classes=value)
