"""Ways up, and two heads, in one narrow encoder-decoder on made images: three seeds each.

Writes retina_course/results/unpooling.json. Finished runs lie in runs/unpooling/, not repeated.
"""

import copy
import json
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from provenance import ROOT, provenance, write_json
from scipy import ndimage
from skimage.morphology import skeletonize
from torch import nn

from retina_course import inference
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.models.blocks import conv_bn_relu
from retina_course.training import batch_generator, default_device, fit, seed_everything

CHANNELS = (16, 32)
SIDE, CROP, BATCH = 256, 64, 4
STEPS, LR = 300, 1e-2
SEEDS = (0, 1, 2)
THIN = 2  # pixels: the widest vessel that counts as thin
VARIANTS = {  # the way up and the head
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

    def forward(self, x):
        kept = []
        for block in self.down:
            x = block(x)
            pooled, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((x, indices))
            x = pooled
        for block, learned in zip(self.decode, self.learned, strict=True):
            x = block(self._up(x, learned, *kept.pop()))
        return self.head(x)

    def _up(self, x, learned, skip, indices):
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


def corner(indices: torch.Tensor, width: int) -> torch.Tensor:
    """The top left pixel of each window, whatever the encoder has found."""
    row, column = indices // width, indices % width
    return row // 2 * 2 * width + column // 2 * 2


def thin(vessel: np.ndarray) -> np.ndarray:
    """The vessel pixels whose nearest centre-line pixel lies in a vessel of at most THIN pixels."""
    distance = ndimage.distance_transform_edt(vessel)
    line = skeletonize(vessel)
    nearest = ndimage.distance_transform_edt(~line, return_distances=False, return_indices=True)
    return vessel & (distance[tuple(nearest)] <= THIN / 2)


def measure(name: str, seed: int, data: dict, device: torch.device) -> dict:
    seed_everything(seed)
    model = Narrow(*VARIANTS[name]).to(device)
    images, vessels, _ = data["training"]
    crops = RandomCrops(images.to(device), vessels.to(device), CROP, BATCH)
    dead = {"start": dead_share(model, crops)}
    history = fit(model, crops, STEPS, lr=LR, seed=seed, progress=False)
    dead["end"] = dead_share(model, crops)
    row = {"seed": seed, "dead": dead, "parameters": sum(p.numel() for p in model.parameters())}
    loss = {"start": np.mean(history.loss[:10]), "end": np.mean(history.loss[-50:])}
    row |= {"seconds": history.seconds, "loss": {k: float(v) for k, v in loss.items()}}
    row["test"], threshold = evaluate(model, data)
    if VARIANTS[name] == ("unpool", "logits"):
        model.tamper = corner
        row["corner"], _ = evaluate(model, data, threshold)
    return row


def dead_share(model: nn.Module, crops: RandomCrops) -> float:
    """Share of the pixels of 8 batches whose output is exactly 0, in training mode."""
    twin = copy.deepcopy(model).train()  # so that the model's running averages stay
    with torch.no_grad():
        outputs = [twin(crops(batch_generator(99, step))[0]) for step in range(8)]
    return float((torch.stack(outputs) == 0).float().mean())


def evaluate(model: nn.Module, data: dict, threshold: float | None = None) -> tuple[dict, float]:
    if threshold is None:
        threshold = metrics.best_threshold(*metrics.pool(*predicted(model, data["training"])))
    probabilities, targets, fovs = predicted(model, data["test"])
    scores = metrics.scores(*metrics.pool(probabilities, targets, fovs), threshold)
    found = [p >= threshold for p in probabilities]
    narrow = [thin(target) for target in targets]
    hits = sum((f & n).sum() for f, n in zip(found, narrow, strict=True))
    row = {name: scores[name] for name in ("f1", "auc", "sensitivity", "specificity")}
    row["thin_sensitivity"] = float(hits / sum(n.sum() for n in narrow))
    row["cldice"] = float(np.mean([metrics.cldice(*p) for p in zip(found, targets, strict=True)]))
    return row, threshold


def predicted(model: nn.Module, batch: tuple) -> tuple[list, list, list]:
    images, vessels, fovs = batch
    probabilities = [inference.predict(model, image)[0].numpy() for image in images]
    targets, inside = ([m[0].bool().numpy() for m in masks] for masks in (vessels, fovs))
    return probabilities, targets, inside


def summarise(runs: list[dict], part: str) -> dict:
    """Mean and sd (n - 1) over the seeds of each number in `part` of the runs."""
    table = {name: [run[part][name] for run in runs] for name in runs[0][part]}
    return {
        k: {"mean": float(np.mean(v)), "sd": float(np.std(v, ddof=1))} for k, v in table.items()
    }


def main() -> None:
    device, folder = default_device(), ROOT / "runs" / "unpooling"
    data = {
        "training": synthetic_batch(8, SIDE, seed=0),
        "test": synthetic_batch(8, SIDE, seed=1000),
    }
    source = provenance(device)
    runs = {name: [] for name in VARIANTS}
    for seed in SEEDS:
        for name in VARIANTS:
            file = folder / f"{name.replace(', ', '-').replace(' ', '_')}-{seed}.json"
            if not file.exists():
                folder.mkdir(parents=True, exist_ok=True)
                write_json(file, measure(name, seed, data, device))
            runs[name].append(json.loads(file.read_text()))
            print(name, seed, runs[name][-1]["test"], runs[name][-1]["dead"], flush=True)
    result = {"provenance": source, "settings": settings(data), "variants": {}}
    for name, rows in runs.items():
        parts = [part for part in ("test", "corner", "dead") if part in rows[0]]
        summary = {part: summarise(rows, part) for part in parts}
        result["variants"][name] = {"parameters": rows[0]["parameters"], "runs": rows} | summary
    write_json(ROOT / "retina_course" / "results" / "unpooling.json", result)


def settings(data: dict) -> dict:
    vessels = data["test"][1]
    narrow = sum(int(thin(vessel[0].bool().numpy()).sum()) for vessel in vessels)
    chosen = {"steps": STEPS, "crop": CROP, "batch_size": BATCH, "lr": LR, "seeds": list(SEEDS)}
    chosen |= {"channels": list(CHANNELS), "side": SIDE, "thin_pixels": THIN}
    sizes = {f"{name}_images": len(batch[0]) for name, batch in data.items()}
    return chosen | sizes | {"thin_fraction": narrow / float(vessels.sum())}


if __name__ == "__main__":
    main()
