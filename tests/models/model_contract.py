"""What every network of the course must do. A model's own tests inherit `ModelContract`."""

import copy
import io

import pytest
import torch

from retina_course import create_model, shapes, weights


def stages(output):
    """What a network returns in training mode, as a tuple of one or more logits."""
    return output if isinstance(output, tuple) else (output,)


class ModelContract:
    """Inherit, set `name`, and each test runs for that model at 64x64, or at `side`."""

    name: str
    options: dict = {}
    side = 64
    to_onnx = True  # of two variants of a network one is enough: an export takes seconds
    table = None  # the documented one, with its input size and the options that it was built with
    table_size: tuple
    table_options: dict = {}
    counts: list = []  # (options, parameters), each a published or derived number
    joins: list = []  # (up-sampling, what follows the concatenation): the upsampled map is first
    wrong: list = []  # (options, part of the error)

    @pytest.fixture(scope="class")
    def built(self, request):
        return request.cls().build().eval()

    @pytest.fixture
    def model(self, built):
        """A model of the test's own, which it may change."""
        torch.manual_seed(0)
        return copy.deepcopy(built)

    def build(self, **options):
        torch.manual_seed(0)
        return create_model(self.name, **self.options | options)

    @pytest.fixture
    def x(self):
        return torch.rand(2, 3, self.side, self.side, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize("in_channels, num_classes", [(3, 1), (1, 2), (4, 5)])
    def test_output_has_one_logit_per_class_and_pixel(self, in_channels, num_classes):
        model = self.build(in_channels=in_channels, num_classes=num_classes).eval()
        height, width = self.side, self.side + 32
        logits = model(torch.rand(2, in_channels, height, width))
        assert logits.shape == (2, num_classes, height, width)
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
        noise = torch.rand(2, 1, self.side, self.side)
        sum((logits - noise).square().sum() for logits in stages(model.train()(x))).backward()
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
        compiled = torch.compile(model, backend="aot_eager_default_partitioner", fullgraph=True)
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
        size = self.side // multiple * multiple
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
            up, after = model.get_submodule(up), model.get_submodule(after)
            torch.nn.init.zeros_(up.weight)
            torch.nn.init.ones_(up.bias)
            seen = []
            # A copy: an in-place ReLU may change what follows.
            after.register_forward_pre_hook(lambda m, i, seen=seen: seen.append(i[0].clone()))
            model(torch.rand(1, 3, self.side, self.side))
            first = up.out_channels
            assert (seen[0][:, :first] == 1).all() and not (seen[0][:, first:] == 1).all()

    def test_options_that_do_not_exist_are_answered_with_those_that_do(self):
        for options, message in self.wrong:
            with pytest.raises(ValueError, match=message):
                create_model(self.name, **options)

    def test_onnx_runtime_agrees_at_another_size(self, model):
        """By the package's own export; what its file says is tested in tests/weights."""
        if not self.to_onnx:
            pytest.skip("another variant of this network is exported")
        pytest.importorskip("onnxscript")
        runtime = pytest.importorskip("onnxruntime")
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # not the identity of an untrained network
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        model.requires_grad_(False)  # a seventh less to trace
        session = runtime.InferenceSession(weights.to_onnx(model, {"model": self.name}))
        multiple = model.size_multiple
        x = torch.rand(3, 3, *((67, 45) if multiple == 1 else (3 * multiple, 7 * multiple)))
        (logits,) = session.run(["logits"], {"images": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), model(x), atol=1e-4, rtol=1e-4)
