"""What every network of the course must do. A model's own tests inherit `ModelContract`."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course import create_model, list_models, shapes
from retina_course.models import DETECTORS, Folded, UNetLarge
from retina_course.models.blocks import check_input


class ModelContract:
    """Inherit, set `name`, and each test runs for that model at 64x64."""

    name: str
    options: dict = {}
    table = None  # the documented one, with its input size and the options that it was made with
    table_size: tuple
    table_options: dict = {}
    counts: list = []  # (options, parameters), each a published or derived number
    joins: list = []  # (up-sampling, what follows the concatenation): the upsampled map is first
    wrong: list = []  # (options, part of the error)

    @pytest.fixture
    def model(self):
        return self.build().eval()

    def build(self, **options):
        torch.manual_seed(0)
        return create_model(self.name, **self.options | options)

    @pytest.fixture
    def x(self):
        return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize("in_channels, num_classes", [(3, 1), (1, 2), (4, 5)])
    def test_output_has_one_logit_per_class_and_pixel(self, in_channels, num_classes):
        model = self.build(in_channels=in_channels, num_classes=num_classes)
        logits = model(torch.rand(2, in_channels, 64, 96))
        assert logits.shape == (2, num_classes, 64, 96)
        assert logits.dtype == torch.float32

    def test_outputs_are_logits_not_probabilities(self, model, x):
        last = [m for m in model.modules() if getattr(m, "bias", None) is not None][-1]
        torch.nn.init.constant_(last.bias, -50.0)
        assert model(x).max() < -1

    def test_eval_is_deterministic_and_images_do_not_mix(self, model, x):
        both = model(x)
        assert torch.equal(both, model(x))
        torch.testing.assert_close(both[1:], model(x[1:]), atol=1e-5, rtol=1e-5)

    def test_gradient_reaches_every_parameter(self, model, x):
        # Squares, since a plain sum has no gradient in front of a batch norm; not of the logits
        # themselves, whose mean after UNetLarge's last batch norm is 0 already.
        (model.train()(x) - torch.rand(2, 1, 64, 64)).square().sum().backward()
        dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        # A bias in front of batch norm is subtracted again: its gradient is rounding, not zero.
        assert dead == []

    def test_bfloat16_autocast_stays_near_float32(self, model, x):
        with torch.autocast("cpu", torch.bfloat16):
            low = model(x)
        expected = model(x)
        assert (low.float() - expected).abs().max() < 0.05 * expected.abs().max() + 0.05

    def test_channels_last_gives_the_same(self, model, x):
        expected = model(x)
        model = model.to(memory_format=torch.channels_last)
        result = model(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-4)

    def test_compiles(self, model, x):
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x), atol=1e-5, rtol=1e-4)

    def test_exports(self, model, x):
        program = torch.export.export(model, (x,))
        torch.testing.assert_close(program.module()(x), model(x), atol=1e-5, rtol=1e-4)

    def test_state_dict_goes_through_a_file(self, model, x):
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        other = self.build().eval()
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(x), model(x))

    def test_sizes_that_fit_are_kept_and_others_refused(self, model):
        multiple = model.size_multiple
        size = 64 // multiple * multiple
        assert model(torch.rand(1, 3, size + multiple, size)).shape[2:] == (size + multiple, size)
        if multiple == 1:
            return
        with pytest.raises(ValueError, match=f"{size} or {size + multiple} "):
            model(torch.rand(1, 3, size + 1, size))

    def test_wrong_channels_types_and_ranks_are_named(self, model):
        with pytest.raises(ValueError, match="Expected 3 channels, got 4"):
            model(torch.rand(1, 4, 64, 64))
        with pytest.raises(TypeError, match="uint8"):
            model(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
        with pytest.raises(ValueError, match="unsqueeze"):
            model(torch.rand(3, 64, 64))

    @pytest.mark.parametrize("option", ["in_channels", "num_classes"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, "3", True])
    def test_channel_counts_must_be_positive_integers(self, option, value):
        with pytest.raises(ValueError, match=option):
            self.build(**{option: value})

    def test_every_row_is_that_of_the_documented_table(self):
        if self.table:
            traced = shapes.trace(self.build(**self.table_options), self.table_size)
            assert shapes.compare(traced, shapes.read(self.table)) > 20

    def test_parameters(self):
        for options, total in self.counts:
            model = create_model(self.name, **options)
            assert sum(p.numel() for p in model.parameters()) == total, options

    def test_concatenation_puts_the_upsampled_map_first(self):
        for up, after in self.joins:
            model = self.build().eval()
            up, after = getattr(model, up), getattr(model, after)
            torch.nn.init.zeros_(up.weight)
            torch.nn.init.ones_(up.bias)
            seen = []
            # A copy: an in-place ReLU may change what follows.
            after.register_forward_pre_hook(lambda m, i, seen=seen: seen.append(i[0].clone()))
            model(torch.rand(1, 3, 64, 64))
            first = up.out_channels
            assert (seen[0][:, :first] == 1).all() and not (seen[0][:, first:] == 1).all()

    def test_options_that_do_not_exist_are_answered_with_those_that_do(self):
        for options, message in self.wrong:
            with pytest.raises(ValueError, match=message):
                create_model(self.name, **options)

    def test_onnx_runtime_agrees_at_another_size(self, model, tmp_path):
        pytest.importorskip("onnxscript")
        runtime = pytest.importorskip("onnxruntime")
        multiple = model.size_multiple
        side = {2: torch.export.Dim("h", min=2, max=64), 3: torch.export.Dim("w", min=2, max=64)}
        if multiple == 1:
            side = {2: torch.export.Dim("h", min=16), 3: torch.export.Dim("w", min=16)}
        dynamic = {0: torch.export.Dim("n"), **{k: multiple * v for k, v in side.items()}}
        example = torch.rand(2, 3, 64, 96)
        program = torch.onnx.export(
            model, (example,), dynamo=True, dynamic_shapes=(dynamic,), verbose=False
        )
        program.save(tmp_path / "model.onnx")
        session = runtime.InferenceSession(tmp_path / "model.onnx")
        x = torch.rand(3, 3, *((67, 45) if multiple == 1 else (96, 64)))
        (result,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(result), model(x), atol=1e-4, rtol=1e-4)


class TestUNetSmall(ModelContract):
    name = "unet_small"
    table, table_size = "unet_small_3x128x128", (1, 3, 128, 128)
    table_options = {"num_classes": 32}
    counts = [({"num_classes": 2}, 63_462), ({}, 63_445)]
    joins = [("upconv3", "dec3"), ("upconv2", "dec2"), ("upconv1", "dec1")]

    def test_the_real_compiler_agrees(self, model, x):
        with torch.no_grad():
            compiled = torch.compile(model)(x)
            torch.testing.assert_close(compiled, model(x), atol=1e-4, rtol=1e-3)


class TestUNetLarge(ModelContract):
    name = "unet_large"
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


class TestRetinaUNet(ModelContract):
    name = "retina_unet"
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


class TestLinkNet(ModelContract):
    name = "linknet"
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


def test_the_contract_covers_every_model():
    tested = {cls.name for cls in ModelContract.__subclasses__()}
    assert tested == set(list_models()) - set(DETECTORS)  # those: test_detector


def test_unknown_names_and_options_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unet_small"):
        create_model("unet_tiny")
    with pytest.raises(TypeError, match="num_classes"):
        create_model("unet_small", classes=2)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([1, 8, 16, 32]))
def test_the_nearest_sizes_that_an_error_names_do_fit(height, width, multiple):
    x = torch.empty(1, 3, height, width, device="meta")
    try:
        check_input(x, 3, multiple)
        assert height % multiple == 0 and width % multiple == 0 and height and width
    except ValueError as error:
        sizes = [int(n) for n in str(error).split("fit: ")[1].split(". ")[0].split() if n.isdigit()]
        assert sizes and all(n % multiple == 0 and n > 0 for n in sizes)
        assert all(min(abs(n - height), abs(n - width)) < multiple or n == multiple for n in sizes)
