"""What every network of the course must do. A model's own tests inherit `ModelContract`."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retina_course import create_model, list_models
from retina_course.models.blocks import check_input


class ModelContract:
    """Inherit, set `name`, and each test runs for that model at 64x64."""

    name: str

    @pytest.fixture
    def model(self):
        torch.manual_seed(0)
        return create_model(self.name).eval()

    @pytest.fixture
    def x(self):
        return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize("in_channels, num_classes", [(3, 1), (1, 2), (4, 5)])
    def test_output_has_one_logit_per_class_and_pixel(self, in_channels, num_classes):
        model = create_model(self.name, in_channels=in_channels, num_classes=num_classes)
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
        # The sum of squares: a plain sum has no gradient in front of a batch norm.
        model.train()(x).square().sum().backward()
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
        other = create_model(self.name).eval()
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
            create_model(self.name, **{option: value})


class TestUNetSmall(ModelContract):
    name = "unet_small"

    @pytest.mark.parametrize("classes, total", [(32, 63_972), (2, 63_462), (1, 63_445)])
    def test_parameters(self, classes, total):
        model = create_model("unet_small", num_classes=classes)
        assert sum(p.numel() for p in model.parameters()) == total

    @pytest.mark.parametrize("level, channels", [(3, 32), (2, 8), (1, 4)])
    def test_concatenation_puts_the_upsampled_map_first(self, level, channels):
        model = create_model("unet_small").eval()
        upconv, decoder = getattr(model, f"upconv{level}"), getattr(model, f"dec{level}")
        with torch.no_grad():
            upconv.weight.zero_()
            upconv.bias.fill_(1.0)
        seen = []
        decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        model(torch.rand(1, 3, 16, 16))
        assert (seen[0][:, :channels] == 1).all() and not (seen[0][:, channels:] == 1).all()

    def test_the_real_compiler_agrees(self):
        torch.manual_seed(0)
        model = create_model("unet_small").eval()
        x = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            compiled = torch.compile(model)(x)
            torch.testing.assert_close(compiled, model(x), atol=1e-4, rtol=1e-3)


def test_the_contract_covers_every_model():
    tested = {cls.name for cls in ModelContract.__subclasses__()}
    assert tested == set(list_models())


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
