"""Tiles give what the whole image gives."""

import pytest
import torch
from known_answers import Red, untrained
from torch import nn

from retina_course import list_models
from retina_course.inference import predict, tiles
from retina_course.models import DETECTORS, create_model


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
    "w_net": {},
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
    image = torch.rand(3, 24, 1203, generator=torch.Generator().manual_seed(0))
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


@pytest.mark.parametrize("tile, overlap", [(100, 16), (96, 12), (96, 48), (96, -8), (0, 0)])
def test_tiles_that_do_not_fit(tile, overlap):
    with pytest.raises(ValueError, match="multiples of 8"):
        predict(untrained(), torch.rand(3, 16, 16), tile=tile, overlap=overlap)


def test_tiles_begin_where_the_pooling_windows_of_a_network_do():
    """SegNet takes any size; its `total_stride` says where its windows of 32 pixels begin."""

    class Pooling(Red):
        size_multiple, total_stride = 1, 32

    model = Pooling()
    predict(model, torch.rand(3, 40, 50))
    assert model.seen == [(1, 3, 64, 64)]
    with pytest.raises(ValueError, match="multiples of 32"):
        predict(model, torch.rand(3, 40, 50), tile=100)
