"""The commands that look at photographs: `segment` writes vessel maps, `detect` writes boxes.

Both go on with the next photograph where one cannot be used.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from retina_course import weights as trained_weights
from retina_course.cli.inputs import choose_threshold, refuse_detector
from retina_course.cli.output import memory_errors, message
from retina_course.data.files import write_atomically
from retina_course.data.images import read_image
from retina_course.figures.plotting import BOX_COLOURS, overlay_image
from retina_course.inference.detection import detect
from retina_course.inference.segmentation import segment


def segment_photographs(
    photos: Sequence[Path],
    output: Path,
    *,
    weights: str,
    threshold: float | None,
    flips: bool,
    device: torch.device,
) -> int:
    """Find the vessels in photographs and write three images for each.

    Parameters
    ----------
    photos : sequence of Path
        Image files.
    output : Path
        Folder for the images; it is created if necessary.
    weights : str
        See `weights.load`.
    threshold : float or None
        Vessel where the probability is at least this. None: as the card says.
    flips : bool
        Test-time augmentation: average over mirror images.
    device : torch.device
        Where the network computes.

    Returns
    -------
    int
        Exit code: 0, or 1 where a photograph failed.

    Raises
    ------
    ValueError
        The weights cannot be used, or two photographs would write the same files.
    """
    model, card = trained_weights.load(weights)
    refuse_detector(card, weights)
    cut = choose_threshold(threshold, card)
    _prepare(photos, output)
    model.to(device)
    return _each(photos, output, lambda photo: _segment(model, card, photo, output, cut, flips))


def detect_photographs(
    photos: Sequence[Path],
    output: Path,
    *,
    weights: str,
    threshold: float | None,
    flips: bool,
    device: torch.device,
) -> int:
    """Find lesions and the optic disc; write an image with boxes, and the boxes as JSON, for each.

    Parameters
    ----------
    photos : sequence of Path
        Image files.
    output : Path
        Folder for the results; it is created if necessary.
    weights : str
        See `weights.load`.
    threshold : float or None
        Smallest score of a box. None: as the card says.
    flips : bool
        Test-time augmentation: combine the boxes of mirror images.
    device : torch.device
        Where the network computes.

    Returns
    -------
    int
        Exit code: 0, or 1 where a photograph failed.

    Raises
    ------
    ValueError
        The weights cannot be used, or two photographs would write the same files.
    """
    model, card = trained_weights.load(weights)
    cut = choose_threshold(threshold, card)
    _prepare(photos, output)
    model.to(device)
    return _each(photos, output, lambda photo: _detect(model, card, photo, output, cut, flips))


def _prepare(photos: Sequence[Path], output: Path) -> None:
    """Make the folder, unless two photographs would write the same files."""
    first: dict[str, Path] = {}
    for photo in photos:
        other = first.setdefault(photo.stem.casefold(), photo)
        if other is not photo:
            raise ValueError(
                f"{other} and {photo} would write the same files. Use a folder for each."
            )
    output.mkdir(parents=True, exist_ok=True)


def _each(photos: Sequence[Path], output: Path, work: Callable[[Path], str]) -> int:
    """Call `work` for each photograph, print what it found, and count the failures."""
    failed = []
    for photo in photos:
        started = time.perf_counter()
        try:
            with memory_errors():
                found = work(photo)
        except (ValueError, OSError, MemoryError) as error:
            failed.append(str(photo))
            named = "" if str(photo) in message(error) else f"{photo}: "
            print(f"retina-course: error: {named}{message(error)}", file=sys.stderr)
            continue
        seconds = time.perf_counter() - started
        print(f"{photo}: {found}, {seconds:.1f} s -> {output / photo.stem}_*", flush=True)
    if failed:
        print(
            f"retina-course: {len(failed)} of {len(photos)} photographs failed: "
            f"{', '.join(failed)}",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _segment(
    model: nn.Module, card: Mapping[str, Any], photo: Path, output: Path, cut: float, flips: bool
) -> str:
    """Write the vessel map, the probabilities and the overlay; return a summary."""
    image = read_image(photo)
    probability, fov = (part.numpy() for part in segment(model, image, card, flips=flips))
    vessels = (probability >= cut) & fov
    grey = (probability * 65535).round().astype(np.uint16)
    stem = output / photo.stem
    _write_image(f"{stem}_vessels.png", vessels.astype(np.uint8) * 255)
    _write_image(f"{stem}_probability.png", grey)
    _write_image(f"{stem}_overlay.jpg", overlay_image(image, vessels))
    fraction = vessels.sum() / fov.sum()
    return f"{fov.shape[1]}x{fov.shape[0]}, vessels {fraction:.1%} of the field of view"


def _detect(
    model: nn.Module, card: Mapping[str, Any], photo: Path, output: Path, cut: float, flips: bool
) -> str:
    """Write the image with its boxes, and the boxes as JSON; return a summary."""
    image = read_image(photo)
    found = detect(model, image, card, flips=flips)
    # The stubs of torch call every attribute of a module a tensor or a module.
    names = card.get("classes") or [f"class {i + 1}" for i in range(cast(int, model.num_classes))]
    boxes, scores, labels = (found[key].tolist() for key in ("boxes", "scores", "labels"))
    rows = [
        {
            "label": names[label - 1],
            "score": round(score, 4),
            "box": [round(side, 1) for side in box],
        }
        for box, score, label in zip(boxes, scores, labels, strict=True)
        if score >= cut
    ]
    height, width = image.shape[1:]
    content = {
        "photograph": photo.name,
        "width": width,
        "height": height,
        "box": "x1, y1, x2, y2 in pixels of the photograph",
        "threshold": cut,
        "intended_use": trained_weights.INTENDED_USE,
        "detections": rows,
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(f"{output / photo.stem}_boxes.json", text.encode())
    pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    _write_image(f"{output / photo.stem}_boxes.jpg", _with_boxes(pixels, rows, names))
    counts = [f"{sum(row['label'] == name for row in rows)} {name}" for name in names]
    return f"{width}x{height}, " + ", ".join(counts)


def _with_boxes(
    pixels: NDArray[np.uint8], rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> NDArray[np.uint8]:
    """The photograph with its boxes, each with its name and score."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 400)
    text_height = max(12, max(image.size) // 60)
    font = ImageFont.load_default(text_height)
    for row in reversed(rows):  # the best on top
        colour = BOX_COLOURS[names.index(row["label"]) % len(BOX_COLOURS)]
        x1, y1, x2, y2 = row["box"]
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        text, place = f"{row['label']} {row['score']:.2f}", (x1, max(0, y1 - 1.3 * text_height))
        draw.rectangle(draw.textbbox(place, text, font=font), fill="black")
        draw.text(place, text, fill=colour, font=font)
    return np.asarray(image)


def _write_image(path: str, pixels: NDArray[Any]) -> None:
    """Write a JPEG or PNG file, by the ending of its name, whole or not at all."""
    buffer = io.BytesIO()
    is_jpeg = path.endswith("jpg")
    settings = {"quality": 92, "subsampling": 0} if is_jpeg else {}
    Image.fromarray(pixels).save(buffer, "JPEG" if is_jpeg else "PNG", **settings)
    write_atomically(path, buffer.getvalue())
