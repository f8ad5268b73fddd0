"""LinkNet as its document trains it: Adam at 1e-4, Dice + IoU, 100 epochs of 512x512, batch 4."""

import io
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from retina_course.data.files import write_atomically
from retina_course.models import LinkNet
from retina_course.training import History, Train, batch_generator, seed_everything
from retina_course.training.losses import DiceLoss, IoU
from retina_course.training.recipe import stack_images

EPOCHS, BATCH, LR, SIDE = 100, 4, 1e-4, 512
FOV_DIAMETER = 464  # with its margin of a twentieth on either side, just below 512 pixels
EVERY = 10  # epochs between two checkpoints


def train_as_documented(
    photographs: list, seed: int, folder: Path, device: torch.device
) -> tuple[nn.Module, History, dict]:
    """The trained network, its losses (Dice + IoU, one value an epoch) and its recipe.

    Whole fields of view, no augmentation (none is documented), float32. Killed, it goes on from
    `folder/checkpoint.pt`.
    """
    images, vessels = stack_images(photographs, FOV_DIAMETER)
    missing = (0, SIDE - images.shape[3], 0, SIDE - images.shape[2])
    data = TensorDataset(F.pad(images, missing).to(device), F.pad(vessels, missing).to(device))
    seed_everything(seed)
    model = LinkNet().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    epoch = Train(dice=DiceLoss(), iou=IoU())
    history, file = History(), folder / "checkpoint.pt"
    if file.exists():
        stored = torch.load(file, map_location="cpu", weights_only=True)
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        history = History(**stored["history"])
    began = time.perf_counter() - history.seconds
    for number in range(len(history.loss), EPOCHS):
        order = batch_generator(seed, number)  # of this epoch alone: no state to be stored
        loader = DataLoader(data, batch_size=BATCH, shuffle=True, generator=order)
        history.loss.append(sum(epoch.forward(model=model, loader=loader, optimizer=optimizer)))
        history.seconds = time.perf_counter() - began
        if (number + 1) % EVERY == 0:
            content = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "history": vars(history),
            }
            buffer = io.BytesIO()
            torch.save(content, buffer)
            write_atomically(file, buffer.getvalue())
    recipe = {
        "steps": EPOCHS * -(-len(photographs) // BATCH),
        "batch_size": BATCH,
        "crop": SIDE,
        "lr": LR,
        "fov_diameter": FOV_DIAMETER,
        "rotation": 0,
        "jitter": 0,
        "loss": "Dice + IoU",
        "optimizer": "Adam, constant rate",
        "precision": "float32",
    }
    return model.cpu().eval(), history, recipe
