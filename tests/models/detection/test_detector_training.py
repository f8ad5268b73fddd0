"""Short training runs of a detector."""

import pytest
import torch
from small_detectors import TINY, batch

from retina_course import create_model
from retina_course.data.detection import RandomAffine
from retina_course.models.detection.boxes import iou
from retina_course.training import batch_generator, fit, seed_everything

STEPS = 60


def train(name, steps=STEPS, **options):
    seed_everything(0)
    model = create_model(name, **TINY)
    views = RandomAffine(*batch(classes=1, size=(64, 64)), batch_size=2, scale=(1, 1), jitter=0)
    sample = options.pop("sample", views)
    return model, fit(model, sample, steps, lr=3e-3, progress=False, **options)


def test_a_short_run_finds_and_outlines_the_rectangles():
    model, history = train("retina_unet_detector")
    assert len(history.loss) == STEPS and not model.training
    assert sum(history.loss[-10:]) < 0.3 * sum(history.loss[:10])
    images, targets = batch(classes=1, size=(64, 64))
    for found, target in zip(model(images), targets, strict=True):
        assert found["scores"][0] > 0.5
        assert iou(found["boxes"][:1], target["boxes"]).item() > 0.6
    p = model.segment(images).softmax(dim=1)[:, 1]
    inside = torch.stack([target["segmentation"] for target in targets]) == 1
    assert p[inside].mean() > 0.6 and p[~inside].mean() < 0.2


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path):
    views = RandomAffine(*batch(classes=1, size=(64, 64)), batch_size=2, scale=(0.8, 1.2))
    stop = batch_generator(0, 8).initial_seed()

    def stopped(generator):
        if generator.initial_seed() == stop:
            raise KeyboardInterrupt
        return views(generator)

    name, file = "retina_unet_detector", tmp_path / "run.pt"
    expected, history = train(name, 12, sample=views, every=5)
    with pytest.raises(KeyboardInterrupt):
        train(name, 12, sample=stopped, every=5, checkpoint=file)
    assert torch.load(file, weights_only=True)["step"] == 5
    model, resumed = train(name, 12, sample=views, every=5, checkpoint=file)
    assert resumed.loss == history.loss
    state = expected.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in model.state_dict().items())
