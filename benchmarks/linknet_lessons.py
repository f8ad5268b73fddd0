"""What LinkNet's parts and two recipes do on made images: links, upsampling, losses, scale.

    python benchmarks/linknet_lessons.py [--output runs/linknet_lessons]

Runs are stored as they end, so a killed program goes on with the next one; the result,
retina_course/results/linknet_lessons.json, is written after each seed. Training and test eyes come
from different seeds, the threshold from training eyes.
"""

import argparse
import json
from functools import cache
from pathlib import Path
from statistics import mean, stdev

import torch
from provenance import ROOT, provenance, write_json
from torch import Tensor, nn
from torch.nn import functional as F

from retina_course import inference
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.models.linknet import DecoderBlock, LinkNet
from retina_course.training import Train, batch_generator, default_device, fit, seed_everything
from retina_course.training.losses import DiceLoss, IoU
from retina_course.training.recipe import set_head_bias

SEEDS, STEPS, BATCH, CROP, SIZE = (0, 1, 2), 400, 4, 128, 384
TRAINING, TEST = 16, 8  # eyes
PRECISION = torch.bfloat16  # on every device: half the time on a CPU that has it
COURSE, DOCUMENTED = "AdamW 1e-3, cosine; BCE + Dice", "Adam 1e-4; Dice + IoU"


class Concatenated(LinkNet):
    """Links by concatenation: the blocks after them take the sum of the channels."""

    def __init__(self):
        super().__init__()
        self.decoder3 = DecoderBlock(2 * 256, 128, stride=2, up="transpose")
        self.decoder2 = DecoderBlock(2 * 128, 64, stride=2, up="transpose")
        self.decoder1 = DecoderBlock(2 * 64, 64, stride=1, up="transpose")
        self.tp_conv1[0] = nn.ConvTranspose2d(2 * 64, 32, 3, 2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        stem, e1, e2, e3, e4 = self.encoder(x)
        d4 = torch.cat([self.decoder4(e4), e3], dim=1)
        d3 = torch.cat([self.decoder3(d4), e2], dim=1)
        d2 = torch.cat([self.decoder2(d3), e1], dim=1)
        d1 = torch.cat([self.decoder1(d2), stem], dim=1)
        return self.tp_conv2(self.conv2(self.tp_conv1(d1)))


class Unlinked(LinkNet):
    """No links: the decoder has the deepest map and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        d4 = self.decoder4(self.encoder(x)[-1])
        d1 = self.decoder1(self.decoder2(self.decoder3(d4)))
        return self.tp_conv2(self.conv2(self.tp_conv1(d1)))


# name: network, side of the training images, recipe
RUNS = {
    "added": (LinkNet, SIZE, COURSE),
    "concatenated": (Concatenated, SIZE, COURSE),
    "no links": (Unlinked, SIZE, COURSE),
    "upsample": (lambda: LinkNet(up="upsample"), SIZE, COURSE),
    "half size": (LinkNet, SIZE // 2, COURSE),
    "documented": (LinkNet, SIZE, DOCUMENTED),
    "documented, rate 1e-3": (LinkNet, SIZE, DOCUMENTED.replace("1e-4", "1e-3")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "linknet_lessons")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for done, seed in enumerate(SEEDS, start=1):
        for name in RUNS:
            file = folder / f"{name}_{seed}.json"
            if not file.exists():
                write_json(file, run(name, seed))
                print(name, seed, json.loads(file.read_text()), flush=True)
        collect(folder, SEEDS[:done])


@cache
def eyes(n: int, side: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    return synthetic_batch(n, side, seed)


def run(name: str, seed: int) -> dict:
    """Train one network and score it on test eyes of the full size."""
    build, side, recipe = RUNS[name]
    images, vessels, _ = eyes(TRAINING, side, 0)
    seed_everything(seed)
    model, device = build(), default_device()
    crops = RandomCrops(images.to(device), vessels.to(device), size=CROP, batch_size=BATCH)
    if recipe == COURSE:
        set_head_bias(model, vessels.mean().item())
        options = {"lr": 1e-3, "seed": seed, "precision": PRECISION, "progress": False}
        fit(model.to(device), crops, STEPS, **options)
    else:
        rate = float(recipe.split(";")[0].removeprefix("Adam "))
        optimizer = torch.optim.Adam(model.to(device).parameters(), lr=rate)
        train = Train(dice=DiceLoss(), iou=IoU())
        for step in range(STEPS):  # one autocast a step: it keeps the weights' copies to its end
            batch = crops(batch_generator(seed, step))
            with torch.autocast(device.type, PRECISION):
                train.forward(model=model, loader=[batch], optimizer=optimizer)
    known, unseen = eyes(TRAINING, SIZE, 0), eyes(TEST, SIZE, 1000)
    threshold = metrics.best_threshold(*pooled(model, side, [part[:TEST] for part in known]))
    scores = metrics.scores(*pooled(model, side, unseen), threshold)
    return {"dice": scores["f1"], "auc": scores["auc"], "threshold": threshold}


def pooled(model: nn.Module, side: int, batch: list[Tensor]) -> tuple:
    """Probabilities and truth inside the field of view, always at the full size."""
    images, vessels, fovs = batch
    small = images
    if side != SIZE:
        small = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    maps = torch.stack([inference.predict(model, image) for image in small])
    maps = F.interpolate(maps, size=(SIZE, SIZE), mode="bilinear").clamp(0, 1)
    return metrics.pool(maps[:, 0].numpy(), vessels[:, 0].bool().numpy(), fovs[:, 0].numpy())


def collect(folder: Path, seeds: tuple[int, ...]) -> None:
    rows = {}
    for name, (_, side, recipe) in RUNS.items():
        runs = [json.loads((folder / f"{name}_{seed}.json").read_text()) for seed in seeds]
        rows[name] = {"training_side": side, "recipe": recipe, "runs": runs}
        for score in ("dice", "auc"):
            values = [run[score] for run in runs]
            sd = stdev(values) if len(values) > 1 else None
            rows[name][score] = {"mean": mean(values), "sd": sd}
    settings = {
        **{"steps": STEPS, "batch": BATCH, "crop": CROP, "size": SIZE},
        **{"training_images": TRAINING, "test_images": TEST, "seeds": seeds},
        "precision": str(PRECISION),
    }
    content = {"provenance": provenance(default_device()), "settings": settings, "rows": rows}
    write_json(ROOT / "retina_course" / "results" / "linknet_lessons.json", content)


if __name__ == "__main__":
    main()
