"""Networks inside other modules give what the bare network gives."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from retina_course.inference import detect, detect_all, detect_in_crop, predict, segment
from retina_course.inference.prediction import attribute, without_parallel
from retina_course.models import create_model


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """A group of one process, which `DistributedDataParallel` asks for."""
    store = tmp_path_factory.mktemp("group") / "store"
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


class Normalised(nn.Module):
    """Somebody's own wrapper."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)


def compiled(model):
    return torch.compile(model, backend="eager")


WRAPPERS = {
    "parallel": nn.DataParallel,
    "distributed": DistributedDataParallel,
    "parallel, then compiled": lambda m: compiled(nn.DataParallel(m)),
    "sequential": lambda m: nn.Sequential(nn.Identity(), m),
    "own": Normalised,
    "own, then parallel": lambda m: nn.DataParallel(Normalised(m)),
}
needs_group = pytest.mark.usefixtures("one_process")


def network(name):
    torch.manual_seed(0)
    model = create_model(name, **({"fold": 2} if name == "unet_large" else {}))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


@needs_group
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", ["unet_small", "segnet"])
def test_predict(name, wrapper):
    model = network(name)
    wrapped = WRAPPERS[wrapper](network(name))
    image = torch.rand(3, 33, 60, generator=torch.manual_seed(1))
    tiles = {"tile": 48, "overlap": 16}
    assert torch.equal(predict(wrapped, image), predict(model, image))
    assert torch.equal(predict(wrapped, image, **tiles), predict(model, image, **tiles))
    assert wrapped.training  # the mode is as before


@needs_group
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_segment(wrapper):
    image = torch.rand(3, 33, 60, generator=torch.manual_seed(1))
    models = (network("unet_small"), WRAPPERS[wrapper](network("unet_small")))
    assert torch.equal(*(segment(m, image, {"fov_diameter": 60}).probability for m in models))


@needs_group
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_detect(wrapper):
    torch.manual_seed(0)
    options = {"num_classes": 2, "width": 4, "pyramid_channels": 8, "head_channels": 8}
    model = create_model("retina_net", **options, score_threshold=0.0).eval()
    image = torch.rand(3, 50, 60, generator=torch.manual_seed(1))
    expected = detect(model, image, {"fov_diameter": 60})
    found = detect(WRAPPERS[wrapper](model), image, {"fov_diameter": 60})
    assert len(expected["boxes"]) > 0
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@needs_group
def test_distributed_wrappers_are_not_called(monkeypatch):
    def waits_for_others(*_):
        raise AssertionError("a process that calls this alone hangs")

    monkeypatch.setattr(DistributedDataParallel, "forward", waits_for_others)
    model = DistributedDataParallel(network("unet_small"))
    assert predict(model, torch.rand(3, 16, 16)).shape == (1, 16, 16)


def test_a_compiled_network_stays_compiled():
    image = torch.rand(3, 50, 61, generator=torch.manual_seed(1))
    model = compiled(network("unet_small"))
    assert torch.equal(predict(model, image), predict(network("unet_small"), image))
    assert without_parallel(model) is model and without_parallel(nn.DataParallel(model)) is model
    assert attribute(nn.Linear(1, 1), "size_multiple") is None


def test_a_detector_of_another_precision_sees_images_of_its_own():
    model = create_model("retina_net", width=8, score_threshold=0.0).to(torch.bfloat16)
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    (batch,) = detect_all(model, image[None])
    for found in (batch, detect_in_crop(model, image, flips=False)):
        assert len(found["scores"]) == 100 and found["boxes"].dtype == torch.float32
        found["boxes"] += 1  # an ordinary tensor, which may be changed
