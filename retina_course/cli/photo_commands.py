"""The commands that look at photographs: `segment` writes vessel maps, `detect` writes boxes.

Both go on with the next photograph where one cannot be used.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from retina_course import weights
from retina_course.cli.commands import memory_errors, message, refuse_detector, threshold
from retina_course.data.files import write_atomically
from retina_course.data.images import read_image
from retina_course.figures.plotting import BOX_COLOURS, overlay_image
from retina_course.inference.detection import detect
from retina_course.inference.segmentation import segment


def segment_photographs(options: argparse.Namespace) -> int:
    """`segment`: three images for each photograph."""
    model, card = weights.load(options.weights)
    refuse_detector(card, options)
    cut = threshold(options, card)
    return _each(options, model, lambda photo: _segment(model, card, photo, cut, options))


def detect_photographs(options: argparse.Namespace) -> int:
    """`detect`: an image with boxes, and the boxes as JSON, for each photograph."""
    model, card = weights.load(options.weights)
    cut = threshold(options, card)
    return _each(options, model, lambda photo: _detect(model, card, photo, cut, options))


def _each(options: argparse.Namespace, model: torch.nn.Module, work: Callable[[Path], str]) -> int:
    _refuse_same_names(options.photos)
    options.output.mkdir(parents=True, exist_ok=True)
    model.to(options.device)
    failed = []
    for photo in options.photos:
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
        print(
            f"{photo}: {found}, {seconds:.1f} s -> {options.output / photo.stem}_*",
            flush=True,
        )
    if failed:
        print(
            f"retina-course: {len(failed)} of {len(options.photos)} photographs failed: "
            f"{', '.join(failed)}",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _segment(
    model: torch.nn.Module, card: dict, photo: Path, cut: float, options: argparse.Namespace
) -> str:
    image = read_image(photo)
    probability, fov = (part.numpy() for part in segment(model, image, card, flips=options.flips))
    vessels = (probability >= cut) & fov
    grey = (probability * 65535).round().astype(np.uint16)
    stem = options.output / photo.stem
    _write_image(f"{stem}_vessels.png", vessels.astype(np.uint8) * 255)
    _write_image(f"{stem}_probability.png", grey)
    _write_image(f"{stem}_overlay.jpg", overlay_image(image, vessels))
    fraction = vessels.sum() / fov.sum()
    return f"{fov.shape[1]}x{fov.shape[0]}, vessels {fraction:.1%} of the field of view"


def _detect(
    model: torch.nn.Module, card: dict, photo: Path, cut: float, options: argparse.Namespace
) -> str:
    image = read_image(photo)
    found = detect(model, image, card, flips=options.flips)
    names = card.get("classes") or [f"class {i}" for i in range(1, model.num_classes + 1)]
    rows = [
        {
            "label": names[label - 1],
            "score": round(score, 4),
            "box": [round(side, 1) for side in box],
        }
        for box, score, label in zip(*(found[k].tolist() for k in found), strict=True)
        if score >= cut
    ]
    height, width = image.shape[1:]
    content = {
        "photograph": photo.name,
        "width": width,
        "height": height,
        "box": "x1, y1, x2, y2 in pixels of the photograph",
        "threshold": cut,
        "intended_use": weights.INTENDED_USE,
        "detections": rows,
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(f"{options.output / photo.stem}_boxes.json", text.encode())
    pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    _write_image(f"{options.output / photo.stem}_boxes.jpg", _with_boxes(pixels, rows, names))
    counts = [f"{sum(row['label'] == name for row in rows)} {name}" for name in names]
    return f"{width}x{height}, " + ", ".join(counts)


def _with_boxes(image: np.ndarray, rows: list[dict], names: Sequence[str]) -> np.ndarray:
    """The photograph with its boxes, each with its name and score."""
    image = Image.fromarray(image)
    draw = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 400)
    font = ImageFont.load_default(max(12, max(image.size) // 60))
    for row in reversed(rows):  # the best on top
        colour = BOX_COLOURS[names.index(row["label"]) % len(BOX_COLOURS)]
        x1, y1, x2, y2 = row["box"]
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
        text, place = f"{row['label']} {row['score']:.2f}", (x1, max(0, y1 - 1.3 * font.size))
        draw.rectangle(draw.textbbox(place, text, font=font), fill="black")
        draw.text(place, text, fill=colour, font=font)
    return np.asarray(image)


def _write_image(path: str, image: np.ndarray) -> None:
    buffer = io.BytesIO()
    is_jpeg = path.endswith("jpg")
    settings = {"quality": 92, "subsampling": 0} if is_jpeg else {}
    Image.fromarray(image).save(buffer, "JPEG" if is_jpeg else "PNG", **settings)
    write_atomically(path, buffer.getvalue())


def _refuse_same_names(photos: Sequence[Path]) -> None:
    first: dict[str, Path] = {}
    for photo in photos:
        other = first.setdefault(photo.stem.casefold(), photo)
        if other is not photo:
            raise ValueError(
                f"{other} and {photo} would write the same files. Use a folder for each."
            )
