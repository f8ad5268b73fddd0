"""Draw what UNetSmall's blocks make of a real eye, with the shipped weights.

    python -m benchmarks.analysis.feature_maps

Writes retina_course/results/unet_small_feature_maps.jpg, three channels of each block in the form
of the U, and feature_maps.json. It needs CHASE_DB1 (folder RETINA_COURSE_DATA).
"""

import time

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from benchmarks.common.figures import CREDIT, save
from benchmarks.common.files import RESULTS, write_json
from benchmarks.common.index import Program
from benchmarks.common.provenance import provenance
from retina_course import weights
from retina_course.data.datasets import ChaseDB1, Photograph
from retina_course.inference import segment

PROGRAM = Program(
    __file__,
    question="What do the blocks of the trained UNetSmall make of a real eye?",
    results=("feature_maps.json",),
    also=("retina_course/results/unet_small_feature_maps.jpg",),
    commands=("python -m benchmarks.analysis.feature_maps",),
    hours=0.01,
    data=("CHASE_DB1",),
    inputs=("retina_course/weights/unet_small.*",),
)
PHOTOGRAPH = "Image_08L"  # of the test half
LEVELS = (("enc1", "dec1"), ("enc2", "dec2"), ("enc3", "dec3"))
CHANNELS = 3  # shown per block: those that vary most in the eye


def main() -> None:
    PROGRAM.parser(__doc__).parse_args()
    began = time.perf_counter()
    model, card = weights.load("unet_small")
    photo = next(photo for photo in ChaseDB1(split="test") if photo.name == PHOTOGRAPH)
    maps, probability = feature_maps(model, photo, card)
    save(draw(photo, maps, probability), RESULTS / "unet_small_feature_maps.jpg")
    blocks = {
        name: {
            "shape": list(block.shape),
            "zeros": float((block == 0).float().mean()),
            "shown": varied(block),
        }
        for name, block in maps.items()
    }
    content = {
        "photograph": photo.name,
        "weights": "unet_small",
        "blocks": blocks,
        "program": PROGRAM.file,
        "provenance": provenance(torch.device("cpu"), PROGRAM, since=began),
    }
    write_json(RESULTS / "feature_maps.json", content)


def feature_maps(
    model: nn.Module, photo: Photograph, card: dict
) -> tuple[dict[str, Tensor], np.ndarray]:
    """The output (C, H, W) of each block for one photograph, and its vessel probabilities."""
    maps: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: maps.update({name: output[0]})

    blocks = [name for level in LEVELS for name in level] + ["bneck"]
    hooks = [getattr(model, name).register_forward_hook(keep(name)) for name in blocks]
    found = segment(model, photo.image, card, flips=False, fov=photo.fov, field_angle=30)
    for hook in hooks:
        hook.remove()
    return maps, found.probability.numpy()


def varied(block: Tensor) -> list[int]:
    """The numbers of the channels with the largest standard deviation in the middle of the eye."""
    return middle(block).flatten(1).std(dim=1).topk(CHANNELS).indices.tolist()


def middle(block: Tensor) -> Tensor:
    """Without the outer fifths, where the eye ends."""
    rows, columns = (n // 5 for n in block.shape[-2:])
    return block[..., rows:-rows, columns:-columns]


def draw(photo: Photograph, maps: dict[str, Tensor], probability: np.ndarray) -> Figure:
    """Encoder on the left, decoder on the right, one level per row; each map at its own size."""
    figure = Figure(figsize=(10.4, 7.6), dpi=110, facecolor="white")
    grid = figure.subplots(4, 7, width_ratios=[1] * 3 + [0.35] + [1] * 3)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, blocks in enumerate((*LEVELS, ("bneck",))):
        for block, left in zip(blocks, (0, 4), strict=False):
            for axes, channel in zip(grid[row, left:], varied(maps[block]), strict=False):
                plane = maps[block][channel]
                axes.imshow(plane, cmap="gray", vmin=0, vmax=middle(plane).quantile(0.995))
            shape = " × ".join(str(n) for n in maps[block].shape)
            grid[row, left + 1].set_title(f"{block}: {shape}", fontsize=12)
    for axes, picture, title in zip(
        grid[3, 4:], (photo.image, 1 - probability), ("photograph", "probability"), strict=False
    ):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=12)
    figure.subplots_adjust(0.01, 0.04, 0.99, 0.95, wspace=0.04, hspace=0.16)
    figure.text(0.99, 0.01, CREDIT, ha="right", fontsize=8)
    return figure


if __name__ == "__main__":
    main()
