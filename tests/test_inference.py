import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import nn

from retina_course import list_models
from retina_course.data.images import read_image
from retina_course.data.reading import read_rgb
from retina_course.inference import predict, segment, tiles
from retina_course.models import DETECTORS, create_model


def untrained(num_classes=1, seed=0):
    """A network whose outputs vary: untrained, with batch-norm statistics that are not 0 and 1."""
    torch.manual_seed(seed)
    model = create_model("unet_small", num_classes=num_classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.01, 0.05)
    return model.eval()


class Red(nn.Module):
    """Logit = red channel: its probabilities are known without training."""

    size_multiple = 8

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return x[:, :1]


def disc(size=200, radius=70, value=0.5):
    """A photograph with a round field of view on black."""
    y, x = np.ogrid[:size, :size]
    inside = (y - size / 2) ** 2 + (x - size / 2) ** 2 < radius**2
    return np.where(inside[..., None], np.float32(value), 0).repeat(3, 2), inside


# --- reading -------------------------------------------------------------------------------------


def test_all_types_read_the_same_image(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (7, 9), dtype=np.uint8)
    rgb = np.stack([grey, 255 - grey, grey // 2], axis=-1)
    expected = torch.from_numpy(rgb.transpose(2, 0, 1) / 255).float()
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    alpha = np.dstack([rgb, np.full_like(grey, 255)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    sources = [
        rgb,
        rgb.astype(np.uint16) * 257,
        rgb / 255,
        (rgb / 255).astype(np.float32),
        alpha,
        Image.fromarray(rgb),
        Image.fromarray(alpha),
        tmp_path / "rgb.png",
        str(tmp_path / "alpha.png"),
        torch.from_numpy(rgb).permute(2, 0, 1),
        expected,
        expected.double()[None],
    ]
    for source in sources:
        image = read_image(source)
        assert image.dtype == torch.float32 and image.shape == (3, 7, 9)
        torch.testing.assert_close(image, expected)


def test_grey_images_of_8_and_16_bits(tmp_path):
    grey = np.random.default_rng(0).integers(0, 65536, (7, 9), dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    expected = torch.from_numpy(grey / 65535).float().expand(3, 7, 9)
    for source in (grey, grey[..., None], grey / 65535, tmp_path / "grey16.png"):
        torch.testing.assert_close(read_image(source), expected)
        assert read_image(source).is_contiguous()  # no channel is a view of another
    eight = (grey >> 8).astype(np.uint8)
    torch.testing.assert_close(
        read_image(Image.fromarray(eight)), torch.from_numpy(eight / 255).float().expand(3, 7, 9)
    )


def test_exif_orientation_is_honoured(tmp_path):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:, :8] = 255  # bright left edge
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "turned.jpg")
    assert image.shape == (3, 16, 24)
    assert image[:, :, :6].min() > 0.9 and image[:, :, 10:].max() < 0.1


@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tag, tmp_path):
    pixels = np.random.default_rng(tag).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    expected = torch.from_numpy(shown.transpose(2, 0, 1) / 255).float()
    torch.testing.assert_close(read_image(tmp_path / "turned.png"), expected)


def test_exif_is_not_written_again(monkeypatch):
    def odd_tag(*arguments, **options):  # what Pillow does where a tag is of another type
        raise struct.error("required argument is not an integer")

    image = Image.fromarray(np.zeros((6, 9, 3), np.uint8))
    image.getexif()[0x0112] = 6
    monkeypatch.setattr(Image.Exif, "tobytes", odd_tag)
    assert read_image(image).shape == (3, 9, 6)


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.full((6, 9, 4), 255, np.uint8)
    pixels[:, :4, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    image = read_image(tmp_path / "cut.png")
    assert image[:, :, :4].max() == 0 and image[:, :, 4:].min() == 1
    assert np.array_equal(image.permute(1, 2, 0) * 255, read_rgb(tmp_path / "cut.png"))


def test_reading_does_not_change_or_share_the_source():
    array = np.full((8, 8, 3), 0.5, np.float32)
    tensor = torch.full((3, 8, 8), 0.5)
    for source in (array, tensor):
        read_image(source)[:] = 0
    assert array.min() == 0.5 and tensor.min() == 0.5


@pytest.mark.parametrize(
    "source, error, message",
    [
        (np.full((4, 4, 3), np.nan), ValueError, "NaN"),
        (np.full((4, 4, 3), np.inf), ValueError, "infinite"),
        (np.full((4, 4, 3), 200.0), ValueError, "Divide by 255"),
        (np.full((4, 4, 3), -0.5), ValueError, "-0.5"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"\(4, 4, 2\)"),
        (np.zeros((3, 40, 40), np.uint8), ValueError, "transpose"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "empty"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "int64"),
        (np.zeros((4, 4), bool), TypeError, "bool"),
        (torch.zeros(2, 3, 8, 8), ValueError, "one RGB image"),
        (torch.zeros(1, 8, 8), ValueError, "one RGB image"),
        (torch.zeros(3, 0, 8), ValueError, "empty"),
        ([[0, 1]], TypeError, "list"),
    ],
)
def test_what_is_no_image_gives_a_clear_error(source, error, message):
    with pytest.raises(error, match=message):
        read_image(source)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.png"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="text.png is not an image"):
        read_image(tmp_path / "text.png")
    with pytest.raises(ValueError, match="folder|Cannot read"):  # Windows: permission denied
        read_image(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="Cannot read the image .*cut.png"):
        read_image(tmp_path / "cut.png")


# --- predict -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    num_classes=st.integers(1, 3),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64]),
    flips=st.booleans(),
)
def test_any_size_and_type(height, width, num_classes, dtype, flips):
    values = np.random.default_rng(0).random((height, width, 3))
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    image = (values * top).astype(dtype)
    p = predict(untrained(num_classes), image, flips=flips)
    assert p.shape == (num_classes, height, width)
    assert p.dtype == torch.float32 and p.device.type == "cpu"
    assert p.min() >= 0 and p.max() <= 1
    if num_classes > 1:
        torch.testing.assert_close(p.sum(dim=0), torch.ones(height, width))


def test_values_are_those_of_the_model_and_at_their_place():
    image = torch.rand(3, 33, 50)
    torch.testing.assert_close(predict(Red(), image), image[:1].sigmoid())
    torch.testing.assert_close(predict(Red(), image, flips=True), image[:1].sigmoid())
    torch.testing.assert_close(predict(Red(), image, tile=16, overlap=0), image[:1].sigmoid())
    model, fits = untrained(), torch.rand(3, 64, 72)
    with torch.no_grad():
        torch.testing.assert_close(predict(model, fits), model(fits[None])[0].sigmoid())


@pytest.mark.parametrize("tile, overlap", [(128, 32), (112, 40), (264, None), (128, None)])
def test_tiles_give_the_result_of_the_whole_image(tile, overlap):
    model, image = untrained(), torch.rand(3, 304, 187)
    whole = predict(model, image)
    assert whole.std() > 0.05  # else equality would mean little
    tiled = predict(model, image, tile=tile, overlap=overlap)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


OTHERS = {
    "unet_large": {"fold": 2},
    "segnet": {"separable": True},
    "retina_unet": {},
    "retina_segmentor": {},
    "linknet": {},
}


@pytest.mark.parametrize("name", OTHERS)
def test_tiles_of_every_network_give_the_result_of_the_whole_image(name):
    assert {"unet_small", *OTHERS} == set(list_models()) - set(DETECTORS)
    torch.manual_seed(0)
    model = create_model(name, **OTHERS[name])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of one batch: deep maps keep their spread
    with torch.no_grad():
        model(torch.rand(2, 3, 64, 96))
    if name == "segnet":
        model.double()  # a tie in a pooling window that rounding breaks moves a value by a pixel
    model.eval()
    image = torch.rand(3, 40, 1203, generator=torch.Generator().manual_seed(0))
    whole = predict(model, image)
    tiled = predict(model, image, tile=1024)  # the default overlap
    assert whole.std() > 0.01
    torch.testing.assert_close(tiled, whole, atol=1e-4, rtol=0)


def test_without_overlap_there_are_seams():
    model, image = untrained(), torch.rand(3, 128, 128)
    whole = predict(model, image)
    assert (predict(model, image, tile=64, overlap=0) - whole).abs().max() > 1e-3


def test_large_images_are_tiled_by_themselves(monkeypatch):
    monkeypatch.setattr(tiles, "WHOLE_PIXELS", 500 * 200)
    monkeypatch.setattr(tiles, "TILE", 256)
    model, image = Red(), torch.rand(3, 601, 187)
    torch.testing.assert_close(predict(model, image), image[:1].sigmoid())
    assert [shape[2] for shape in model.seen] == [384, 480, 224]  # tile 512, core 256
    model.seen.clear()
    predict(model, image[:, :500, :])
    assert model.seen == [(1, 3, 504, 192)]


def test_flip_averaging_is_equivariant_and_an_average():
    model, image = untrained(), torch.rand(3, 61, 43)
    averaged = predict(model, image, flips=True)
    for axes in ((-1,), (-2,), (-2, -1)):
        mirrored = predict(model, image.flip(axes), flips=True).flip(axes)
        torch.testing.assert_close(mirrored, averaged, atol=1e-6, rtol=0)
    parts = [predict(model, image.flip(a)).flip(a) for a in ((), (-1,), (-2,), (-2, -1))]
    torch.testing.assert_close(averaged, torch.stack(parts).mean(0), atol=1e-6, rtol=0)


def test_each_module_keeps_its_mode_also_after_an_error():
    model = untrained().train()
    model.enc1.eval()  # frozen statistics
    before = [module.training for module in model.modules()]
    statistics = model.enc2[2].running_mean.clone()
    predict(model, torch.rand(3, 16, 16))
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model.enc2[2].running_mean, statistics)
    model.conv.weight.data = torch.zeros(1, 5, 1, 1)  # fits no input
    with pytest.raises(RuntimeError):
        predict(model, torch.rand(3, 16, 16))
    assert [module.training for module in model.modules()] == before


def test_the_result_is_an_ordinary_tensor():
    p = predict(untrained(), torch.rand(3, 16, 16))
    scale = torch.ones(1, requires_grad=True)
    (p * scale).sum().backward()
    assert scale.grad is not None


def test_half_precision_models_give_float32():
    p = predict(untrained().bfloat16(), torch.rand(3, 16, 16))
    assert p.dtype == torch.float32


@pytest.mark.parametrize("tile, overlap", [(100, 16), (96, 12), (96, 48), (96, -8), (0, 0)])
def test_tiles_that_do_not_fit(tile, overlap):
    with pytest.raises(ValueError, match="multiples of 8"):
        predict(untrained(), torch.rand(3, 16, 16), tile=tile, overlap=overlap)


def test_models_that_are_no_segmentation_network():
    with pytest.raises(ValueError, match="Sequential returned"):
        predict(nn.Sequential(nn.Flatten()), torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="RetinaNet returned list"):
        predict(create_model("retina_net"), torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="Expected 1 channels, got 3"):
        predict(create_model("unet_small", in_channels=1), torch.rand(3, 16, 16))


# --- segment -------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", [70, 139, 400])
def test_the_field_of_view_is_resampled_to_the_training_size(diameter):
    image, inside = disc(size=200, radius=70)
    model = Red()
    probability, fov = segment(model, image, {"fov_diameter": diameter})
    assert probability.shape == fov.shape == (200, 200)
    assert (fov.numpy() != inside).mean() < 0.01
    side = model.seen[0][-1]  # the field, a margin of 1/20 on each side, and the border
    assert side == pytest.approx(1.1 * diameter + 64, abs=10)
    centre = probability[70:130, 70:130]
    torch.testing.assert_close(centre, torch.full_like(centre, 0.5).sigmoid(), atol=1e-4, rtol=0)
    assert (probability[~fov] == 0).all()


def test_photographs_of_the_training_size_are_not_resampled():
    image, _ = disc(size=200, radius=70)
    image = image * np.random.default_rng(0).uniform(0.5, 1, image.shape).astype(np.float32)
    probability, fov = segment(Red(), image, {"fov_diameter": 143})
    torch.testing.assert_close(probability, torch.from_numpy(image[..., 0]).sigmoid() * fov)


def test_the_frame_makes_no_edge():
    """On one colour the output repeats every 8 pixels (strided layers), unless an edge is seen."""

    def unevenness(p):
        return (p[8:, 8:] - p[:-8, :-8]).abs().max()

    model, image = untrained(), np.full((90, 120, 3), 0.4)
    assert unevenness(predict(model, image)[0]) > 0.01  # the zeros beyond the frame
    probability, _ = segment(model, image, {"fov_diameter": 120}, flips=False)
    assert unevenness(probability) < 1e-5


def test_without_a_recognisable_field_the_whole_frame_is_taken():
    full = np.full((40, 60, 3), 0.6)
    speck = np.full((40, 60, 3), 0.05)
    speck[3:9, 3:9] = 0.6
    for image in (full, speck):
        probability, fov = segment(Red(), image, {"fov_diameter": 120})
        assert fov.all()
        assert probability[20:, 20:].min() >= 0.5
    with pytest.raises(ValueError, match="black"):
        segment(Red(), np.zeros((40, 60, 3)), {"fov_diameter": 120})


def test_a_field_that_is_given_is_used():
    image, _ = disc(size=200, radius=70)
    fov = np.zeros((200, 200), bool)
    fov[80:120, 60:140] = True
    model = Red()
    result = segment(model, image, {"fov_diameter": 80}, fov=fov)
    assert np.array_equal(result.fov.numpy(), fov)
    assert (result.probability[~result.fov] == 0).all()
    assert model.seen[0] == (1, 3, 48 + 64, 88 + 64)
    with pytest.raises(ValueError, match="image's size"):
        segment(model, image, {"fov_diameter": 80}, fov=fov[:100])
    with pytest.raises(ValueError, match="0 pixels inside"):
        segment(model, image, {"fov_diameter": 80}, fov=fov & False)


def test_of_several_classes_class_one_is_the_vessels():
    class TwoClasses(nn.Module):
        def forward(self, x):
            return torch.stack([torch.zeros_like(x[:, 0]), torch.full_like(x[:, 0], 3)], dim=1)

    probability, _ = segment(TwoClasses(), np.full((40, 40, 3), 0.5), {"fov_diameter": 40})
    torch.testing.assert_close(probability, torch.full((40, 40), 3.0).sigmoid())


@pytest.mark.parametrize("card", [{}, {"fov_diameter": None}, {"fov_diameter": -3}])
def test_the_card_must_give_the_diameter(card):
    with pytest.raises(ValueError, match="fov_diameter"):
        segment(Red(), np.zeros((8, 8, 3), np.uint8), card)
