"""Upsampling methods, and two heads, in one narrow encoder-decoder on synthetic images.

    python -m benchmarks.lessons.unpooling

Writes retina_course/results/unpooling.json. It can be killed at any time: a finished training is
not run again.
"""

import copy
import math
from functools import partial
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.morphology import skeletonize
from torch import Tensor, nn

from benchmarks.common.files import RESULTS, RUNS, once, write_json
from benchmarks.common.index import Program
from benchmarks.common.lessons import Batch, predict_all, prepare
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import mean_and_sd
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.models.blocks import conv_bn_relu
from retina_course.training import batch_generator, default_device, fit

PROGRAM = Program(
    __file__,
    question="Does SegNet's unpooling keep thin vessels, and what does its documented head cost?",
    results=("unpooling.json",),
    commands=("python -m benchmarks.lessons.unpooling",),
)
FOLDER = RUNS / "unpooling"
CHANNELS = (16, 32)
SIDE, CROP, BATCH = 256, 64, 4
STEPS, LR = 1000, 3e-3
SEEDS = (0, 1, 2)
THIN = 2  # pixels: the widest vessel that counts as thin
VARIANTS = {  # the upsampling method and the head
    "unpool": ("unpool", "logits"),
    "transposed": ("transposed", "logits"),
    "bilinear": ("bilinear", "logits"),
    "bilinear, skip": ("skip", "logits"),
    "unpool, documented head": ("unpool", "documented"),
}


class Narrow(nn.Module):
    """SegNet's form with few channels: two convolutions a stage, two pools."""

    size_multiple, in_channels, num_classes = 4, 3, 1

    def __init__(self, up: str, head: str):
        super().__init__()
        self.up, self.tamper = up, None
        self.down, self.decode, self.learned = (nn.ModuleList() for _ in range(3))
        for c_in, c in pairwise((3, *CHANNELS)):
            self.down.append(nn.Sequential(*stage(c_in, c), *stage(c, c)))
        for c, c_out in pairwise((*CHANNELS[::-1], CHANNELS[0])):
            wide = 2 * c if up == "skip" else c
            self.decode.append(nn.Sequential(*stage(wide, c), *stage(c, c_out)))
            self.learned.append(nn.ConvTranspose2d(c, c, 2, 2) if up == "transposed" else None)
        last = nn.Conv2d(CHANNELS[0], 1, 3, padding=1, bias=head == "logits")
        ending = [] if head == "logits" else [nn.BatchNorm2d(1), nn.ReLU()]
        self.head = nn.Sequential(last, *ending)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for block in self.down:
            x = block(x)
            pooled, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((x, indices))
            x = pooled
        for block, learned in zip(self.decode, self.learned, strict=True):
            x = block(self._up(x, learned, *kept.pop()))
        return self.head(x)

    def _up(self, x: Tensor, learned: nn.Module | None, skip: Tensor, indices: Tensor) -> Tensor:
        if self.up == "unpool":
            if self.tamper is not None:
                indices = self.tamper(indices, skip.shape[-1])
            return F.max_unpool2d(x, indices, 2, output_size=skip.shape[-2:])
        if self.up == "transposed":
            return learned(x)
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return torch.cat([x, skip], dim=1) if self.up == "skip" else x


def stage(c_in: int, c_out: int) -> list[nn.Module]:
    return conv_bn_relu(c_in, c_out, bias=False)


def corner(indices: Tensor, width: int) -> Tensor:
    """The top left pixel of each window, whatever the encoder has found."""
    row, column = indices // width, indices % width
    return row // 2 * 2 * width + column // 2 * 2


def thin(vessel: np.ndarray) -> np.ndarray:
    """The vessel pixels whose nearest centre-line pixel lies in a vessel of at most THIN pixels."""
    distance = ndimage.distance_transform_edt(vessel)
    line = skeletonize(vessel)
    nearest = ndimage.distance_transform_edt(~line, return_distances=False, return_indices=True)
    return vessel & (distance[tuple(nearest)] <= THIN / 2)


def measure(name: str, seed: int, data: dict[str, Batch]) -> dict:
    """Train and score one variant."""
    model, crops = prepare(
        lambda: Narrow(*VARIANTS[name]),
        data["training"],
        crop=CROP,
        batch_size=BATCH,
        seed=seed,
        bias=False,
    )
    if VARIANTS[name][1] == "logits":  # the documented head has no bias to set
        share = data["training"][1].mean().item()
        nn.init.constant_(model.head[0].bias, math.log(share / (1 - share)))
    dead = {"start": dead_fraction(model, crops)}
    history = fit(model, crops, STEPS, lr=LR, seed=seed, progress=False)
    dead["end"] = dead_fraction(model, crops)
    row = {"seed": seed, "dead": dead, "parameters": sum(p.numel() for p in model.parameters())}
    loss = {"start": np.mean(history.loss[:10]), "end": np.mean(history.loss[-50:])}
    row |= {"seconds": history.seconds, "loss": {k: float(v) for k, v in loss.items()}}
    threshold = metrics.best_threshold(*metrics.pool(*predict_all(model, data["training"])))
    row["test"] = evaluate(model, data["test"], threshold)
    if VARIANTS[name] == ("unpool", "logits"):
        model.tamper = corner
        row["corner"] = evaluate(model, data["test"], threshold)
    return row


def dead_fraction(model: nn.Module, crops: RandomCrops) -> float:
    """Fraction of the pixels of 8 batches whose output is exactly 0, in training mode."""
    twin = copy.deepcopy(model).train()  # so that the model's running averages stay
    with torch.no_grad():
        outputs = [twin(crops(batch_generator(99, step))[0]) for step in range(8)]
    return float((torch.stack(outputs) == 0).float().mean())


def evaluate(model: nn.Module, test: Batch, threshold: float) -> dict:
    """Pooled scores, the sensitivity for thin vessels, and clDice."""
    probabilities, targets, fovs = predict_all(model, test)
    scores = metrics.scores(*metrics.pool(probabilities, targets, fovs), threshold)
    found = [p >= threshold for p in probabilities]
    narrow = [thin(target) for target in targets]
    hits = sum((f & n).sum() for f, n in zip(found, narrow, strict=True))
    row = {name: scores[name] for name in ("f1", "auc", "sensitivity", "specificity")}
    row["thin_sensitivity"] = float(hits / sum(n.sum() for n in narrow))
    row["cldice"] = float(np.mean([metrics.cldice(*p) for p in zip(found, targets, strict=True)]))
    return row


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    source = provenance(default_device(), PROGRAM)
    data = {
        "training": synthetic_batch(8, SIDE, seed=0),
        "test": synthetic_batch(8, SIDE, seed=1000),
    }
    runs = {name: [] for name in VARIANTS}
    for seed in SEEDS:
        for name in VARIANTS:
            file = FOLDER / f"{name.replace(', ', '-').replace(' ', '_')}-{seed}.json"
            row = once(file, source["code"], partial(measure, name, seed, data))
            print(name, seed, row["test"], row["dead"], flush=True)
            runs[name].append(row)
    result = {"provenance": source, "settings": settings(data), "variants": {}}
    for name, rows in runs.items():
        parts = [part for part in ("test", "corner", "dead") if part in rows[0]]
        summary = {
            part: {key: mean_and_sd([row[part][key] for row in rows]) for key in rows[0][part]}
            for part in parts
        }
        result["variants"][name] = {"parameters": rows[0]["parameters"], "runs": rows} | summary
    write_json(RESULTS / "unpooling.json", result)


def settings(data: dict[str, Batch]) -> dict:
    vessels = data["test"][1]
    narrow = sum(int(thin(vessel[0].bool().numpy()).sum()) for vessel in vessels)
    chosen = {"steps": STEPS, "crop": CROP, "batch_size": BATCH, "lr": LR, "seeds": list(SEEDS)}
    chosen |= {"channels": list(CHANNELS), "side": SIDE, "thin_pixels": THIN}
    sizes = {f"{name}_images": len(batch[0]) for name, batch in data.items()}
    return chosen | sizes | {"thin_fraction": narrow / float(vessels.sum())}


if __name__ == "__main__":
    main()
