"""Images per second and memory of every network: training and inference, formats side by side.

    python -m benchmarks.speed.throughput [--only linknet ...] [--rounds 5]

float32, bfloat16 autocast, and bfloat16 compiled by torch.compile; channels_last, as `fit` trains.
A training step is forward, loss, backward and fused AdamW. The formats of a network take turns;
the median of the rounds counts. Memory is the GPU's peak, weights and optimizer included; a
processor reports none. Writes retina_course/results/throughput/<device>.json, network by network;
networks that stand there are not measured again.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from benchmarks.common.files import RESULTS, read_json, slug, write_json
from benchmarks.common.index import Program
from benchmarks.common.networks import ON_CPU, OPTIONS
from benchmarks.common.provenance import provenance
from benchmarks.common.timing import timed
from retina_course.models import create_model
from retina_course.training import default_device, seed_everything
from retina_course.training.losses import DiceCELoss

PROGRAM = Program(
    __file__,
    question="How many images per second does each network train on and segment, in what memory?",
    results=("throughput/*.json",),
    commands=("python -m benchmarks.speed.throughput",),
    hours=0.2,
)
ROWS = RESULTS / "throughput"
FORMATS = {  # precision, compiled
    "float32": (torch.float32, False),
    "bfloat16": (torch.bfloat16, False),
    "bfloat16, compiled": (torch.bfloat16, True),
}
# Batch and side: large enough to fill a GPU, small enough for RetinaUNet on a processor.
SIZES = {
    "cuda": {"training": (16, 256), "inference": (16, 512)},
    "cpu": {"training": (1, 128), "inference": (1, 256)},
}
SECONDS = 0.5  # of one round, at least


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=ON_CPU, default=ON_CPU)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, also on a GPU
    inductor.force_disable_caches = True  # the first seconds are those of a first run
    device = default_device()
    source = provenance(device, PROGRAM)
    file = ROWS / f"{slug(source['device'])}.json"
    rows = read_json(file)["rows"] if file.exists() else []
    for name in options.only:
        for task, (batch, side) in SIZES[device.type].items():
            if any((row["model"], row["task"]) == (name, task) for row in rows):
                continue
            size = (batch, 3, side, side)
            formats = measure(name, task, size, device, options.rounds)
            row = {"model": name, "task": task, "size": size, "formats": formats}
            rows.append(row | {"provenance": source})
            write_json(file, {"device": source["device"], "rows": rows})
            print(name, task, {k: round(v["images_per_second"], 1) for k, v in formats.items()})


def measure(name: str, task: str, size: tuple, device: torch.device, rounds: int) -> dict:
    """Images per second, seconds to compile and peak memory, for each format."""
    seed_everything(0)
    plain = create_model(name, **OPTIONS.get(name, {}))
    plain = plain.to(device, memory_format=torch.channels_last)
    x = torch.rand(size, device=device).contiguous(memory_format=torch.channels_last)
    target = (torch.rand(size[0], 1, *size[2:], device=device) < 0.1).float()
    found, blocks, seconds = {}, {}, {name: [] for name in FORMATS}
    for format, (precision, compiled) in FORMATS.items():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            others = torch.cuda.memory_allocated(device)
        model = copy.deepcopy(plain)
        step = (training if task == "training" else inference)(model, x, target, precision)
        if compiled:
            torch._dynamo.reset()
            model.compile()
        first = timed(step, device)
        found[format] = {"first_seconds": first}  # with compilation, or the choice of kernels
        once = min(timed(step, device) for _ in range(2))
        blocks[format] = step, max(1, round(SECONDS / once))
        if device.type == "cuda":
            found[format]["gigabytes"] = (torch.cuda.max_memory_allocated(device) - others) / 1e9
    for _ in range(rounds):
        for format, (step, repeats) in blocks.items():
            seconds[format].append(timed(step, device, repeats) / repeats)
    for format, times in seconds.items():
        found[format]["images_per_second"] = size[0] / float(np.median(times))
    return found


def training(
    model: nn.Module, x: Tensor, target: Tensor, precision: torch.dtype
) -> Callable[[], None]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    loss = DiceCELoss()

    def step() -> None:
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            logits = model(x)
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()

    return step


def inference(
    model: nn.Module, x: Tensor, target: Tensor, precision: torch.dtype
) -> Callable[[], None]:
    model.eval()

    def step() -> None:
        with (
            torch.inference_mode(),
            torch.autocast(x.device.type, precision, enabled=precision != torch.float32),
        ):
            model(x)

    return step


if __name__ == "__main__":
    main()
