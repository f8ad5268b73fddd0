import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from retina_course import create_model, shapes

DOCUMENTED = "unet_small_3x128x128"


def test_unet_small_matches_its_28_documented_rows():
    documented = shapes.read(DOCUMENTED)
    model = create_model("unet_small", num_classes=32)
    traced = shapes.trace(model, (1, 3, 128, 128))
    assert shapes.compare(traced, documented) == 28
    # The document names its blocks: so do we.
    assert [row.name for row in traced] == [row.name for row in documented]


def test_tracing_leaves_the_model_as_it_is():
    model = create_model("unet_small").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shapes.trace(model, (2, 3, 64, 64))
    assert model.training and model.conv.weight.device.type == "cpu"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))
def test_traced_shapes_are_those_of_a_real_run(in_channels, classes, rows, columns):
    model = create_model("unet_small", in_channels=in_channels, num_classes=classes)
    size = (1, in_channels, 8 * rows, 8 * columns)
    seen = []
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, o: seen.append((type(m).__name__, o.shape)))
    with torch.no_grad():
        model.eval()(torch.rand(size))
    run = list(seen)  # the traced copy has the hooks too
    traced = shapes.trace(model, size)
    layers = [(row.type, row.output_shape) for row in traced[1:-1]]
    assert layers == [(name, "x".join(map(str, shape[1:]))) for name, shape in run]
    assert traced[-1].params == sum(p.numel() for p in model.parameters())
    assert sum(row.params for row in traced[:-1]) == traced[-1].params


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda m: setattr(m, "conv", nn.Conv2d(16, 31, 1)), "31x128x128"),
        (lambda m: setattr(m.dec1, "2", nn.LeakyReLU()), "LeakyReLU"),
        (lambda m: m.dec2.append(nn.ReLU()), "+ dec2.3"),
        (lambda m: m.enc1.__delitem__(1), "- enc1.1"),
    ],
)
def test_any_difference_is_shown(change, told):
    model = create_model("unet_small", num_classes=32)
    change(model)
    with pytest.raises(shapes.ShapeMismatch) as error:
        shapes.compare(shapes.trace(model, (1, 3, 128, 128)), shapes.read(DOCUMENTED))
    message = str(error.value)
    assert told in message and "documented" in message
    assert len(message.splitlines()) < 20  # a diff, not the whole table


def test_macs_count_transposed_convolutions_by_their_input():
    model = create_model("unet_small", num_classes=32)
    assert shapes.macs(model, (1, 3, 128, 128)) == 69_140_480
    up = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)
    assert shapes.macs(up, (1, 2, 4, 4)) == 4 * 4 * 2 * 3 * 9


def test_summary_prints_its_units():
    text = shapes.summary(create_model("unet_small", num_classes=32), (1, 3, 128, 128))
    assert "Total mult-adds (M): 95.04" in text and "Units" not in text


def test_render_shows_every_row():
    rows = shapes.read(DOCUMENTED)
    page = shapes.render(rows)._repr_html_()
    assert page.count("<tr>") == len(rows) + 1
    assert "63,972" in page and "upconv3" in page and "style>" not in page
    assert "63,972" in str(shapes.render(rows))


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=DOCUMENTED):
        shapes.read("unet_smal")
    table = tmp_path / "table.csv"
    table.write_text("layer,shape\n")
    with pytest.raises(ValueError, match="expected .*output_shape"):
        shapes.read(table)
    model = create_model("unet_small")
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        shapes.trace(model, (3, 64, 64))
    with pytest.raises(ValueError, match="multiples of 8"):
        shapes.trace(model, (1, 3, 60, 64))
