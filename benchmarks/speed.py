"""Speed side by side: RetinaUNet and MONAI, LinkNet, its encoder and segmentation_models.pytorch.

    python benchmarks/speed.py [--rounds 15] [--compile-budget 120] [--quick] [--output FILE]

Writes retina_course/results/speed.json. Interleaved rounds: in each round every contender runs
once, in an order drawn anew. Forward in inference mode and a training step (forward, loss,
backward, fused AdamW), float32 and, where the processor has it, bfloat16 autocast; on the CPU and,
where there is one, the GPU. A peer that is not installed is left out, and the file says so.

Batch norm is folded by `torch.nn.utils.fusion.fuse_conv_bn_eval`, pair by pair: the whole-network
`torch.fx.experimental.optimization.fuse` cannot trace models that check their input, and it leaves
transposed convolutions alone. Every contender's output is checked against the plain network's.
"""

import argparse
import copy
import importlib.util
import random
import signal
import sys
import time
import types
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F
from provenance import ROOT, cpu_name, provenance, write_json
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from retina_course import shapes
from retina_course.models import LinkNet, RetinaUNet
from retina_course.models.resnet import ResNetEncoder

# Largest deviation from the plain float32 network, as a share of the largest output.
TOLERANCE = {"cpu float32": 1e-4, "cuda float32": 1e-2, "cpu bfloat16": 0.2, "cuda bfloat16": 0.2}
SIZES = {
    "cpu": {"retina_unet": ((1, 128), (2, 64)), "other": ((1, 256), (2, 128))},
    "cuda": {"retina_unet": ((4, 512), (4, 256)), "other": ((4, 512), (4, 256))},
}
COMPILE_LIMIT = 120  # seconds for one network
PLAIN, LAST, FOLDED, BOTH, COMPILED = FORMATS = (
    "contiguous",
    "channels_last",
    "folded",
    "folded, channels_last",
    "folded, channels_last, compiled",
)


@dataclass
class Network:
    """A network to time; `layers` is "equal" where weights of ours give the same output."""

    owner: str
    name: str
    model: nn.Module
    layers: str
    formats: tuple[str, ...]


@dataclass
class Contender:
    owner: str
    name: str
    format: str
    run: Callable[[], Tensor]
    compile_s: float | None = None
    difference: float = 0.0
    seconds: list[float] = field(default_factory=list)


class Last(nn.Module):
    """An encoder's deepest map; all maps are computed."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)[-1]


class Stub(types.ModuleType):
    """A module whose every name is an empty class, and its own finder and loader."""

    __path__: list[str] = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        enum = name == "InterpolationMode"  # its members are read at import
        return MagicMock() if enum else type(name, (nn.Module,), {})

    def find_spec(self, name: str, path=None, target=None):
        ours = name.split(".")[0] == "torchvision"
        return ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module) -> None:
        pass


def monai_networks(ours: nn.Module) -> tuple[dict, list[Network]]:
    try:
        from monai.networks.nets.basic_unet import BasicUNet, UpCat
    except Exception as error:
        return {"available": False, "reason": repr(error)}, []
    options = {"act": "relu", "norm": "batch", "dropout": 0.0, "upsample": "deconv"}
    stock = BasicUNet(2, 3, 2, features=(64, 128, 256, 512, 1024, 64), **options)
    equal = copy.deepcopy(stock)
    equal.upcat_1 = UpCat(2, 128, 64, 64, bias=True, halves=True, **options)
    copy_in_order(ours, equal)
    for part in (equal.upcat_4, equal.upcat_3, equal.upcat_2, equal.upcat_1):
        weight = part.convs.conv_0.conv.weight.data  # MONAI puts the skip first, ours last
        weight.copy_(weight.roll(weight.shape[1] // 2, 1))
    note = (
        "As published, the last transposed convolution keeps its 128 channels, ours halves them. "
        "'equal layers' is BasicUNet with MONAI's own block UpCat(halves=True) there."
    )
    everything = (PLAIN, LAST, BOTH, COMPILED)
    return {"available": True, "version": version("monai"), "note": note}, [
        Network("MONAI", "BasicUNet, equal layers", equal, "equal", everything),
        Network("MONAI", "BasicUNet", stock, "a wider last level", (PLAIN, LAST)),
    ]


def smp_networks(encoder: nn.Module) -> tuple[dict, Network | None, Network | None]:
    real = importlib.util.find_spec("torchvision") is not None
    finder = Stub("finder")
    try:
        if not real:
            sys.meta_path.append(finder)
        import segmentation_models_pytorch as smp

        name = "resnet18" if real else "tu-resnet18"
        model = smp.Linknet(name, encoder_weights=None, in_channels=3, classes=2)
    except Exception as error:
        return {"available": False, "reason": repr(error)}, None, None
    finally:
        if not real:
            sys.meta_path.remove(finder)
            for key in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
                del sys.modules[key]
    alone = copy.deepcopy(model.encoder)
    copy_in_order(encoder, alone)
    note = (
        "Another decoder: five blocks, the stem's map added at 1/2 of the size, transposed 4x4 "
        "convolutions with bias, a 1x1 head at full size. Ours: four blocks, the stem's map after "
        "its max-pool at 1/4, transposed 3x3 convolutions, 3x3 and 2x2 layers at the end."
    )
    if not real:
        note += " torchvision is missing: empty modules stand in for it during the import only."
    found = {"available": True, "version": version("segmentation-models-pytorch")}
    found |= {"encoder": name, "timm": version("timm"), "note": note}
    formats = (PLAIN, LAST, BOTH, COMPILED)
    return (
        found,
        Network("smp", "Linknet", model, "another decoder", formats),
        Network("smp", f"encoder {name}", Last(alone), "equal", formats),
    )


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Same layers in the same order under other names: copy weights and batch-norm constants."""
    names, values = list(target.state_dict()), source.state_dict().values()
    target.load_state_dict(dict(zip(names, values, strict=True)))
    norms = [[m for m in n.modules() if isinstance(m, nn.BatchNorm2d)] for n in (source, target)]
    for one, other in zip(*norms, strict=True):
        other.eps, other.momentum = one.eps, one.momentum


def awake(model: nn.Module, x: Tensor) -> nn.Module:
    """Batch norms with statistics and weights of their own, so that a wrong fold shows."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        model.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def fold(model: nn.Module) -> nn.Module:
    """A copy whose batch norms are in the convolutions before them, as registered."""
    model, name, layer = copy.deepcopy(model).eval(), "", None
    for next_name, module in list(model.named_modules()):
        if next(module.children(), None) is not None:
            continue
        if isinstance(module, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fused = fuse_conv_bn_eval(layer, module, transpose=layer.transposed)
            model.set_submodule(name, fused)
            model.set_submodule(next_name, nn.Identity())
        name, layer = next_name, module
    return model


def prepare(
    network: Network, format: str, x: Tensor, dtype: torch.dtype, budget: dict
) -> Contender | str:
    """The contender that runs `network` forward in one format, or why there is none."""
    model = fold(network.model) if "folded" in format else copy.deepcopy(network.model).eval()
    layout = torch.channels_last if "last" in format else torch.contiguous_format
    model, x = model.to(memory_format=layout), x.to(memory_format=layout)
    compiled = "compiled" in format
    if compiled and budget["left"] <= 0:
        return "the budget of compile seconds is spent"
    if compiled:
        torch._dynamo.reset()
        model = torch.compile(model, options={"freezing": True})

    def run() -> Tensor:
        with torch.inference_mode(), torch.autocast(x.device.type, dtype, dtype != torch.float32):
            return model(x)

    if not compiled:
        return Contender(network.owner, network.name, format, run)
    begin = time.perf_counter()
    signal.alarm(COMPILE_LIMIT)
    try:
        run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.alarm(0)
        budget["left"] -= time.perf_counter() - begin
    return Contender(network.owner, network.name, format, run, time.perf_counter() - begin)


def prepare_training(
    network: Network, format: str, x: Tensor, dtype: torch.dtype, budget: dict
) -> Contender:
    """The contender that trains `network` by one step; its result is the loss."""
    layout = torch.channels_last if "last" in format else torch.contiguous_format
    model = copy.deepcopy(network.model).train().to(memory_format=layout)
    x = x.to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def run() -> Tensor:
        with torch.autocast(x.device.type, dtype, dtype != torch.float32):
            out = model(x)
            loss = F.cross_entropy(out.float(), torch.ones_like(out[:, 0], dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Contender(network.owner, network.name, format, run)


def measure(contenders: list[Contender], rounds: int) -> None:
    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for round in range(-2, rounds):  # two to warm up
        for one in random.Random(round).sample(contenders, len(contenders)):
            synchronize()
            begin = time.perf_counter()
            one.run()
            synchronize()
            if round >= 0:
                one.seconds.append(time.perf_counter() - begin)


def case(topic: str, task: str, networks: list[Network], x: Tensor, dtype, budget, rounds) -> dict:
    """Time one task on one input; the first network is ours and the standard of the others."""
    contenders, skipped, references = [], [], {}
    limit = TOLERANCE[f"{x.device.type} {str(dtype)[6:]}"]
    for network in networks:
        network.model.to(x.device)
        same = "ours" if network.layers == "equal" else network.name
        for format in network.formats:
            training = task == "training step"
            if training and format not in (PLAIN, LAST):
                continue
            make = prepare_training if training else prepare
            made = make(network, format, x, dtype, budget)
            if isinstance(made, str):
                skipped.append({"name": network.name, "format": format, "reason": made})
                continue
            if same not in references:
                plain = make(network, PLAIN, x, torch.float32, budget)
                references[same] = plain.run().float()
            wanted = references[same]
            error = (made.run().float() - wanted).abs().max() / wanted.abs().max()
            made.difference = float(error)
            assert made.difference <= limit, (topic, task, made.name, format, made.difference)
            contenders.append(made)
    measure(contenders, rounds)
    return {
        "topic": topic,
        "task": task,
        "input": list(x.shape),
        "device": x.device.type,
        "precision": str(dtype)[6:],
        "contenders": [row(one, contenders) for one in contenders],
        "skipped": skipped,
    }


def row(one: Contender, contenders: list[Contender]) -> dict:
    """Median and quartiles in ms; for a peer, those of ours / peer in the same round and format."""
    content = {key: value for key, value in asdict(one).items() if key not in ("run", "seconds")}
    content["ms"] = quartiles(1e3 * np.array(one.seconds))
    ours = [c for c in contenders if c.owner == "ours" and c.format == one.format]
    if one.owner != "ours" and ours:
        content["ours_to_this"] = quartiles(np.array(ours[0].seconds) / np.array(one.seconds))
    return content


def quartiles(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in np.percentile(values, (25, 50, 75))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile-budget", type=float, default=120, help="seconds in all")
    parser.add_argument("--quick", action="store_true", help="images of 64 pixels: a trial")
    path = ROOT / "retina_course" / "results" / "speed.json"
    parser.add_argument("--output", type=Path, default=path)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, stop_compiling)
    torch.manual_seed(0)
    begin = time.perf_counter()
    small = torch.rand(2, 3, 64, 64)
    ours = [awake(m, small) for m in (RetinaUNet(3, 2), LinkNet(3, 2), ResNetEncoder())]
    unet, linknet, encoder = ours
    monai, unets = monai_networks(unet)
    smp, smp_linknet, smp_encoder = smp_networks(encoder)
    if smp_linknet:
        awake(smp_linknet.model, small)
    topics = {
        "retina_unet": [Network("ours", "RetinaUNet", unet, "equal", FORMATS), *unets],
        "linknet": [Network("ours", "LinkNet", linknet, "equal", FORMATS), smp_linknet],
        "encoder": [Network("ours", "ResNetEncoder", Last(encoder), "equal", FORMATS), smp_encoder],
    }
    topics = {topic: [n for n in networks if n] for topic, networks in topics.items()}
    content = {
        "provenance": provenance(torch.device("cpu")),
        "devices": {"cpu": cpu_name()},
        "peers": {"monai": monai, "segmentation_models_pytorch": smp},
        "rounds": options.rounds,
        "networks": [facts(topic, one) for topic in topics for one in topics[topic]],
        "cases": [],
    }
    if torch.cuda.is_available():
        content["devices"]["cuda"] = torch.cuda.get_device_name()
    for device in content["devices"]:
        cpu_bf16 = device == "cpu" and torch.cpu._is_avx512_bf16_supported()
        fast = cpu_bf16 or device == "cuda" and torch.cuda.is_bf16_supported(False)
        budget = {"left": options.compile_budget}
        for dtype in (torch.float32, torch.bfloat16) if fast else (torch.float32,):
            for topic, networks in topics.items():
                sizes = SIZES[device].get(topic, SIZES[device]["other"])
                for task, (n, side) in zip(("forward", "training step"), sizes, strict=True):
                    side = 64 if options.quick else side
                    x = torch.rand(n, 3, side, side, device=device)
                    done = case(topic, task, networks, x, dtype, budget, options.rounds)
                    content["cases"].append(done)
                    print(f"{time.perf_counter() - begin:.0f} s", topic, task, dtype, flush=True)
                    for c in done["contenders"]:
                        print("  ", c["owner"], c["name"], c["format"], c["ms"], c["difference"])
    content["seconds"] = round(time.perf_counter() - begin)
    write_json(options.output, content)


def facts(topic: str, network: Network) -> dict:
    """What a network is made of; ratios of speed mean little without it."""
    side = SIZES["cpu"].get(topic, SIZES["cpu"]["other"])[0][1]
    return {
        "topic": topic,
        "owner": network.owner,
        "name": network.name,
        "layers": network.layers,
        "parameters": sum(p.numel() for p in network.model.parameters()),
        "macs": shapes.macs(network.model, (1, 3, side, side)),
        "macs_at": [side, side],
    }


def stop_compiling(*_) -> None:
    raise TimeoutError(f"compiling took more than {COMPILE_LIMIT} s")


if __name__ == "__main__":
    main()
