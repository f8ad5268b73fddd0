"""The comparison by equal budgets: its networks, a plain U-Net among them, and their training."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common.networks import OPTIONS, OWN_SCALE, training_precision
from retina_course.data.augment import RandomCrops
from retina_course.data.photographs import Photograph
from retina_course.models import create_model
from retina_course.results.stored import read_all
from retina_course.training.checkpoints import History
from retina_course.training.devices import default_device, seed_everything
from retina_course.training.loop import fit
from retina_course.training.recipe import Recipe, stack_images
from retina_course.training.start import set_head_bias

NAMES = (
    "unet_small",
    "w_net",
    "plain_unet",
    "unet_large",
    "retina_segmentor",
    "linknet",
    "segnet",
    "retina_unet",
)


class PlainUNet(nn.Module):
    """A U-Net of three levels with two convolutions each: 117,361 parameters.

    What a reader would build first (Ronneberger et al. 2015, arXiv:1505.04597, with padding, batch
    norm and an eighth of the channels): the question is what the course's networks add to it.
    """

    size_multiple = 4

    def __init__(self, in_channels: int = 3, num_classes: int = 1):
        super().__init__()
        self.down = nn.ModuleList([double(in_channels, 16), double(16, 32), double(32, 64)])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)]
        )
        self.decode = nn.ModuleList([double(64, 32), double(32, 16)])
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(16, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for up, decode, skip in zip(self.up, self.decode, skips[-2::-1], strict=True):
            x = decode(torch.cat([up(x), skip], 1))
        return self.head(x)


def double(in_channels: int, out_channels: int) -> nn.Sequential:
    layers = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def build(name: str) -> nn.Module:
    """One network of the comparison, with one output channel."""
    return PlainUNet() if name == "plain_unet" else create_model(name, **OPTIONS.get(name, {}))


def diameter(name: str) -> int:
    """The field of view, in pixels, that a network is trained and scored at."""
    return OWN_SCALE.get(name, {"fov_diameter": 640})["fov_diameter"]


def budget(network: str) -> Recipe:
    """The recipe that a network's row of the comparison by equal budgets was trained by."""
    rows = [row for row in read_all(".json", "equal_budget") if row["network"] == network]
    budgets = [{key: row[key] for key in ("steps", "crop", "batch_size", "lr")} for row in rows]
    if not budgets or any(one != budgets[0] for one in budgets):
        raise SystemExit(f"Expected stored rows of {network} with one budget, got {budgets}.")
    return Recipe(fov_diameter=diameter(network), **budgets[0])


def train(
    network: str, photographs: Iterable[Photograph], recipe: Recipe, seed: int, **fit_options: Any
) -> tuple[nn.Module, History]:
    """Train a network by the course's recipe: same crops, batches and steps for all.

    Returns the network on its device, in eval mode, and its history. `fit_options`: see `fit`.
    """
    device = default_device()
    images, targets = stack_images(photographs, recipe.fov_diameter)
    seed_everything(seed)
    model = build(network)
    set_head_bias(model, targets.mean().item())
    crops = RandomCrops(
        images.to(device),
        targets.to(device),
        size=recipe.crop,
        batch_size=recipe.batch_size,
        rotation=recipe.rotation,
        jitter=recipe.jitter,
    )
    history = fit(
        model.to(device),
        crops,
        recipe.steps,
        lr=recipe.lr,
        seed=seed,
        precision=training_precision(device),
        settings={"network": network, **asdict(recipe)},
        **fit_options,
    )
    return model, history
