import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from retina_course.figures import plotting
from retina_course.training import History


def pixels(figure):
    """The pixels of a figure, RGBA uint8."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGBA"))


def data_of(axes):
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axes.lines}


def test_the_documented_call_draws_both_training_losses():
    figure = plotting.plot([0.7, 0.4, 0.2], (0.8, 0.5, 0.3))
    axes = figure.axes[0]
    lines = data_of(axes)
    assert list(lines["Dice loss"][0]) == [1, 2, 3]
    assert list(lines["Dice loss"][1]) == [0.7, 0.4, 0.2]
    assert list(lines["IoU loss"][1]) == [0.8, 0.5, 0.3]
    assert "training" in axes.get_ylabel() and axes.get_xlabel() == "epoch"
    assert {text.get_text() for text in axes.get_legend().texts} == {"Dice loss", "IoU loss"}
    with pytest.raises(ValueError, match="3 and 2"):
        plotting.plot([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="0 and 0"):
        plotting.plot([], [])


def test_curves_show_the_loss_its_mean_and_the_validation():
    loss = list(np.linspace(1, 0.2, 200))
    validation = [{"step": 100, "auc": 0.9, "f1": 0.5}, {"step": 200, "auc": 0.95, "f1": 0.7}]
    figure = plotting.curves(History(loss, validation))
    training, measured = figure.axes
    x, y = data_of(training)["mean of 4 steps"]
    assert len(x) == 197 and x[-1] == 200 and y[-1] == pytest.approx(np.mean(loss[-4:]))
    assert list(data_of(measured)["auc"][0]) == [100, 200]
    assert list(data_of(measured)["f1"][1]) == [0.5, 0.7]
    assert len(plotting.curves(History(loss[:3])).axes) == 1
    with pytest.raises(ValueError, match="no step"):
        plotting.curves(History())


def test_painting_changes_the_masked_pixels_only():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    mask = np.zeros((20, 30), bool)
    mask[5:9, 3:20] = True
    result = plotting.overlay_image(image, mask)
    assert result.dtype == np.uint8 and (result[~mask] == image[~mask]).all()
    assert (result[mask][:, 2] > result[mask][:, 0]).all()
    assert (plotting.overlay_image(torch.rand(3, 20, 30), torch.from_numpy(mask)) > 0).any()
    with pytest.raises(ValueError, match=r"\(20, 30\), got \(30, 20\)"):
        plotting.overlay_image(image, mask.T)
    figure = plotting.overlay(image, mask, title="eye")
    left, right = (axes.images[0].get_array() for axes in figure.axes)
    assert np.allclose(left, image / 255) and (right == result).all()


def test_the_error_map_colours_and_counts_inside_the_field():
    prediction, target, fov = (np.zeros((12, 12), bool) for _ in range(3))
    fov[:10] = True
    prediction[2, 2:8] = True  # 4 found, 2 false
    target[2, 4:11] = True  # 3 missed
    prediction[11] = target[11] = True  # outside
    figure = plotting.error_map(prediction, target, fov)
    picture = figure.axes[0].images[0].get_array() / 255
    assert np.allclose(picture[2, 5], to_rgb(plotting.BLACK))
    assert np.allclose(picture[2, 2], to_rgb(plotting.ORANGE))
    assert np.allclose(picture[2, 9], to_rgb(plotting.BLUE))
    assert np.allclose(picture[5, 5], 1) and np.allclose(picture[11], to_rgb(plotting.GREY))
    labels = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert labels == ["found: 4", "false positive: 2", "missed: 3"]
    whole = plotting.error_map(prediction, target)
    assert "found: 16" in whole.axes[0].get_legend().texts[0].get_text()


@pytest.mark.parametrize(
    "prediction, message",
    [
        (np.zeros((8, 9), bool), r"prediction of shape \(8, 8\), got \(8, 9\)"),
        (np.full((8, 8), 0.5), "threshold"),
        (np.zeros((1, 8, 8), bool), r"got \(1, 8, 8\)"),
    ],
)
def test_error_maps_of_what_is_no_mask(prediction, message):
    with pytest.raises(ValueError, match=message):
        plotting.error_map(prediction, np.zeros((8, 8), bool))


def lightness(colour):
    """CIE L* of an sRGB colour: how light it looks in grey print."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(y) - 16


def test_the_colours_differ_in_grey_print():
    light = [lightness(c) for c in (plotting.BLACK, plotting.BLUE, plotting.ORANGE, "white")]
    assert min(np.diff(light)) > 20


def test_figures_are_white_and_leave_no_global_state():
    import matplotlib._pylab_helpers as helpers

    before = len(helpers.Gcf.figs)
    mask = np.eye(16, dtype=bool)
    figures = [
        plotting.plot([1, 0.5], [1, 0.6]),
        plotting.curves(History([1.0, 0.5])),
        plotting.overlay(np.zeros((16, 16, 3), np.uint8), mask),
        plotting.error_map(mask, mask),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        png, shown = figure._repr_png_()  # what a notebook shows
        assert Image.open(io.BytesIO(png)).width == 2 * shown["width"]
        assert tuple(pixels(figure)[0, 0]) == (255, 255, 255, 255)
    assert len(helpers.Gcf.figs) == before


def test_lines_are_also_a_drawing_the_same_each_time_and_photographs_are_not():
    figure = plotting.curves(History([1.0, 0.5]))
    drawing, (_, shown) = figure._repr_svg_(), figure._repr_png_()
    assert drawing == plotting.curves(History([1.0, 0.5]))._repr_svg_()
    size = f'width="{shown["width"]}" height="{shown["height"]}"'
    assert drawing.startswith("<svg ") and size in drawing
    assert "\n" not in drawing and "<style" not in drawing
    assert plotting.error_map(np.eye(16, dtype=bool), np.eye(16, dtype=bool))._repr_svg_() is None


def test_boxes_are_those_above_the_threshold_and_the_ground_truth():
    found = {
        "boxes": torch.tensor([[10.0, 20, 30, 45], [1, 2, 3, 4], [0, 0, 9, 9]]),
        "scores": torch.tensor([0.9, 0.3, 0.29]),
        "labels": torch.tensor([2, 1, 1]),
    }
    ground_truth = {"boxes": torch.tensor([[12.0, 21, 31, 44]]), "labels": torch.tensor([2])}
    image = np.full((150, 180, 3), 0.4)
    figure = plotting.boxes(
        [image, image], [found] * 2, [ground_truth] * 2, names=["disc", "exudate"]
    )
    for axes in figure.axes:
        patches = [p for p in axes.patches if isinstance(p, Rectangle)]
        full = [p for p in patches if p.get_edgecolor()[:3] not in ((0, 0, 0), (1, 1, 1))]
        # imshow's pixel 0 reaches from -0.5 to 0.5.
        assert [(*p.get_xy(), p.get_width(), p.get_height()) for p in full] == [
            (9.5, 19.5, 20, 25),
            (0.5, 1.5, 2, 2),
        ]
        assert full[0].get_edgecolor() != full[1].get_edgecolor()
        assert {p.get_xy() for p in patches if p not in full} == {(11.5, 20.5)}
    texts = [text.get_text() for text in figure.legends[0].texts]
    assert texts[:2] == ["disc", "exudate"] and len(texts) == 3
    lines = figure.legends[0].get_lines()
    assert [line.get_color() for line in lines[:2]] == list(plotting.BOX_COLOURS[:2])
    figure = plotting.boxes([image], [found], names=["disc"], threshold=0.5)
    assert len(figure.axes[0].patches) == 1 and len(figure.legends[0].texts) == 1
