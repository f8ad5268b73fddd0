"""RetinaUNet is the Keras network of its listing: same table, same outputs, same training step.

Needs `pip install keras`; Keras runs on torch here. What is compared is Keras 3. The listing
imports tensorflow.keras, in which the fused batch norm of Keras 2 keeps another running variance.
"""

import importlib
import os

import pytest
import torch

from retina_course import shapes
from retina_course.models import RetinaUNet

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")  # where the port is
keras = pytest.importorskip("keras")
if keras.backend.backend() != "torch":
    pytest.skip("Keras was imported with another backend", allow_module_level=True)
port = importlib.import_module("benchmarks.lessons.keras_port")
# Keras converts tensors in a way that numpy 2 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module", params=["float32", "float64"])
def both(request):
    """The listing's network with random weights, biases and statistics, and its port."""
    port.compute_in(request.param)
    keras.utils.set_random_seed(0)
    model = port.listing()
    port.disturb(model, seed=1)
    yield model, port.ported(model), port.images(request.param), request.param
    port.compute_in("float32")


@pytest.fixture(scope="module")
def full_size():
    keras.utils.set_random_seed(0)
    return port.listing(size=(512, 512))


def test_keras_lists_the_documented_rows(full_size):
    documented = shapes.read("retina_unet_keras_2cls_512x512x3")
    rows = [
        (type(one).__name__, "x".join(map(str, one.output.shape[1:])), one.count_params())
        for one in full_size.layers
    ]
    assert rows == [row[1:] for row in documented[:-3]]
    total, trainable, rest = (row.params for row in documented[-3:])
    assert full_size.count_params() == total == 31_055_362
    assert sum(value.numpy().size for value in full_size.trainable_weights) == trainable
    assert sum(value.numpy().size for value in full_size.non_trainable_weights) == rest


def test_keras_counts_the_running_statistics_too(full_size):
    network = RetinaUNet(num_classes=2)
    parameters = sum(value.numel() for value in network.parameters())
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    channels = sum(norm.num_features for norm in norms)
    assert (parameters, channels) == (31_043_586, 5_888)
    assert full_size.count_params() == parameters + 2 * channels
    for row, (layer, _, module) in zip(
        [row for row in shapes.read("retina_unet_keras_2cls_512x512x3") if row.params],
        port.pairs(full_size, network),
        strict=False,  # the last three rows are sums
    ):
        statistics = 2 * getattr(module, "num_features", 0)
        assert row.params == layer.count_params()
        assert row.params == sum(value.numel() for value in module.parameters()) + statistics


def test_first_weights_have_keras_bounds(full_size):
    """Glorot-uniform: the largest of n weights comes near the bound and never passes it."""
    torch.manual_seed(0)
    network = RetinaUNet(num_classes=2)
    for row, (_, name, module) in zip(
        port.initial_kernels(full_size, network),
        [pair for pair in port.pairs(full_size, network) if pair[2].weight.dim() == 4],
        strict=True,
    ):
        for largest in (row["kernel"], module.weight.abs().max().item()):
            assert 0.95 * row["bound"] < largest <= row["bound"] * (1 + 1e-6), name
        spread = module.weight.std().item()
        assert spread == pytest.approx(row["bound"] / 3**0.5, rel=0.1), name
        assert row["bias"] == module.bias.abs().max().item() == 0, name


def test_constants_of_batch_norm_are_those_of_keras(full_size):
    for layer, name, module in port.pairs(full_size, RetinaUNet()):
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.eps == layer.epsilon, name
            assert module.momentum == pytest.approx(1 - layer.momentum), name


@torch.no_grad()
def test_probabilities_and_logits_are_equal(both):
    model, network, x, dtype = both
    close = {"atol": TOLERANCE[dtype], "rtol": 0}
    logits = network(x)
    probabilities = port.nchw(model(port.nhwc(x), training=False))
    torch.testing.assert_close(logits.softmax(1), probabilities, **close)
    theirs = port.without_softmax(model)(port.nhwc(x), training=False)
    torch.testing.assert_close(logits, port.nchw(theirs), **close)
    assert logits.std() > 0.1 and logits.abs().max() < 20  # neither constant nor saturated


def test_every_layer_is_equal(both):
    model, network, x, dtype = both
    rows = port.layer_by_layer(port.without_softmax(model), network, x)
    assert len(rows) == len(shapes.read("retina_unet_2cls_3x512x512")) - 2
    far = [row for row in rows if row["difference"] > TOLERANCE[dtype] * max(1, row["largest"])]
    assert far == []


@torch.no_grad()
@pytest.mark.parametrize("both", ["float32"], indirect=True)
@pytest.mark.parametrize("wrong", ["rows and columns", "mirrored", "eps"])
def test_a_wrong_port_is_seen(both, wrong):
    model, network, x, dtype = both
    other = port.ported(model)
    for module in other.modules():
        if wrong == "eps" and isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-5
        if wrong == "rows and columns" and isinstance(module, torch.nn.Conv2d):
            module.weight.copy_(module.weight.transpose(2, 3).clone())
        if wrong == "mirrored" and isinstance(module, torch.nn.ConvTranspose2d):
            module.weight.copy_(module.weight.flip(2, 3))
    assert (other(x) - network(x)).abs().max() > 100 * TOLERANCE[dtype]


@pytest.mark.parametrize("both", ["float64"], indirect=True)  # float32 rounds: a ReLU may differ
def test_one_training_step_is_equal(both):
    """Weights, running means, and running variances but for one factor.

    Keras 3 averages the biased batch variance, torch the unbiased one: n / (n - 1) times as much,
    with n values a channel. (This test comes last: it moves the weights of `both`.)
    """
    model, network, x, _ = both
    y = torch.randint(2, (len(x), *x.shape[2:]), generator=torch.Generator().manual_seed(2))
    step = port.training_step(model, network, x, y)
    assert step["loss_difference"] < 1e-12
    norms = [row for row in step["layers"] if "values" in row]
    assert len(step["layers"]) == 41 and len(norms) == 18
    for row in step["layers"]:
        assert row["moved"] > 1e-6, row
        assert row["difference"] < 1e-8 * row["moved"] and row["bias_difference"] < 1e-12, row
    for row in norms:
        n = row["values"]
        assert row["mean_difference"] < 1e-12, row
        assert row["variance_ratio"] == pytest.approx([n / (n - 1)] * 2, rel=1e-6), row
    assert {row["values"] for row in norms} == {2 * 32 * 48 // 4**level for level in range(5)}
