"""Compare RetinaUNet with its listing in Keras, number by number (Keras 3 on its torch backend).

    pip install keras
    python -m benchmarks.lessons.keras_port

writes `retina_course/results/keras_port.json` in about 20 s of one core. The listing's
network is built here in our own words; `tests/benchmarks/test_keras_port.py` uses the same
functions.
"""

import math
import os
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")  # where the port is

import keras
import torch
import torch.nn.functional as F
from keras import layers
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as PROMOTION
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course.models import RetinaUNet

PROGRAM = Program(
    __file__,
    question="Is RetinaUNet its listing in Keras, layer by layer and in a step of training?",
    results=("keras_port.json",),
    commands=("python -m benchmarks.lessons.keras_port",),
    hours=0.01,
    needs=("keras",),
)
SIZE, BATCH, CLASSES, LR, SEED = (32, 48), 2, 2, 0.1, 0
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def compute_in(dtype: str) -> None:
    """Keras' layers and losses from here on, "float32" or "float64"."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    PROMOTION["float64"] = dtype  # on torch, its batch norm would turn float64 into float32


def listing(size: tuple[int, int] = SIZE, classes: int = CLASSES) -> keras.Model:
    """The network of the listing: images `(N, H, W, 3)` to probabilities `(N, H, W, classes)`."""

    def two_convolutions(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
            x = layers.Activation("relu")(x)
        return x

    keras.backend.clear_session()  # names count from "conv2d" again
    x = images = layers.Input((*size, 3))
    skips = []
    for channels in (64, 128, 256, 512):
        skips.append(two_convolutions(x, channels))
        x = layers.MaxPool2D(2)(skips[-1])
    x = two_convolutions(x, 1024)
    for channels in (512, 256, 128, 64):
        x = layers.Conv2DTranspose(channels, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skips.pop()])
        x = two_convolutions(x, channels)
    x = layers.Conv2D(classes, 1, activation="softmax")(x)
    return keras.Model(images, x)


def without_softmax(model: keras.Model) -> keras.Model:
    """The same layers and weights; the last one gives logits."""
    old = model.layers[-1]
    new = layers.Conv2D(old.filters, 1)
    twin = keras.Model(model.input, new(model.layers[-2].output))
    new.set_weights(old.get_weights())
    return twin


def disturb(model: keras.Model, seed: int) -> None:
    """Random values where Keras starts from 0 or 1: no exchanged vector may stay unseen."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.layers:
        values = layer.get_weights()
        for i, value in enumerate(values):
            if value.ndim == 1:
                noise = torch.rand(value.shape, generator=generator).numpy() - 0.5
                # Biases, beta and running mean around 0; gamma and variance within [0.5, 1.5].
                values[i] = (value + noise).astype(value.dtype)
        layer.set_weights(values)


def pairs(model: keras.Model, network: nn.Module) -> list[tuple[layers.Layer, str, nn.Module]]:
    """Layers with weights, both in execution order: Keras' layer, our name, our module."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    ours = [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)]
    theirs = [layer for layer in model.layers if layer.weights]
    return [(layer, *named) for layer, named in zip(theirs, ours, strict=True)]


@torch.no_grad()
def copy_weights(model: keras.Model, network: nn.Module) -> None:
    """Keras -> torch. One permutation for both kinds of kernels; nothing is mirrored."""
    for layer, _, module in pairs(model, network):
        weight, bias, *statistics = map(torch.from_numpy, layer.get_weights())
        # (kh, kw, in, out) -> (out, in, kh, kw); transposed (kh, kw, out, in) -> (in, out, kh, kw)
        module.weight.copy_(weight.permute(3, 2, 0, 1) if weight.dim() == 4 else weight)
        module.bias.copy_(bias)
        if statistics:
            module.running_mean.copy_(statistics[0])
            module.running_var.copy_(statistics[1])


def ported(model: keras.Model) -> RetinaUNet:
    """RetinaUNet with the weights of `model`, in eval mode."""
    network = RetinaUNet(num_classes=model.output.shape[-1])
    network.to(DTYPES[keras.config.floatx()])
    copy_weights(model, network)
    return network.eval()


def nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def images(dtype: str, seed: int = SEED, n: int = BATCH) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, *SIZE, generator=generator).to(DTYPES[dtype])


@torch.no_grad()
def layer_by_layer(model: keras.Model, network: nn.Module, x: Tensor) -> list[dict]:
    """For each layer that both have: the largest value and the largest difference."""
    named = [layer for layer in model.layers[1:] if not isinstance(layer, layers.Concatenate)]
    theirs = keras.Model(model.input, [layer.output for layer in named])(nhwc(x), training=False)
    ours = []  # cloned: the ReLU after it works in place
    hooks = [
        module.register_forward_hook(lambda *args, n=name: ours.append((n, args[2].clone())))
        for name, module in network.named_modules()
        if not list(module.children())
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return [
        {
            "keras": layer.name,
            "torch": name,
            "type": type(layer).__name__,
            "largest": value.abs().max().item(),
            "difference": (value - nchw(their)).abs().max().item(),
        }
        for layer, their, (name, value) in zip(named, theirs, ours, strict=True)
    ]


def training_step(model: keras.Model, network: nn.Module, x: Tensor, y: Tensor) -> dict:
    """One step of SGD in both; Keras' loss takes the softmax, ours the logits.

    Both batch norms start from the same statistics; the batch variance is read back from the
    running one by `(after - 0.99 before) / 0.01`.
    """
    before = [layer.get_weights() for layer, _, _ in pairs(model, network)]
    # Not the sparse loss: its gradient fails in the torch backend for maps (N, H, W, classes).
    their_loss = keras.losses.CategoricalCrossentropy()
    model.compile(keras.optimizers.SGD(LR), their_loss)
    one_hot = F.one_hot(y, CLASSES).to(x.dtype)
    their_value = float(model.train_on_batch(nhwc(x), one_hot))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    loss = F.cross_entropy(network.train()(x), y)
    loss.backward()
    optimizer.step()
    rows = []
    for (layer, name, module), old in zip(pairs(model, network), before, strict=True):
        weight, bias, *statistics = map(torch.from_numpy, layer.get_weights())
        start = torch.from_numpy(old[0])
        if weight.dim() == 4:
            weight, start = weight.permute(3, 2, 0, 1), start.permute(3, 2, 0, 1)
        row = {
            "torch": name,
            "moved": (module.weight - start).abs().max().item(),
            "difference": (module.weight - weight).abs().max().item(),
            "bias_difference": (module.bias - bias).abs().max().item(),
        }
        if statistics:
            theirs = (statistics[1] - 0.99 * torch.from_numpy(old[3])) / 0.01
            ours = (module.running_var - 0.99 * torch.from_numpy(old[3])) / 0.01
            row |= {
                "values": x.numel() // 3 * layer.output.shape[1] ** 2 // SIZE[0] ** 2,
                "mean_difference": (module.running_mean - statistics[0]).abs().max().item(),
                "variance_ratio": [(ours / theirs).min().item(), (ours / theirs).max().item()],
            }
        rows.append(row)
    return {"loss": loss.item(), "loss_difference": abs(loss.item() - their_value), "layers": rows}


def initial_kernels(model: keras.Model, network: nn.Module) -> list[dict]:
    """Glorot's bound of each kernel, and Keras' largest first weight and first bias."""
    rows = []
    for layer, name, module in pairs(model, network):
        if not isinstance(module, nn.BatchNorm2d):
            # k * k * (channels in + channels out), in either layout
            fans = module.weight[0, 0].numel() * sum(module.weight.shape[:2])
            kernel, bias = (float(abs(value).max()) for value in layer.get_weights())
            rows.append(
                {"torch": name, "bound": math.sqrt(6 / fans), "kernel": kernel, "bias": bias}
            )
    return rows


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    keras.utils.set_random_seed(SEED)
    result = {"keras": keras.__version__, "backend": keras.backend.backend()}
    result |= {"size": SIZE, "batch": BATCH, "classes": CLASSES, "seed": SEED}
    fresh = listing()
    trainable = sum(math.prod(weight.shape) for weight in fresh.trainable_weights)
    result["parameters"] = {"total": fresh.count_params(), "trainable": trainable}
    result["initial"] = initial_kernels(fresh, RetinaUNet(num_classes=CLASSES))
    for dtype in DTYPES:
        compute_in(dtype)
        model = listing()
        disturb(model, SEED)
        network, x = ported(model), images(dtype)
        logits = without_softmax(model)
        probabilities = nchw(model(nhwc(x), training=False))
        with torch.no_grad():
            difference = (network(x).softmax(1) - probabilities).abs().max().item()
        result[dtype] = {
            "probabilities_difference": difference,
            "layers": layer_by_layer(logits, network, x),
        }
    y = torch.randint(CLASSES, (BATCH, *SIZE), generator=torch.Generator().manual_seed(SEED))
    result["training_step"] = {"lr": LR, **training_step(model, network, x, y)}
    result["provenance"] = provenance(torch.device("cpu"), PROGRAM, since=began)
    write_json(RESULTS / "keras_port.json", result)


if __name__ == "__main__":
    main()
