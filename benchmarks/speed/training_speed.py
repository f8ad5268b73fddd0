"""What each step of speed saves in training: from a bare loop to what `fit` does, and compiled.

    python -m benchmarks.speed.training_speed [--rounds 7] [--quick] [--output FILE]

Writes retina_course/results/training_speed.json. Each stage adds one change to the stage before it.
In each round every stage trains one block of steps, in an order drawn anew; a block's time counts
batches, forward, loss, backward, clipping and the optimizer. Two more steps of each stage and round
are timed phase by phase, with a GPU synchronised in between. The loss of one batch with the same
weights is compared with the bare loop's, so that no forward pass is fast by computing something
else.
"""

import argparse
import copy
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import device_name, provenance
from benchmarks.common.timing import compile_limit, has_bfloat16, in_turn, quartiles, synchronize
from retina_course import shapes
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_batch
from retina_course.models import create_model
from retina_course.training import batch_generator, seed_everything
from retina_course.training.losses import DiceCELoss

PROGRAM = Program(
    __file__,
    question="Which changes to a bare training loop save how much time?",
    results=("training_speed.json",),
    commands=("python -m benchmarks.speed.training_speed",),
)
BATCH, IMAGES, SIDE = 4, 8, 384
CROP = {"cpu": 128, "cuda": 256}
BLOCK = {"cpu": {"unet_small": 10, "linknet": 4}, "cuda": {"unet_small": 40, "linknet": 40}}
COMPILE_LIMIT = 150  # seconds for one network
TOLERANCE = {"float32": 1e-2, "bfloat16": 5e-2}  # of the loss; a GPU's float32 has TF32 in it
STAGES = {  # what is added to the stage before
    "bare loop": {},
    "batches on the device": {"on_device": True},
    "losses read once a block": {"read_late": True},
    "fused AdamW": {"fused": True},
    "channels_last": {"channels_last": True},
    "bfloat16 autocast": {"bfloat16": True},
    "torch.compile": {"compiled": True},
}


class Files(Dataset):
    """The usual way, without workers: each item opens its files and is cut and augmented alone."""

    def __init__(self, folder: str, crop: int):
        self.folder, self.crop = folder, crop

    def __len__(self) -> int:
        return 10**6  # epochs are no matter here

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image, mask = (
            torch.from_numpy(np.array(Image.open(f"{self.folder}/{kind}{i % IMAGES}.png")))
            for kind in ("image", "mask")
        )
        image, mask = image.permute(2, 0, 1)[None] / 255, (mask[None, None] > 0).float()
        crops = RandomCrops(image, mask, size=self.crop, batch_size=1)
        image, mask = crops(batch_generator(0, i))
        return image[0], mask[0]


class Stage:
    """One way to train: `block(steps)` trains so many steps and returns their losses."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        data: tuple[Tensor, Tensor],
        folder: str,
        device: torch.device,
        crop: int,
        changes: dict[str, bool],
    ):
        self.name, self.changes, self.device = name, changes, device
        self.model = copy.deepcopy(model).to(device).train()
        self.layout = torch.contiguous_format
        if changes.get("channels_last"):
            self.layout = torch.channels_last
            self.model.to(memory_format=self.layout)
        # Where not asked for: what torch chooses (a loop over tensors, on a GPU groups of them).
        fused = {"fused": True} if changes.get("fused") else {}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, **fused)
        self.dtype = torch.bfloat16 if changes.get("bfloat16") else torch.float32
        self.loss = DiceCELoss()
        self.batches = self.draw(data, folder, crop)
        self.compile_s = self.difference = None
        self.seconds: list[float] = []
        self.phases: dict[str, list[float]] = defaultdict(list)

    def draw(
        self, data: tuple[Tensor, Tensor], folder: str, crop: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.changes.get("on_device"):
            yield from DataLoader(Files(folder, crop), batch_size=BATCH)
        crops = RandomCrops(*(part.to(self.device) for part in data), size=crop, batch_size=BATCH)
        step = 0
        while True:
            yield crops(batch_generator(0, step))
            step += 1

    def value(self, images: Tensor, targets: Tensor) -> Tensor:
        images = images.to(self.device, memory_format=self.layout)
        with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
            logits = self.model(images)
        return self.loss(logits, targets.to(self.device))

    def block(self, steps: int, mark: Callable = lambda phase: None) -> list[float]:
        losses = []
        mark("begin")
        for _ in range(steps):
            images, targets = next(self.batches)
            mark("batch")
            value = self.value(images, targets)
            mark("forward and loss")
            self.optimizer.zero_grad()
            value.backward()
            mark("backward")
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            mark("clipping and optimizer")
            losses.append(value.detach() if self.changes.get("read_late") else value.item())
        return torch.stack(losses).tolist() if self.changes.get("read_late") else losses

    def compile(self) -> None:
        torch._dynamo.reset()
        self.model.compile()
        begin = time.perf_counter()
        with compile_limit(COMPILE_LIMIT):
            self.block(2)
        self.compile_s = round(time.perf_counter() - begin, 1)


def main() -> None:
    parser = PROGRAM.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two short rounds, no compiling")
    parser.add_argument("--output", type=Path, default=RESULTS / "training_speed.json")
    options = parser.parse_args()
    options.rounds = 2 if options.quick else options.rounds
    begin = time.perf_counter()
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    content = {
        "provenance": provenance(torch.device("cpu"), PROGRAM),
        "devices": {name: device_name(torch.device(name)) for name in devices},
        "batch": BATCH,
        "images": IMAGES,
        "side": SIDE,
        "rounds": options.rounds,
        "cases": [],
    }
    images, vessels, _ = synthetic_batch(IMAGES, SIDE, 0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/compiled"  # what a first run compiles
        for i, (image, mask) in enumerate(zip(images, vessels, strict=True)):
            for kind, values in (("image", image.permute(1, 2, 0)), ("mask", mask[0])):
                pixels = (values * 255).round().byte().numpy()
                Image.fromarray(pixels).save(f"{folder}/{kind}{i}.png")
        for device in devices:
            for name in BLOCK[device]:
                done = case(name, torch.device(device), (images, vessels), folder, options)
                content["cases"].append(done)
                print(f"{time.perf_counter() - begin:.0f} s", name, device, done["skipped"])
                for row in done["rows"]:
                    print("  ", row, flush=True)
    content["seconds"] = round(time.perf_counter() - begin)
    write_json(options.output, content)


def case(
    name: str,
    device: torch.device,
    data: tuple[Tensor, Tensor],
    folder: str,
    options: argparse.Namespace,
) -> dict:
    """All stages of one network on one device."""
    crop, steps = CROP[device.type], BLOCK[device.type][name]
    seed_everything(0)
    model = create_model(name, num_classes=1)
    batch = RandomCrops(*data, size=crop, batch_size=BATCH)(batch_generator(0, 0))
    stages, skipped, changes, standard = [], {}, {}, None
    for label, change in STAGES.items():
        reason = unusable(change, device, options.quick)
        if reason:
            skipped[label] = reason
            continue
        changes |= change
        stage = Stage(label, model, data, folder, device, crop, dict(changes))
        if "compiled" in change:
            try:
                stage.compile()
            except Exception as error:  # no compiler, too slow, not supported: the rest stands
                skipped[label] = f"{type(error).__name__}: {str(error).splitlines()[0]}"[:200]
                continue
            stage.model.load_state_dict(model.state_dict())
        with torch.no_grad():
            value = stage.value(*batch).item()
        standard = standard or value
        stage.difference = abs(value - standard) / standard
        assert stage.difference <= TOLERANCE[str(stage.dtype)[6:]], (label, stage.difference)
        stages.append(stage)
    measure(stages, 2 if options.quick else steps, options.rounds)
    return {
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "macs": BATCH * shapes.macs(model, (1, 3, crop, crop)),
        "device": device.type,
        "crop": crop,
        "block": steps,
        "rows": [row(one, i, stages) for i, one in enumerate(stages)],
        "skipped": skipped,
    }


def unusable(change: dict, device: torch.device, quick: bool) -> str | None:
    if "bfloat16" in change:
        return None if has_bfloat16(device) else "this processor has no bfloat16"
    return "a quick trial" if quick and "compiled" in change else None


def measure(stages: list[Stage], steps: int, rounds: int) -> None:
    for counts, one in in_turn(stages, rounds, warm_up=1):
        synchronize(one.device)
        begin = time.perf_counter()
        losses = one.block(steps)
        synchronize(one.device)
        if counts:
            one.seconds.append((time.perf_counter() - begin) / steps)
            time_phases(one)
        assert np.isfinite(losses).all(), (one.name, losses)


def time_phases(stage: Stage) -> None:
    last = 0.0

    def mark(phase: str) -> None:
        nonlocal last
        synchronize(stage.device)
        now = time.perf_counter()
        if phase != "begin":
            stage.phases[phase].append(1e3 * (now - last))
        last = now

    stage.block(2, mark)


def row(one: Stage, i: int, stages: list[Stage]) -> dict:
    """Quartiles: ms a step; and as a fraction of the stage before, round by round."""
    mine, before, first = (np.array(s.seconds) for s in (one, stages[max(i - 1, 0)], stages[0]))
    return {
        "stage": one.name,
        "ms": quartiles(1e3 * mine),
        "of_the_stage_before": quartiles(mine / before),
        "of_the_bare_loop": quartiles(mine / first),
        "phases_ms": {name: round(float(np.median(v)), 4) for name, v in one.phases.items()},
        "loss_differs_by": one.difference,
        "compile_s": one.compile_s,
    }


if __name__ == "__main__":
    main()
