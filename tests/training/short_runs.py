"""Short training runs on synthetic stripes, for the tests and for processes that they start."""

import torch

from retina_course import create_model
from retina_course.training import fit, seed_everything

SIZE = 32


def sample(generator):
    """Bright stripes on noise: learnt in a few steps."""
    images = torch.rand(2, 3, SIZE, SIZE, generator=generator) * 0.3
    rows = torch.randint(2, SIZE - 4, (2,), generator=generator).tolist()
    targets = torch.zeros(2, 1, SIZE, SIZE)
    for target, row in zip(targets, rows, strict=True):
        target[:, row : row + 3] = 1
    return images + 0.6 * targets, targets


def fresh_model():
    seed_everything(0)
    return create_model("unet_small")


def train(steps=60, **options):
    model = fresh_model()
    return model, fit(model, sample, steps, progress=False, **options)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))
