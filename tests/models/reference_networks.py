"""Networks with made weights, and what they compute: the numbers of golden/networks.json.

Weights and images come from integers, so that they are the same with every version of torch, and
all is computed in float64. Where a network shall compute something else from now on,
`python tests/models/reference_networks.py` writes the file again.
"""

import json
import math
import zlib
from pathlib import Path

import torch
from model_contract import stages

from retina_course import create_model
from retina_course.models import DETECTORS

GOLDEN = Path(__file__).parents[1] / "golden" / "networks.json"
PRIME = 65521
SMALL = {"width": 8, "pyramid_channels": 12, "head_channels": 20}
# name of the case: network, its options, height and width of the two images
CASES = {
    "unet_small": ("unet_small", {}, (32, 48)),
    "unet_small, 1 to 4": ("unet_small", {"in_channels": 1, "num_classes": 4}, (32, 48)),
    "unet_large": ("unet_large", {}, (32, 48)),
    "unet_large, 2 to 3": ("unet_large", {"in_channels": 2, "num_classes": 3}, (32, 48)),
    "unet_large, fold 2": ("unet_large", {"fold": 2, "num_classes": 2}, (48, 64)),
    "segnet": ("segnet", {}, (33, 46)),
    "segnet, documented": ("segnet", {"num_classes": 3, "head": "documented"}, (32, 48)),
    "segnet, separable": ("segnet", {"separable": True, "in_channels": 4}, (33, 46)),
    "segnet, separable, documented": (
        "segnet",
        {"separable": True, "head": "documented"},
        (16, 48),
    ),
    "retina_unet": ("retina_unet", {"num_classes": 2}, (16, 32)),
    "retina_segmentor": ("retina_segmentor", {}, (32, 48)),
    "retina_segmentor, add": ("retina_segmentor", {"skip": "add", "num_classes": 3}, (32, 48)),
    "retina_segmentor, none": ("retina_segmentor", {"skip": "none", "in_channels": 1}, (32, 48)),
    "linknet": ("linknet", {"num_classes": 2}, (64, 96)),
    "linknet, resnet34": ("linknet", {"encoder": "resnet34", "in_channels": 1}, (32, 64)),
    "linknet, upsample": ("linknet", {"up": "upsample"}, (32, 64)),
    "linknet, imagenet": ("linknet", {"imagenet": True}, (32, 64)),
    "w_net": ("w_net", {}, (32, 48)),
    "w_net, 1 to 4": ("w_net", {"in_channels": 1, "num_classes": 4}, (32, 48)),
    "retina_unet_detector": ("retina_unet_detector", {"num_classes": 2} | SMALL, (64, 96)),
    "retina_unet_detector, resnet50": (
        "retina_unet_detector",
        {"class_loss": "hard_negatives", "encoder": "resnet50", "segmentation_weight": 0.5}
        | {"num_classes": 2}
        | SMALL,
        (64, 96),
    ),
    "retina_net": ("retina_net", {"in_channels": 1, "anchor_scale": 3.0} | SMALL, (64, 96)),
}


def table() -> torch.Tensor:
    """PRIME numbers in [0, 1) without an order that shows."""
    values, x = [], 1
    for _ in range(PRIME):
        x = x * 48_271 % (2**31 - 1)
        values.append(x / 2**31)
    return torch.tensor(values, dtype=torch.float64)


TABLE = table()


def noise(name: str, *shape: int) -> torch.Tensor:
    """Numbers in [0, 1) that are a function of name and place."""
    number = math.prod(shape)
    begin = zlib.crc32(name.encode()) % PRIME
    return TABLE.repeat((begin + number) // PRIME + 1)[begin : begin + number].reshape(shape)


def fill(model: torch.nn.Module) -> torch.nn.Module:
    """Give every weight and statistic of a network a made value of a usual size."""
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        made = 2 * noise(name, *value.shape) - 1
        if value.dim() == 4:
            made *= math.sqrt(6 / value[0].numel())  # as large as the next layer needs it
        elif name.endswith("running_var"):
            made = 1 + 0.5 * made
        else:  # scales of batch norm are the only weights with one dimension
            made = (1.0 if name.endswith("weight") else 0.0) + 0.3 * made
        if name.startswith(("network.class_head.8", "network.box_head.8")):
            made *= 0.1  # else every box is sure of itself, and equal scores have no order
        value.copy_(made)
    return model


def images(in_channels: int, height: int, width: int) -> torch.Tensor:
    return noise("images", 2, in_channels, height, width)


def targets(height: int, width: int, num_classes: int) -> list[dict[str, torch.Tensor]]:
    """Three objects in one image, one in the other."""
    segmentation = torch.zeros(2, height, width, dtype=torch.int64)
    segmentation[0, 8:20, 5:21] = segmentation[1, 17:50, 33:60] = 1
    segmentation[0, 30:60, 40:75] = num_classes
    boxes = torch.tensor([[5.0, 8, 21, 20], [40, 30, 75, 60], [80, 2, 91, 15], [33, 17, 60, 50]])
    labels = torch.tensor([1, num_classes, 1, 1])
    return [
        {"boxes": boxes[:3], "labels": labels[:3], "segmentation": segmentation[0]},
        {"boxes": boxes[3:], "labels": labels[3:], "segmentation": segmentation[1]},
    ]


def numbers(x: torch.Tensor) -> list[float]:
    """Mean, standard deviation and five values of a tensor."""
    flat = x.detach().double().flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 5).long()]
    return [flat.mean().item(), flat.std().item(), *picked.tolist()]


def outputs(case: str) -> dict[str, list[float]]:
    """All that a network computes: outputs in eval and train mode, gradients, new statistics."""
    name, options, size = CASES[case]
    model, found = fill(create_model(name, **options)).double(), {}
    x = images(model.in_channels, *size).requires_grad_()
    detector = name in DETECTORS
    if not detector:
        with torch.no_grad():
            found["eval"] = numbers(model.eval()(x))
        logits = torch.cat(stages(model.train()(x)), dim=1)
        found["train"] = numbers(logits)
        loss = (logits * noise("pattern", *logits.shape)).sum()
    else:
        raw = model.network(x)
        found["classes"], found["offsets"] = numbers(raw.classes), numbers(raw.offsets)
        found["segmentation"] = numbers(raw.segmentation)
        losses = model(x, targets(*size, model.num_classes))
        found |= {f"loss of {key}": [value.item()] for key, value in losses.items()}
        loss = sum(losses.values())
    loss.backward()
    found["image gradient"] = numbers(x.grad)
    gradients = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    found["gradients"] = [len(gradients), torch.stack(gradients).norm().item()]
    statistics = [b.mean() for n, b in model.named_buffers() if "running" in n]
    found["statistics"] = numbers(torch.stack(statistics))
    if detector:
        found |= detections(model, x.detach())
    return found


def detections(model: torch.nn.Module, x: torch.Tensor) -> dict[str, list[float]]:
    """What a detector finds in eval mode, with the statistics of these images."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.network(x)
        both = model.eval()(x)
    rows = [torch.column_stack([one["boxes"], one["scores"], one["labels"]]) for one in both]
    return {
        "how many": [len(row) for row in rows],
        "best": torch.cat([row[:3] for row in rows]).flatten().tolist(),
        "all": torch.cat(rows).mean(dim=0).tolist(),
    }


if __name__ == "__main__":
    rounded = {
        case: {key: [float(f"{v:.9g}") for v in values] for key, values in outputs(case).items()}
        for case in CASES
    }
    lines = [f"  {json.dumps(case)}: {json.dumps(found)}" for case, found in rounded.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
