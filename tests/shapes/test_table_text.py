"""Tables as text, HTML and differences, to the letter; what tracing tells of a small model."""

import re

import pytest
import torch
from torch import nn

from retina_course import shapes
from retina_course.shapes import Row, tables, tracing

LAYERS = [Row(f"layer{i}", "Conv2d", f"{i}x8x8", 1000 * i) for i in range(1, 10)]
ROWS = [Row("input", "Input", "3x8x8", 0), *LAYERS, Row("TOTAL", "", "9x8x8", 45_000)]


def test_names_are_labels_and_the_layers_are_counted():
    renamed = [row._replace(name="other") for row in ROWS]
    assert shapes.compare(ROWS, renamed) == 9
    assert shapes.compare(ROWS[:2] + ROWS[-1:], ROWS[:2] + ROWS[-1:]) == 1


@pytest.mark.parametrize("change", [{"type": "ReLU"}, {"output_shape": "5x8x9"}, {"params": 5001}])
def test_one_row_that_differs_is_shown_between_two_that_agree(change):
    traced = ROWS[:5] + [ROWS[5]._replace(**change)] + ROWS[6:]
    with pytest.raises(shapes.ShapeMismatch) as error:
        shapes.compare(traced, ROWS)
    line = tables._line
    assert str(error.value).splitlines() == [
        "1 row(s) differ (- documented, + traced):",
        "  " + line(ROWS[3]),
        "  " + line(ROWS[4]),
        "- " + line(ROWS[5]),
        "+ " + line(traced[5]),
        "  " + line(ROWS[6]),
        "  " + line(ROWS[7]),
        "  ...",
    ]


def test_rows_that_are_missing_or_too_many_are_counted():
    for traced, told in ((ROWS[:2] + ROWS[4:], "2 row"), (ROWS[:4] + ROWS[1:], "3 row")):
        with pytest.raises(shapes.ShapeMismatch, match=re.escape(f"{told}(s) differ")):
            shapes.compare(traced, ROWS)
    with pytest.raises(shapes.ShapeMismatch) as error:
        shapes.compare([ROWS[0], *ROWS[2:9], *ROWS[10:]], ROWS)  # far apart: two gaps
    signs = [line[:5].strip() for line in str(error.value).splitlines()[1:]]
    assert signs == ["inp", "- lay", "lay", "lay", "...", "lay", "lay", "- lay", "TOT"]


def test_a_long_table_of_rows_that_are_alike_is_compared_to_the_end():
    long = [ROWS[0], *[ROWS[1]] * 250, ROWS[-1]]
    traced = [*long[:100], ROWS[2], *long[101:150], ROWS[3], *long[151:]]
    with pytest.raises(shapes.ShapeMismatch, match="^[23] row"):
        shapes.compare(traced, long)


def test_a_line_has_four_columns():
    row = Row("conv", "Conv2d", "4x8x8", 1_234_567)
    assert tables._line(row) == "conv           Conv2d                    4x8x8  1,234,567"
    table = shapes.render(ROWS[:2])
    assert str(table) == repr(table) == "\n".join(tables._line(row) for row in ROWS[:2])


def test_a_page_of_three_rows():
    rows = [ROWS[0], Row("a<b", "ReLU", "3x8x8", 1000), Row("TOTAL", "", "3x8x8", 1000)]
    left, right = '<td style="text-align: left">', '<td style="text-align: right">'
    head = [("right", "#"), ("left", "Name"), ("left", "Layer")]
    head += [("right", "Output C x H x W"), ("right", "Parameters")]
    expected = "".join(f'<th style="text-align: {side}">{title}</th>' for side, title in head)
    expected = f"<table><thead><tr>{expected}</tr></thead><tbody>"
    for number, name, kind, params in (
        ("", "input", "", "0"),
        ("1", "<code>a&lt;b</code>", "ReLU", "1,000"),
        ("", "TOTAL", "", "1,000"),
    ):
        cells = [right + number, left + name, left + kind, right + "3 x 8 x 8", right + params]
        expected += "<tr>" + "".join(f"{cell}</td>" for cell in cells) + "</tr>"
    assert shapes.render(rows)._repr_html_() == expected + "</tbody></table>"


def test_a_table_from_a_file(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("name,type,output_shape,params\ninput,Input,3x8x8,0\n", encoding="utf-8")
    assert shapes.read(path) == shapes.read(str(path)) == ROWS[:1]
    path.write_text("name,type,params,output_shape\n", encoding="utf-8")
    with pytest.raises(ValueError, match="mine.csv has the columns .*expected .'name', 'type'"):
        shapes.read(path)
    with pytest.raises(ValueError, match="No shape table .*none.csv.* Documented ones: linknet18"):
        shapes.read(tmp_path / "none.csv")


class Small(nn.Module):
    """A convolution that is used twice, inside a sequence, and a layer without parameters."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.again = nn.Conv2d(4, 4, 1, bias=False)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        if x.dim() != 4:
            raise ValueError("not an image")
        x = self.again(self.first(x))
        return self.drop(self.again(x))


def test_every_row_of_a_traced_model():
    assert shapes.trace(Small(), (2, 3, 6, 8)) == [
        Row("input", "Input", "3x6x8", 0),
        Row("first.0", "Conv2d", "4x6x8", 112),
        Row("first.1", "BatchNorm2d", "4x6x8", 8),
        Row("again", "Conv2d", "4x6x8", 16),
        Row("again", "Conv2d", "4x6x8", 0),
        Row("drop", "Dropout", "4x6x8", 0),
        Row("TOTAL", "", "4x6x8", 136),
    ]


def test_a_network_of_one_layer_is_the_row_of_the_total():
    rows = shapes.trace(nn.Conv2d(3, 4, 1), (1, 3, 6, 8))
    assert rows == [Row("input", "Input", "3x6x8", 0), Row("TOTAL", "", "4x6x8", 16)]


def test_neither_tracing_nor_counting_changes_the_model_or_prints(capsys):
    model = Small().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shapes.trace(model, (2, 3, 6, 8))
    shapes.summary(model, (2, 3, 6, 8))
    counted = shapes.macs(model, (1, 3, 6, 8))
    assert counted == 6 * 8 * (3 * 4 * 9 + 2 * 4 * 4) and type(counted) is int
    assert capsys.readouterr().out == ""
    assert all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, before[name]), name
    assert counted == shapes.macs(model.eval(), (1, 3, 6, 8))


def test_a_batch_of_one_can_be_traced_through_batch_norm_of_one_pixel():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    assert [row.output_shape for row in shapes.trace(model, (1, 3, 6, 8))][1:] == ["3x1x1"] * 3
    assert shapes.macs(model, (1, 3, 6, 8)) == 0


@pytest.mark.parametrize("size", [(3, 6, 8), (1, 3, 6, 8, 1)])
def test_sizes_that_are_no_batch_of_images(size):
    with pytest.raises(ValueError, match=re.escape(f"(N, C, H, W), got {size}")):
        shapes.trace(Small(), size)


def test_the_models_own_error_is_told():
    model = nn.Sequential(nn.Flatten(2), Small())
    with pytest.raises(ValueError, match="^not an image$"):
        shapes.trace(model, (1, 3, 6, 8))


def test_the_summary_has_short_lines_and_plain_units(monkeypatch):
    text = shapes.summary(Small(), (2, 3, 6, 8))
    assert text.splitlines()[1].split() == ["Layer", "(type:depth-idx)"] + ["Output", "Shape"] + [
        "Param",
        "#",
    ]
    assert max(map(len, text.splitlines())) < 90
    assert all(line == line.rstrip() for line in text.splitlines())

    class Statistics:
        class formatting:
            col_width = 25

        def __str__(self):
            return "Units.MEGABYTES  \n  Units.GIGABYTES Units.TERABYTES"

    monkeypatch.setattr(tracing, "_run", lambda model, size: (model, Statistics()))
    assert shapes.summary(Small(), (2, 3, 6, 8)) == "M\n  G T"
    assert Statistics.formatting.col_width == 19
