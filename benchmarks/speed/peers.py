"""Speed side by side: RetinaUNet and MONAI, LinkNet, its encoder and segmentation_models_pytorch.

    python -m benchmarks.speed.peers [--rounds 15] [--compile-budget 120] [--quick] [--output FILE]

Writes retina_course/results/speed.json. Interleaved rounds: in each round every contender runs
once, in an order drawn anew. Forward in inference mode and a training step (forward, loss,
backward, fused AdamW), float32 and, where the processor has it, bfloat16 autocast; on the CPU and,
where there is one, the GPU. A peer that is not installed is left out, and the file says so.

Batch norm is folded by `torch.nn.utils.fusion.fuse_conv_bn_eval`, pair by pair: the whole-network
`torch.fx.experimental.optimization.fuse` cannot trace models that check their input, and it leaves
transposed convolutions alone. Every contender's output is checked against the plain network's.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.peer_networks import (
    FORMATS,
    LAST,
    PLAIN,
    Last,
    Network,
    monai_networks,
    smp_networks,
)
from benchmarks.common.provenance import device_name, provenance
from benchmarks.common.timing import compile_limit, has_bfloat16, in_turn, quartiles, timed
from retina_course import shapes
from retina_course.models import LinkNet, RetinaUNet
from retina_course.models.resnet import ResNetEncoder

PROGRAM = Program(
    __file__,
    question="Are the networks as fast as those of MONAI and segmentation_models_pytorch?",
    results=("speed.json",),
    commands=("python -m benchmarks.speed.peers",),
    needs=("monai", "segmentation-models-pytorch"),
)
# Largest deviation from the plain float32 network, as a fraction of the largest output.
TOLERANCE = {"cpu float32": 1e-4, "cuda float32": 1e-2, "cpu bfloat16": 0.2, "cuda bfloat16": 0.2}
SIZES = {
    "cpu": {"retina_unet": ((1, 128), (2, 64)), "other": ((1, 256), (2, 128))},
    "cuda": {"retina_unet": ((4, 512), (4, 256)), "other": ((4, 512), (4, 256))},
}
COMPILE_LIMIT = 120  # seconds for one network


@dataclass
class Contender:
    owner: str
    name: str
    format: str
    run: Callable[[], Tensor]
    compile_s: float | None = None
    difference: float = 0.0
    seconds: list[float] = field(default_factory=list)


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
    try:
        with compile_limit(COMPILE_LIMIT):
            run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    finally:
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


def case(
    topic: str,
    task: str,
    networks: list[Network],
    x: Tensor,
    dtype: torch.dtype,
    budget: dict[str, float],
    rounds: int,
) -> dict:
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
    for counts, one in in_turn(contenders, rounds, warm_up=2):
        seconds = timed(one.run, x.device)
        if counts:
            one.seconds.append(seconds)
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


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile-budget", type=float, default=120, help="seconds in all")
    parser.add_argument("--quick", action="store_true", help="images of 64 pixels: a trial")
    parser.add_argument("--output", type=Path, default=RESULTS / "speed.json")
    options = parser.parse_args()
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
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    content = {
        "provenance": provenance(torch.device("cpu"), PROGRAM),
        "devices": {name: device_name(torch.device(name)) for name in devices},
        "peers": {"monai": monai, "segmentation_models_pytorch": smp},
        "rounds": options.rounds,
        "networks": [facts(topic, one) for topic in topics for one in topics[topic]],
        "cases": [],
    }
    for device in devices:
        fast = has_bfloat16(torch.device(device))
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


if __name__ == "__main__":
    main()
