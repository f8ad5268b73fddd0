"""Small detectors, and images of rectangles with their targets."""

import torch

from retina_course import create_model

TINY = {"width": 8, "pyramid_channels": 16, "head_channels": 16}


def build(name="retina_unet_detector", seed=0, **options):
    torch.manual_seed(seed)
    return create_model(name, **TINY | options)


def batch(n=2, classes=2, size=(64, 96), seed=0):
    """Noise with bright rectangles, one an image and class, and their targets."""
    generator = torch.Generator().manual_seed(seed)
    images, targets = 0.2 * torch.rand(n, 3, *size, generator=generator), []
    for image in images:
        segmentation, boxes = torch.zeros(size, dtype=torch.int64), []
        for label in range(1, classes + 1):
            x, y = (int(v) for v in torch.randint(2, size[0] // 2 - 2, (2,), generator=generator))
            x += (label - 1) * size[1] // 2
            boxes.append([x, y, x + 12, y + 8 * label])
            segmentation[y : y + 8 * label, x : x + 12] = label
            image[:, y : y + 8 * label, x : x + 12] += 0.6
        boxes, labels = torch.tensor(boxes, dtype=torch.float32), torch.arange(1, classes + 1)
        targets.append({"boxes": boxes, "labels": labels, "segmentation": segmentation})
    return images, targets


def lively(model):
    """An untrained network that says something: spread of the logits, statistics of one batch."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network = model.network
    torch.nn.init.normal_(network.class_head[-1].weight, std=0.05)
    torch.nn.init.normal_(network.box_head[-1].weight, std=0.1)
    with torch.no_grad():
        network(batch(classes=1)[0])
    return model.eval()
