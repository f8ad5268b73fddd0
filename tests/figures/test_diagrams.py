"""The drawing of an encoder-decoder network shows what the documented table says."""

import pytest

from retina_course import shapes
from retina_course.figures import diagrams

BLOCKS = {
    "encoder": ["enc1", "enc2", "enc3"],
    "bottleneck": "bneck",
    "decoder": ["dec3", "dec2", "dec1"],
    "up": ["upconv3", "upconv2", "upconv1"],
}


@pytest.fixture
def documented():
    rows = shapes.read("unet_small_3x128x128")
    return {row.name.split(".")[0]: row.output_shape for row in rows}


def written(figure):
    """Every text in the drawing with its place."""
    return {text.get_text(): text.get_position() for text in figure.axes[0].texts}


def test_each_block_stands_with_its_shape_on_its_level(documented):
    texts = written(diagrams.encoder_decoder(documented, **BLOCKS))
    assert {"input", "conv", "enc1", "enc2", "enc3", "bneck", "dec1", "dec2", "dec3"} <= set(texts)
    assert {"64 × 16 × 16", "32 × 128 × 128", "upconv1: 4 × 128 × 128"} <= set(texts)
    for level in "123":
        (left, height), (right, other) = texts[f"enc{level}"], texts[f"dec{level}"]
        assert height == other and left < right
    heights = [texts[name][1] for name in ("input", "enc1", "enc2", "enc3", "bneck")]
    assert heights == sorted(heights, reverse=True)


def test_what_a_merge_gives_stands_below_its_skip_connection(documented):
    merged = {"dec3": "64x32x32", "dec2": "16x64x64", "dec1": "8x128x128"}
    texts = written(diagrams.encoder_decoder(documented, **BLOCKS, merged=merged))
    for block, shape in {"enc1": "8 × 128 × 128", "enc2": "16 × 64 × 64"}.items():
        assert -0.4 < texts[shape][1] - texts[block][1] < 0


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_any_depth_fits_into_the_figure(depth):
    levels = range(1, depth + 1)
    names = {kind: [f"{kind}{i}" for i in levels] for kind in ("encoder", "decoder", "up")}
    labels = [*sum(names.values(), []), "input", "bneck", "conv"]
    figure = diagrams.encoder_decoder(dict.fromkeys(labels, "1x2x2"), bottleneck="bneck", **names)
    low, high = figure.axes[0].get_ylim()
    assert all(low < y < high for _, y in written(figure).values())


def test_missing_blocks_and_shapes_are_refused(documented):
    with pytest.raises(ValueError, match="3, 2 and 3"):
        diagrams.encoder_decoder(documented, **BLOCKS | {"decoder": ["dec3", "dec2"]})
    with pytest.raises(KeyError, match="bottom"):
        diagrams.encoder_decoder(documented, **BLOCKS | {"bottleneck": "bottom"})
