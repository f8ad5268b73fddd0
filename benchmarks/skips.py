"""What the links and the shortcuts of RetinaSegmentor are for: an ablation on made images.

    python benchmarks/skips.py

Four arms, three seeds each: links concatenated, added, left out; and concatenated without the
residual shortcuts. In the first arm, each link of the trained network is also set to zero. The
arm without links is trained once more, three times as long.

Writes retina_course/results/skips.json after each seed and at the end. Finished runs wait in
runs/skips: killed, the program goes on where it was. About ten minutes on one CPU core that has
bfloat16.
"""

import json
import time
from dataclasses import replace

import numpy as np
import torch
from provenance import ROOT, provenance, write_json
from torch import Tensor, nn

from retina_course import inference
from retina_course.data.augment import RandomCrops
from retina_course.data.synthetic import Fundus, make_fundus
from retina_course.data.synthetic import scene as fundus_scene
from retina_course.data.synthetic import vessel_tree as vessel_tree
from retina_course.evaluation import metrics
from retina_course.models import RetinaSegmentor
from retina_course.models.blocks import BasicBlock
from retina_course.training import fit, seed_everything
from retina_course.training.recipe import set_head_bias

RESULT = ROOT / "retina_course" / "results" / "skips.json"
RUNS = ROOT / "runs" / "skips"
SEEDS = (0, 1, 2)
SIDE = 256
TRAIN_EYES, TEST_EYES = range(5000, 5024), range(9000, 9012)
THRESHOLD_EYES = 12  # of the training eyes: enough for one number
# The learning rate: the better of 1e-3 and 3e-3 for the first arm, seed 0, on other made eyes.
RECIPE = {"steps": 400, "batch_size": 4, "size": 64, "lr": 3e-3, "precision": "bfloat16"}
WIDTHS = {"below 1": (0, 1), "1 to 2": (1, 2), "2 and more": (2, np.inf)}  # in pixels
LONGER = {"arm": "none", "seed": 0, "steps": 3 * RECIPE["steps"]}  # can it learn at all?
LINKS = ("layer3", "layer2", "layer1", "conv1")  # in the order in which the decoder takes them


class NoShortcuts(RetinaSegmentor):
    """The same layers, but no block has a shortcut: 18 convolutions in a plain chain."""

    def __init__(self, **options):
        super().__init__(**options)
        for name, block in list(self.named_modules()):
            if isinstance(block, BasicBlock):
                setattr(self, name, nn.Sequential(*plain(block)))


class Cut(RetinaSegmentor):
    """Concatenation with some links set to zero, by number: 0 is the deepest."""

    cut: tuple[int, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        self.joins = 0
        return super().forward(x)

    def join(self, upsampled: Tensor, link: Tensor) -> Tensor:
        self.joins += 1
        return super().join(upsampled, link * 0 if self.joins - 1 in self.cut else link)


ARMS = {
    "concat": lambda: Cut(skip="concat"),
    "add": lambda: RetinaSegmentor(skip="add"),
    "none": lambda: RetinaSegmentor(skip="none"),
    "concat, no shortcuts": lambda: NoShortcuts(skip="concat"),
}


def plain(block: BasicBlock) -> list[nn.Module]:
    """The layers of a block in their order, the shortcut left out."""
    relu = nn.ReLU(inplace=True)
    return [block.conv1, block.bn1, relu, block.conv2, block.bn2, relu]


def main() -> None:
    torch.set_num_threads(1)
    train = [make_fundus(SIDE, seed) for seed in TRAIN_EYES]
    test = [make_fundus(SIDE, seed) for seed in TEST_EYES]
    classes = np.concatenate(
        [width_class(seed, eye)[eye.fov.numpy()] for seed, eye in zip(TEST_EYES, test, strict=True)]
    )
    RUNS.mkdir(parents=True, exist_ok=True)
    vessels = classes[classes >= 0]
    content = {
        "task": "vessels of made fundus images, scored inside the field of view",
        "images": {"side": SIDE, "training": len(train), "test": len(test)},
        "recipe": RECIPE,
        "widths": {
            "unit": "true width in pixels",
            "share of vessel pixels": {
                name: float((vessels == i).mean()) for i, name in enumerate(WIDTHS)
            },
        },
        "links": list(LINKS),
        "runs": [],
        "program": "benchmarks/skips.py",
        "provenance": provenance(torch.device("cpu")),
    }
    for seed in SEEDS:
        for arm in ARMS:
            row = run(arm, seed, RECIPE["steps"], train, test, classes)
            content["runs"].append(row)
        rows = {arm: [row for row in content["runs"] if row["arm"] == arm] for arm in ARMS}
        content["summary"] = {arm: summary(done) for arm, done in rows.items()}
        write_json(RESULT, content)
    content["longer"] = [run(**LONGER, train=train, test=test, classes=classes)]
    write_json(RESULT, content)


def width_class(seed: int, eye: Fundus) -> np.ndarray:
    """Per pixel the number of its class in WIDTHS, -1 where there is no vessel.

    The width is that of the geometry that the image is drawn from; the drawing itself never makes
    a line thinner than a pixel. Where vessels cross, the widest counts.
    """
    scene = fundus_scene.Scene(seed)
    scale = scene.fill * SIDE / 2
    classes = np.where(eye.vessel.numpy(), 0, -1)
    for number, (low, _) in list(enumerate(WIDTHS.values()))[1:]:
        for tree in (scene.artery, scene.vein):
            radius = np.where(2 * tree.radius * scale >= low, tree.radius, 0)
            cover, *_ = vessel_tree.paint(replace(tree, radius=radius), SIDE, scale)
            classes[(cover >= 0.5) & (classes >= 0)] = number
    return classes


def run(arm: str, seed: int, steps: int, train: list, test: list, classes: np.ndarray) -> dict:
    """Train and score one network, or read what an earlier call has stored."""
    longer = "" if steps == RECIPE["steps"] else f"_{steps}"
    file = RUNS / f"{arm.replace(', ', '_')}_{seed}{longer}.json"
    if file.exists():
        return json.loads(file.read_text())
    images = torch.stack([eye.image for eye in train])
    targets = torch.stack([eye.vessel for eye in train])[:, None].float()
    seed_everything(seed)
    model = ARMS[arm]()
    set_head_bias(model, targets.mean().item())
    crops = RandomCrops(images, targets, size=RECIPE["size"], batch_size=RECIPE["batch_size"])
    precision = getattr(torch, RECIPE["precision"])
    history = fit(
        model,
        crops,
        steps,
        lr=RECIPE["lr"],
        seed=seed,
        precision=precision,
        every=100,
        checkpoint=file.with_suffix(".pt"),
        progress=False,
    )
    started = time.perf_counter()
    threshold = metrics.best_threshold(*pooled(model, train[:THRESHOLD_EYES]))
    row = {
        "arm": arm,
        "seed": seed,
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": history.seconds,
        "threshold": threshold,
        "first_loss": float(np.mean(history.loss[:20])),
        "last_loss": float(np.mean(history.loss[-20:])),
        "scores": score(model, test, threshold, classes),
    }
    if isinstance(model, Cut):
        row["cut"] = {}
        for name, cut in [("all", range(4)), *((n, (i,)) for i, n in enumerate(LINKS))]:
            model.cut = tuple(cut)
            row["cut"][name] = score(model, test, threshold, classes)
    print(arm, seed, row["scores"], f"{time.perf_counter() - started:.0f} s to score", flush=True)
    write_json(file, row)
    return row


def score(model: nn.Module, test: list, threshold: float, classes: np.ndarray) -> dict:
    """Pooled scores, and the share of vessel pixels found in each class of widths."""
    probabilities, targets = pooled(model, test)
    scores = metrics.scores(probabilities, targets, threshold)
    kept = {name: scores[name] for name in ("auc", "f1", "sensitivity", "specificity")}
    found = probabilities >= threshold
    return kept | {name: float(found[classes == i].mean()) for i, name in enumerate(WIDTHS)}


def pooled(model: nn.Module, eyes: list[Fundus]) -> tuple[np.ndarray, np.ndarray]:
    return metrics.pool(
        [inference.predict(model, eye.image)[0].numpy() for eye in eyes],
        [eye.vessel.numpy() for eye in eyes],
        [eye.fov.numpy() for eye in eyes],
    )


def summary(runs: list[dict]) -> dict:
    """Mean and standard deviation over the seeds; of cut links too, where they were cut."""
    kinds = {"scores": [r["scores"] for r in runs]}
    for name in runs[0].get("cut", {}):
        kinds[f"{name} cut"] = [r["cut"][name] for r in runs]
    return {"parameters": runs[0]["parameters"]} | {
        kind: {
            key: {
                "mean": float(np.mean([row[key] for row in rows])),
                "sd": float(np.std([r[key] for r in rows], ddof=1)) if len(rows) > 1 else None,
            }
            for key in rows[0]
        }
        for kind, rows in kinds.items()
    }


if __name__ == "__main__":
    main()
