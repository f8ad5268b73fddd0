"""What LinkNet's parts and two recipes do on synthetic images: links, upsampling, losses, scale.

    python -m benchmarks.lessons.linknet_lessons

Runs are stored as they end, so a killed program goes on with the next one; the result,
retina_course/results/linknet_lessons.json, is written after each seed. Training and test images
come from different seeds, the threshold from training images.
"""

from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import lessons
from benchmarks.common.files import RESULTS, RUNS, once, write_json
from benchmarks.common.index import Program
from benchmarks.common.lessons import Batch
from benchmarks.common.provenance import provenance
from benchmarks.common.rows import mean_and_sd
from retina_course.data.synthetic import synthetic_batch
from retina_course.evaluation import metrics
from retina_course.inference import predict
from retina_course.models.linknet import DecoderBlock, LinkNet
from retina_course.training import Train, batch_generator, default_device
from retina_course.training.losses import DiceLoss, IoU

PROGRAM = Program(
    __file__,
    question="Which of LinkNet's parts, and which of its two recipes, find more vessels?",
    results=("linknet_lessons.json",),
    commands=("python -m benchmarks.lessons.linknet_lessons",),
    hours=0.5,
)
FOLDER = RUNS / "linknet_lessons"
SEEDS, STEPS, BATCH, CROP, SIZE = (0, 1, 2), 400, 4, 128, 384
TRAINING, TEST = 16, 8  # images
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
VARIANTS = {
    "added": (LinkNet, SIZE, COURSE),
    "concatenated": (Concatenated, SIZE, COURSE),
    "no links": (Unlinked, SIZE, COURSE),
    "upsample": (lambda: LinkNet(up="upsample"), SIZE, COURSE),
    "half size": (LinkNet, SIZE // 2, COURSE),
    "documented": (LinkNet, SIZE, DOCUMENTED),
    "documented, rate 1e-3": (LinkNet, SIZE, DOCUMENTED.replace("1e-4", "1e-3")),
}


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    source = provenance(default_device(), PROGRAM)
    runs = {name: [] for name in VARIANTS}
    for done, seed in enumerate(SEEDS, start=1):
        for name in VARIANTS:
            file = FOLDER / f"{name}_{seed}.json"
            runs[name].append(once(file, source["code"], partial(run, name, seed)))
            print(name, seed, runs[name][-1], flush=True)
        rows = {name: row(name, finished) for name, finished in runs.items()}
        content = {"provenance": source, "settings": settings(SEEDS[:done]), "rows": rows}
        write_json(RESULTS / "linknet_lessons.json", content)


@cache
def images_of(n: int, side: int, seed: int) -> Batch:
    return synthetic_batch(n, side, seed)


def run(name: str, seed: int) -> dict:
    """Train one network and score it on test images of the full size."""
    _, side, recipe = VARIANTS[name]
    model = (by_the_course if recipe == COURSE else as_documented)(name, seed)
    training, test = images_of(TRAINING, SIZE, 0), images_of(TEST, SIZE, 1000)
    known = tuple(part[:TEST] for part in training)
    threshold = metrics.best_threshold(*pooled(model, side, known))
    scores = metrics.scores(*pooled(model, side, test), threshold)
    return {"dice": scores["f1"], "auc": scores["auc"], "threshold": threshold}


def by_the_course(name: str, seed: int) -> nn.Module:
    build, side, _ = VARIANTS[name]
    options = {"crop": CROP, "batch_size": BATCH, "seed": seed, "lr": 1e-3, "precision": PRECISION}
    model, _ = lessons.train(build, images_of(TRAINING, side, 0), STEPS, **options)
    return model


def as_documented(name: str, seed: int) -> nn.Module:
    build, side, recipe = VARIANTS[name]
    images = images_of(TRAINING, side, 0)
    model, crops = lessons.prepare(
        build, images, crop=CROP, batch_size=BATCH, seed=seed, bias=False
    )
    rate = float(recipe.split(";")[0].removeprefix("Adam "))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    train = Train(dice=DiceLoss(), iou=IoU())
    for step in range(STEPS):  # one autocast a step: it keeps the weights' copies to its end
        batch = crops(batch_generator(seed, step))
        with torch.autocast(default_device().type, PRECISION):
            train.forward(model=model, loader=[batch], optimizer=optimizer)
    return model


def pooled(model: nn.Module, side: int, batch: Batch) -> tuple:
    """Probabilities and ground truth inside the field of view, always at the full size."""
    images, vessels, fovs = batch
    small = images
    if side != SIZE:
        small = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    maps = torch.stack([predict(model, image) for image in small])
    maps = F.interpolate(maps, size=(SIZE, SIZE), mode="bilinear").clamp(0, 1)
    return metrics.pool(maps[:, 0].numpy(), vessels[:, 0].bool().numpy(), fovs[:, 0].numpy())


def row(name: str, runs: list[dict]) -> dict:
    """The finished seeds of one variant together."""
    _, side, recipe = VARIANTS[name]
    scores = {score: mean_and_sd([one[score] for one in runs]) for score in ("dice", "auc")}
    return {"training_side": side, "recipe": recipe, "runs": runs, **scores}


def settings(seeds: tuple[int, ...]) -> dict:
    return {
        **{"steps": STEPS, "batch": BATCH, "crop": CROP, "size": SIZE},
        **{"training_images": TRAINING, "test_images": TEST, "seeds": seeds},
        "precision": str(PRECISION),
    }


if __name__ == "__main__":
    main()
